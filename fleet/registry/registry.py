"""The registry of a fleet in a database: written in batches, read in many ways."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from fleet.registry import (
    asked,
    expiry,
    forgetting,
    known,
    lease,
    passages,
    reading,
    rolling,
    rolling_vitals,
    services,
    space,
    together,
)
from fleet.registry.database import Database
from fleet.registry.naming import Numbers
from fleet.registry.parsing import read
from fleet.registry.words import (
    Changed,
    EventPage,
    EventQuery,
    Expired,
    Gap,
    Heard,
    Known,
    PassedInHour,
    Scope,
    Service,
    Sizes,
    Span,
    Stretch,
    Terms,
    UpdateLife,
    UpdateQuery,
    Vital,
    Written,
)
from fleet.registry.writing import AllMoments, Batch
from wire.messages import StageCounts

ALL = Scope()
TERMS = Terms()


def open_registry(url: str) -> Registry:
    """sqlite:////path/file.db or postgresql://... The tables are made, or brought up to date.
    Raises Refused: that is no address, or the tables are of a newer version. Unavailable."""
    return Registry(Database(url))


class Registry:
    """One database; other processes may have the same. Any thread. Everything raises Unavailable
    where the database cannot be reached, read or written now."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._lock = threading.Lock()  # over what is known of names and clocks
        self._numbers = Numbers()
        self._moments = AllMoments()

    @property
    def identity(self) -> str:
        """Of the database, a name: of two databases never the same, but for copies of one."""
        return self.database.identity

    def write(self, heard: Sequence[Heard]) -> Written:
        """Store a batch durably, each record once, in whatever order they come and whoever else
        has stored it. Raises Unavailable: nothing of it is stored."""
        found = read(heard)
        with self._lock:
            try:
                with self.database.writing() as (connection, turn):
                    batch = Batch(connection, turn, self._numbers, self._moments)
                    batch.take(found.said)
                    written = batch.finish()
            except BaseException:
                self._numbers.forget()
                raise
        refused = written.refused + found.refused
        return Written(
            written.acks, written.stored, written.duplicates, refused, found.why or written.why
        )

    def changed(self, since: int, most: int = 2000) -> Changed:
        """Devices of which something came after the mark `since`; 0: all, some at a time."""
        return known.changed(self.database, since, most)

    def device(self, name: str) -> Known | None:
        """None: it was never heard."""
        return known.device(self.database, name)

    def windows(
        self, device: str, pipeline: str, span: Span, most: int = 400
    ) -> tuple[Stretch, ...]:
        """The oldest first, about `most`: longer spans have longer stretches."""
        return reading.windows(self.database, device, pipeline, span, most)

    def vitals(self, device: str, span: Span, most: int = 400) -> tuple[Vital, ...]:
        """The oldest first, about `most`."""
        return reading.vitals(self.database, device, span, most)

    def latency(self, span: Span, scope: Scope = ALL) -> StageCounts:
        """All histograms of the scope merged; percentiles are theirs."""
        return reading.latency(self.database, span, scope)

    def series(self, span: Span, scope: Scope = ALL, most: int = 200) -> tuple[Stretch, ...]:
        """Devices together over time, the oldest first; of one moment, a stretch for each model
        and version."""
        return reading.series(self.database, span, scope, most)

    def passed(self, span: Span, scope: Scope = ALL) -> tuple[PassedInHour, ...]:
        """What tracks did in zones and at lines, in whole hours, the oldest first; of a scope,
        devices and pipeline count."""
        return passages.passed(self.database, span, scope)

    def events(self, query: EventQuery) -> EventPage:
        """By the time at which they happened, the newest first; after an id, as they came."""
        return asked.events(self.database, query)

    def updates(self, query: UpdateQuery) -> tuple[UpdateLife, ...]:
        """That changed last, first."""
        return asked.updates(self.database, query)

    def gaps(self, device: str, span: Span) -> tuple[Gap, ...]:
        """Records that never came, the oldest first."""
        return asked.gaps(self.database, device, span)

    def sizes(self) -> Sizes:
        return space.sizes(self.database)

    def roll_up(self, now_s: float | None = None) -> int:
        """Merge what is new into longer stretches: some of it. Returns how many windows that were;
        call it again while that is not 0."""
        at_s = time.time() if now_s is None else now_s
        count = rolling.roll_tens(self.database)
        if not count:
            while rolling.roll_hour(self.database, at_s):
                pass
            while rolling_vitals.roll_vitals(self.database, at_s):
                pass
        while together.compact(self.database, at_s):
            pass
        return count

    def expire(self, now_s: float, terms: Terms = TERMS) -> Expired:
        """Remove some of what is too old or too much; call it again until it is done."""
        return expiry.expire(self.database, now_s, terms)

    def forget(self, device: str) -> None:
        """Remove everything of a device but its name."""
        forgetting.forget(self.database, device)

    def take_lease(self, name: str, holder: str, now_s: float, for_s: float) -> bool:
        """Whether `holder` alone is to do what `name` says, for so long."""
        return lease.take(self.database, name, holder, now_s, for_s)

    def give_lease_back(self, name: str, holder: str) -> None:
        lease.give_back(self.database, name, holder)

    def report(self, service: Service) -> None:
        """Say how a service is; what it said before is forgotten."""
        services.report(self.database, service)

    def services(self) -> tuple[Service, ...]:
        """Those that reported within the last day, the newest word of each."""
        return services.read(self.database)

    def close(self) -> None:
        self.database.close()
