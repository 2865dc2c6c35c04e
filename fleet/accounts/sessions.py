"""Sessions: a secret in a browser's cookie, its hash and its end here."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from sqlalchemy import Engine, delete, insert, select, update

from fleet.accounts import passwords
from fleet.accounts.tables import ACCOUNT, SESSION
from fleet.accounts.words import Opened, SignedIn, Visit
from fleet.registry.engine import changing, looking
from wire.troubles import Unavailable

IDLE_S = 12 * 3600.0
LONGEST_S = 7 * 86400.0
SEEN_EVERY_S = 60.0  # how exactly it is known when a session was used
MOST = 20  # of one account; the oldest ends


class Sessions:
    """Of all accounts. clock: Unix seconds. Any thread."""

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._clock = clock

    def open(self, account: str, address: str) -> Opened:
        """A new session of an account that exists; sessions that are over are forgotten."""
        now_s = self._clock()
        opened = Opened(passwords.secret(), now_s + LONGEST_S)
        row = {
            "secret": passwords.digest(opened.secret),
            "account": account,
            "made_s": now_s,
            "seen_s": now_s,
            "until_s": opened.until_s,
            "address": address[:64],
        }
        newest = (
            select(SESSION.c.number)
            .where(SESSION.c.account == account)
            .order_by(SESSION.c.number.desc())
            .offset(MOST - 1)
        )
        with changing(self._engine) as connection:
            over = (SESSION.c.until_s <= now_s) | (SESSION.c.seen_s <= now_s - IDLE_S)
            connection.execute(delete(SESSION).where(over))
            many = [row.number for row in connection.execute(newest)]
            connection.execute(delete(SESSION).where(SESSION.c.number.in_(many)))
            connection.execute(insert(SESSION).values(row))
        return opened

    def holder(self, secret: str) -> SignedIn | None:
        """Who holds the session with this secret, if it is not over."""
        now_s, hashed = self._clock(), passwords.digest(secret)
        wanted = (
            select(SESSION.c.account, SESSION.c.seen_s, SESSION.c.until_s, ACCOUNT.c.role)
            .join(ACCOUNT, ACCOUNT.c.name == SESSION.c.account)
            .where(SESSION.c.secret == hashed, SESSION.c.until_s > now_s)
            .where(SESSION.c.seen_s > now_s - IDLE_S)
        )
        with looking(self._engine) as connection:
            row = connection.execute(wanted).one_or_none()
        if row is None:
            return None
        if now_s - row.seen_s > SEEN_EVERY_S:
            # who only looks is not kept out by who writes for long
            with contextlib.suppress(Unavailable), changing(self._engine) as connection:
                connection.execute(
                    update(SESSION).where(SESSION.c.secret == hashed).values(seen_s=now_s)
                )
        return SignedIn(row.account, row.role, "session", row.until_s)

    def of(self, account: str) -> tuple[Visit, ...]:
        """The open ones of an account, the newest first."""
        now_s = self._clock()
        wanted = (
            select(SESSION.c.number, SESSION.c.made_s, SESSION.c.seen_s, SESSION.c.address)
            .where(SESSION.c.account == account, SESSION.c.until_s > now_s)
            .where(SESSION.c.seen_s > now_s - IDLE_S)
            .order_by(SESSION.c.number.desc())
        )
        with looking(self._engine) as connection:
            return tuple(Visit(**row._mapping) for row in connection.execute(wanted))

    def end(self, secret: str) -> None:
        with changing(self._engine) as connection:
            connection.execute(delete(SESSION).where(SESSION.c.secret == passwords.digest(secret)))

    def end_others(self, account: str, secret: str) -> int:
        """All of an account but this one. How many there were."""
        others = (SESSION.c.account == account) & (SESSION.c.secret != passwords.digest(secret))
        with changing(self._engine) as connection:
            return connection.execute(delete(SESSION).where(others)).rowcount
