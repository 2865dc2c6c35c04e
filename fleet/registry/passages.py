"""What tracks did in zones and at lines, hour by hour: a row for each device and pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Select, select

from fleet.registry.database import Database
from fleet.registry.naming import in_turns
from fleet.registry.rows import Values, put
from fleet.registry.sources import MOST_BY_NUMBER, narrowed_to, numbers_of, slots_in
from fleet.registry.tables import DEVICE, HOUR_SLOTS, PASSED, PIPELINE, SLOT_S
from fleet.registry.words import PassedInHour, Scope, Span
from wire.happenings import Passage

MOST_IN_ROW = 128  # sums: a device may make up names without end
MOST_COUNT = 1 << 53  # what JavaScript knows exactly


class What(Struct, frozen=True, array_like=True):
    """As in a Passage."""

    kind: Literal["zone", "line"]
    where: str
    way: str
    label: str


class _Kept(Struct, frozen=True, array_like=True):
    what: What
    count: int


Key = tuple[int, int, int]  # slot of an hour's begin, device, pipeline
Sums = dict[What, int]


def hour_of(at_s: float) -> int:
    """The slot in which its hour begins."""
    return int(at_s // SLOT_S) // HOUR_SLOTS * HOUR_SLOTS


def add_up(sums: Sums, passed: Iterable[Passage], most_count: int) -> None:
    """most_count: of one passage; what it says above that cannot be true."""
    for each in passed:
        what = What(each.kind, each.where, each.way, each.label)
        if what in sums or len(sums) < MOST_IN_ROW:
            sums[what] = sums.get(what, 0) + min(each.count, most_count)


def add_passages(connection: Connection, many: Mapping[Key, Sums]) -> None:
    """To what is there of the same hours."""
    rows: list[Values] = []
    slots: dict[int, dict[tuple[int, int], Sums]] = {}
    for (slot, device, pipeline), sums in many.items():
        slots.setdefault(slot, {})[device, pipeline] = sums
    for slot, of in slots.items():
        before = _of_slot(connection, slot, sorted({device for device, _ in of}))
        for (device, pipeline), sums in of.items():
            whole = before.get((device, pipeline), {})
            for what, count in sums.items():
                if what in whole or len(whole) < MOST_IN_ROW:
                    whole[what] = min(MOST_COUNT, whole.get(what, 0) + count)
            kept = [_Kept(what, count) for what, count in whole.items()]
            place: Values = {"slot": slot, "device": device, "pipeline": pipeline}
            rows.append(place | {"sums": msgspec.msgpack.encode(kept)})
    put(connection, PASSED, rows)


def _of_slot(connection: Connection, slot: int, devices: list[int]) -> dict[tuple[int, int], Sums]:
    found = {}
    query = select(PASSED.c.device, PASSED.c.pipeline, PASSED.c.sums).where(PASSED.c.slot == slot)
    for some in in_turns(devices):
        for device, pipeline, packed in connection.execute(query.where(PASSED.c.device.in_(some))):
            found[device, pipeline] = unpacked(packed)
    return found


def unpacked(packed: bytes) -> Sums:
    """Raises msgspec.MsgspecError: that was never packed."""
    kept = msgspec.msgpack.decode(bytes(packed), type=list[_Kept])
    return {each.what: each.count for each in kept}


def passed(database: Database, span: Span, scope: Scope) -> tuple[PassedInHour, ...]:
    """Of all hours that overlap with the span, the oldest first."""
    with database.reading() as connection:
        narrowed = narrowed_to(connection, Scope(pipeline=scope.pipeline))
        if narrowed.is_empty:
            return ()
        wanted = None if scope.devices is None else set(numbers_of(connection, scope.devices))
        hours = range(hour_of(span.from_s), int(-(-span.to_s // SLOT_S)), HOUR_SLOTS)
        query = (
            select(PASSED.c.slot, PASSED.c.device, DEVICE.c.name, PIPELINE.c.name, PASSED.c.sums)
            .join(DEVICE, DEVICE.c.id == PASSED.c.device)
            .join(PIPELINE, PIPELINE.c.id == PASSED.c.pipeline)
            .where(*narrowed.of(PASSED))
            .order_by(PASSED.c.slot, DEVICE.c.name, PIPELINE.c.name)
        )
        found: list[PassedInHour] = []
        for each in _questions(query, slots_in(connection, PASSED, hours), wanted):
            for slot, number, device, pipeline, packed in connection.execute(each):
                if wanted is None or number in wanted:
                    found += _told(float(slot * SLOT_S), device, pipeline, unpacked(packed))
    found.sort(key=lambda one: (one.start_s, one.device))
    return tuple(found)


def _questions(query: Select[Any], slots: range, devices: set[int] | None) -> Iterator[Select[Any]]:
    """A range of slots is looked through with all devices in it: of few, each slot is asked for."""
    if not slots:
        return
    if devices is None or len(devices) > MOST_BY_NUMBER:
        yield query.where(PASSED.c.slot.between(slots[0], slots[-1]))
        return
    for some in in_turns(list(slots)):
        for few in in_turns(sorted(devices)):
            yield query.where(PASSED.c.slot.in_(some), PASSED.c.device.in_(few))


def _told(start_s: float, device: str, pipeline: str, sums: Sums) -> Sequence[PassedInHour]:
    return [
        PassedInHour(start_s, device, pipeline, what.kind, what.where, what.way, what.label, count)
        for what, count in sums.items()
    ]
