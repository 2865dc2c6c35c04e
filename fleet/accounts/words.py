"""What accounts are made of: roles, who signed in, and what the audit trail says."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Role = Literal["viewer", "operator"]
ROLES: tuple[Role, ...] = ("viewer", "operator")  # each may do what those before it may
Outcome = Literal["done", "refused", "failed"]
Means = Literal["session", "token"]


class Person(Struct, frozen=True):
    """An account. signed_in_s: Unix time of the last time; None: never. tokens: that are valid."""

    name: str
    role: Role
    made_s: float
    signed_in_s: float | None
    tokens: int


class SignedIn(Struct, frozen=True):
    """Somebody who showed a valid session or token."""

    name: str
    role: Role
    means: Means
    until_s: float


class Opened(Struct, frozen=True):
    """A new session or token. secret: what its holder shows; it is stored nowhere."""

    secret: str
    until_s: float


class Visit(Struct, frozen=True):
    """A session that is open. number: for a person to point at it."""

    number: int
    made_s: float
    seen_s: float
    address: str


class Entry(Struct, frozen=True):
    """A line of the audit trail: who did what to whom, from where, and what came of it. who is
    what was claimed, where nobody signed in."""

    number: int
    at_s: float
    who: str
    what: str
    subject: str
    outcome: Outcome
    address: str


def may(role: Role, needed: Role) -> bool:
    """Whether somebody of a role may do what needs another."""
    return ROLES.index(role) >= ROLES.index(needed)
