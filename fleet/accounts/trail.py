"""The audit trail: who did what, when, from where, and what came of it."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Engine, delete, func, insert, select

from fleet.accounts.tables import AUDIT
from fleet.accounts.words import Entry, Outcome
from fleet.registry.engine import changing, looking
from wire.troubles import one_line

MOST = 200_000  # entries; then the oldest go
LONGEST = 500  # characters of a subject
TIDY_EVERY = 1000


class Trail:
    """Entries are added and read; nothing here changes one. clock: Unix seconds."""

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._clock = clock

    def add(self, who: str, what: str, subject: str, outcome: Outcome, address: str) -> None:
        """Raises Unavailable: then what it is about must not be done."""
        entry = {
            "at_s": self._clock(),
            "who": one_line(who)[:64],
            "what": one_line(what)[:64],
            "subject": one_line(subject)[:LONGEST],
            "outcome": outcome,
            "address": address[:64],
        }
        with changing(self._engine) as connection:
            added = connection.execute(insert(AUDIT).values(entry).returning(AUDIT.c.number))
            number = added.scalar_one()
            if number % TIDY_EVERY == 0:
                connection.execute(delete(AUDIT).where(AUDIT.c.number <= number - MOST))

    def read(
        self, most: int = 100, before: int | None = None, who: str | None = None
    ) -> tuple[Entry, ...]:
        """The newest first. before: only entries with a lower number."""
        wanted = select(AUDIT).order_by(AUDIT.c.number.desc()).limit(min(most, 1000))
        if before is not None:
            wanted = wanted.where(AUDIT.c.number < before)
        if who is not None:
            wanted = wanted.where(AUDIT.c.who == who)
        with looking(self._engine) as connection:
            return tuple(Entry(**row._mapping) for row in connection.execute(wanted))

    def count(self) -> int:
        with looking(self._engine) as connection:
            return connection.execute(select(func.count()).select_from(AUDIT)).scalar_one()
