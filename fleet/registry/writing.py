"""A batch of what was heard becomes rows, in one transaction: each record exactly once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, update

from fleet.moments import Moment, Moments
from fleet.registry.database import Turn
from fleet.registry.happened import Happenings
from fleet.registry.last_words import LastWords
from fleet.registry.naming import Numbers
from fleet.registry.packed import merged_by
from fleet.registry.parsing import MOST, Cut, Said
from fleet.registry.passages import Key, Sums, add_passages, add_up, hour_of
from fleet.registry.rolling_vitals import Late, add_late
from fleet.registry.rows import Values, add, added_up, insert_new
from fleet.registry.stored_spools import StoredSpools
from fleet.registry.tables import (
    COUNTED,
    FINE,
    MEASURED,
    MINUTE_S,
    PART,
    SLOT_S,
    TOGETHER,
    TURN,
    VITAL,
)
from fleet.registry.words import Written
from wire.messages import Event, Presence, State, Telemetry
from wire.troubles import Refused

MOST_MOMENTS = 100_000  # devices


class AllMoments:
    """When records were made, of every device: in memory, since it is learnt again quickly."""

    def __init__(self) -> None:
        self._of: dict[str, Moments] = {}

    def place(self, said: Said, record: Telemetry | Event) -> Moment:
        name = said.heard.device
        moments = self._of.get(name)
        if moments is None:
            if len(self._of) >= MOST_MOMENTS:
                del self._of[next(iter(self._of))]
            moments = self._of[name] = Moments()
        return moments.place(record, said.heard.at_s)


@dataclass
class _Rows:
    fine: list[Values] = field(default_factory=list)
    vital: list[Values] = field(default_factory=list)
    late: list[Late] = field(default_factory=list)
    minutes: dict[tuple[int, int, int], list[Cut]] = field(default_factory=dict)
    passed: dict[Key, Sums] = field(default_factory=dict)


class Batch:
    """One transaction's. `take` everything, then `finish`."""

    def __init__(
        self,
        connection: Connection,
        turn: Turn,
        numbers: Numbers,
        moments: AllMoments,
    ) -> None:
        self._connection = connection
        self._turn = turn
        self._numbers = numbers
        self._moments = moments
        self._rows = _Rows()
        self._fine_id = turn.fine_id
        self._spools = StoredSpools(connection)
        self._words = LastWords(connection, turn.batch + 1)
        self._happened = Happenings(connection, turn.event_id)
        self._stored = self._duplicates = self._refused = 0
        self._why: str | None = None

    def take(self, many: Sequence[Said]) -> None:
        """In the order in which they came."""
        first_heard: dict[str, float] = {}
        for said in many:
            first_heard.setdefault(said.heard.device, said.heard.at_s)
        self._numbers.make_devices(self._connection, first_heard)
        numbers = self._numbers.devices
        known = [said for said in many if said.heard.device in numbers]
        if len(known) < len(many):
            self._refuse(len(many) - len(known), "the registry knows too many devices")
        devices = {numbers[said.heard.device] for said in known}
        self._spools.load(
            {numbers[s.heard.device] for s in known if isinstance(s.message, Telemetry | Event)}
        )
        self._words.load(devices)
        for said in known:
            try:
                self._take(numbers[said.heard.device], said)
            except Refused as error:
                self._refuse(1, f"{said.heard.device}: {error}")

    def finish(self) -> Written:
        """Write the rows."""
        connection, rows = self._connection, self._rows
        self._spools.store()
        self._words.store()
        self._happened.store()
        if rows.fine:
            add(connection, FINE, rows.fine)
            add(connection, TOGETHER, self._minutes())
        if rows.passed:
            add_passages(connection, rows.passed)
        if rows.vital:
            insert_new(connection, VITAL, rows.vital)
        if rows.late:
            add_late(connection, rows.late, self._turn.vital_slot)
        connection.execute(
            update(TURN).values(
                batch=self._turn.batch + 1, fine_id=self._fine_id, event_id=self._happened.newest
            )
        )
        acks = self._spools.floors({n: name for name, n in self._numbers.devices.items()})
        return Written(acks, self._stored, self._duplicates, self._refused, self._why)

    def _refuse(self, count: int, why: str) -> None:
        self._refused += count
        self._why = why

    def _take(self, device: int, said: Said) -> None:
        message, at_s = said.message, said.heard.at_s
        if isinstance(message, Telemetry | Event):
            if self._is_new(device, message, at_s):
                self._record(device, said, message)
            self._words.heard(device, at_s)
        elif isinstance(message, Presence):
            self._words.presence(device, message, said.heard)
        elif isinstance(message, State):
            self._words.state(device, said.heard)
        else:
            self._words.taken_away(device, said.heard)

    def _is_new(self, device: int, record: Telemetry | Event, at_s: float) -> bool:
        is_new, lost = self._spools.take(device, record.spool, record.seq, record.oldest, at_s)
        self._words.lost(device, lost)
        self._stored += is_new
        self._duplicates += not is_new
        return is_new

    def _record(self, device: int, said: Said, record: Telemetry | Event) -> None:
        moment = self._moments.place(said, record)
        if isinstance(record, Event):
            self._happened.add(device, record, moment.at_s, said.heard)
            return
        self._words.telemetry(device, record, moment, said.heard)
        slot = int(moment.at_s // SLOT_S)
        place: Values = {"slot": slot, "device": device, "made_s": moment.at_s}
        if (vital := said.vital) is not None:
            figures = (vital.hottest, vital.cpu, vital.memory, vital.disk, vital.throttled)
            self._rows.vital.append(place | dict(zip(MEASURED, figures, strict=True)))
            if slot < self._turn.vital_slot:
                self._rows.late.append(Late(slot, device, vital))
        for cut in said.cuts:
            self._cut(place, cut)

    def _cut(self, place: Values, cut: Cut) -> None:
        pipeline = self._numbers.pipeline(self._connection, cut.pipeline)
        if pipeline is None:
            return
        release = self._numbers.release(self._connection, cut.release)
        self._fine_id += 1
        names: Values = {"id": self._fine_id, "pipeline": pipeline, "release": release}
        self._rows.fine.append(place | names | dict(zip(COUNTED, cut.counted, strict=True)))
        made_s = place["made_s"]
        assert isinstance(made_s, float)
        key = (int(made_s // MINUTE_S), pipeline, release)
        self._rows.minutes.setdefault(key, []).append(cut)
        if cut.passed:
            device = place["device"]
            assert isinstance(device, int)
            hour = (hour_of(made_s), device, pipeline)
            add_up(self._rows.passed.setdefault(hour, {}), cut.passed, MOST)

    def _minutes(self) -> list[Values]:
        """All devices together, minute by minute."""
        groups = list(self._rows.minutes.items())
        packed = [cut.counted[-1] for _, cuts in groups for cut in cuts]
        of = [number for number, (_, cuts) in enumerate(groups) for _ in cuts]
        stages = merged_by(packed, of, len(groups))
        found: list[Values] = []
        for ((minute, pipeline, release), cuts), merged in zip(groups, stages, strict=True):
            row: Values = {"at_s": minute * MINUTE_S, "width_s": PART}
            row |= {"pipeline": pipeline, "release": release}
            added = added_up([cut.counted[:-1] for cut in cuts])
            found.append(row | dict(zip(COUNTED, (*added, merged), strict=True)))
        return found
