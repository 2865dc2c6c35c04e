"""Whose session or token a request shows."""

from __future__ import annotations

from fleet.accounts.accounts import Accounts
from fleet.accounts.words import SignedIn
from fleet.serve.scope import Visitor


def whose(accounts: Accounts, visitor: Visitor) -> SignedIn | None:
    """A token counts before a session. Raises Unavailable; it asks the database."""
    if visitor.token is not None:
        return accounts.token_holder(visitor.token)
    if visitor.session is not None:
        return accounts.sessions.holder(visitor.session)
    return None
