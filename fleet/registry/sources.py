"""Where figures over time come from: which table has them, and what of it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Table, and_, func, literal, select

from fleet.registry.database import Turn
from fleet.registry.naming import in_turns, wanted_releases
from fleet.registry.tables import (
    COUNTED,
    DEVICE,
    FINE,
    HOUR,
    HOUR_S,
    HOUR_SLOTS,
    MINUTE_S,
    PART,
    PIPELINE,
    SLOT_S,
    TENS,
    TOGETHER,
)
from fleet.registry.words import Scope, Span

MOST_BY_NUMBER = 1000  # devices; of more, all are read, and those that are wanted are taken
Resolution = Literal["fine", "tens", "hour"]
LEAST_TENS_S, LEAST_HOUR_S = 6 * 3600.0, 4 * 86400.0  # a span from here on is read so


class Counted(Struct):
    """A row. at_s: when it counts, which is where its window ends, or where its ten minutes or its
    hour begin; start_s: of what it covers. width_s: that is told together, of many devices."""

    at_s: float
    start_s: float
    release: int
    counted: tuple[float, int, int, int, int, int, int, bytes]
    width_s: int = 0


class Narrowed(Struct, frozen=True):
    """A scope in numbers; None: all. is_empty: of which nothing was ever heard."""

    pipeline: int | None
    releases: Sequence[int] | None
    is_empty: bool = False

    def of(self, table: Table) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        if self.pipeline is not None:
            found.append(table.c.pipeline == self.pipeline)
        if self.releases is not None:
            found.append(table.c.release.in_(self.releases))
        return found


def narrowed_to(connection: Connection, scope: Scope) -> Narrowed:
    pipeline = None
    if scope.pipeline is not None:
        query = select(PIPELINE.c.id).where(PIPELINE.c.name == scope.pipeline)
        pipeline = connection.execute(query).scalar()
    releases = wanted_releases(connection, scope.model, scope.version)
    is_empty = releases == [] or (scope.pipeline is not None and pipeline is None)
    return Narrowed(pipeline, releases, is_empty)


def numbers_of(connection: Connection, devices: Sequence[str]) -> list[int]:
    """Of those that are known."""
    if len(devices) > MOST_BY_NUMBER:
        named = set(devices)
        everyone = connection.execute(select(DEVICE.c.name, DEVICE.c.id))
        return sorted(number for name, number in everyone if name in named)
    found: list[int] = []
    for some in in_turns(sorted(set(devices))):
        found += connection.execute(select(DEVICE.c.id).where(DEVICE.c.name.in_(some))).scalars()
    return sorted(found)


WIDTHS: dict[Resolution, float] = {"fine": 0.001, "tens": float(SLOT_S), "hour": float(HOUR_S)}


def resolution_of(
    connection: Connection, span: Span, tables: tuple[Table, Table, Table]
) -> Resolution:
    """By the length of a span, and by what there still is of its beginning. tables: of the three
    resolutions."""
    length_s = span.to_s - span.from_s
    fine, tens, hour = (_first_slot(connection, table) for table in tables)
    if length_s < LEAST_TENS_S and _reaches(fine, (tens, hour), span.from_s):
        return "fine"
    if length_s < LEAST_HOUR_S and _reaches(tens, (hour,), span.from_s):
        return "tens"
    return "hour"


def _first_slot(connection: Connection, table: Table) -> int | None:
    return connection.execute(select(func.min(table.c.slot))).scalar()


def _reaches(first: int | None, coarser: Iterable[int | None], from_s: float) -> bool:
    """Whether a table has the beginning, or no coarser one has more of it."""
    if first is not None and first * SLOT_S <= from_s:
        return True
    older = [slot // HOUR_SLOTS for slot in coarser if slot is not None]
    return not older or (first is not None and first // HOUR_SLOTS <= min(older))


def rows_of(
    connection: Connection, turn: Turn, resolution: Resolution, span: Span,
    devices: Sequence[int], narrowed: Narrowed,
) -> Iterable[Counted]:  # fmt: skip
    """What is there at this resolution, and of what is not rolled up yet at a finer one."""
    wanted = set(devices)
    for source in _sources(connection, turn, resolution, span):
        table = source.table
        at = table.c.made_s if table is FINE else table.c.slot * SLOT_S
        before = table.c.seconds if table is FINE else literal(0)
        columns = [at, at - before, table.c.release, *(table.c[name] for name in COUNTED)]
        for condition in _conditions(source, devices, narrowed):
            query = select(table.c.device, *columns).where(condition)
            for device, at_s, start_s, release, *counted in connection.execute(query):
                if device in wanted:
                    yield Counted(float(at_s), float(start_s), release, tuple(counted))


def packed_of(
    connection: Connection, turn: Turn, resolution: Resolution, span: Span,
    devices: Sequence[int], narrowed: Narrowed,
) -> list[bytes]:  # fmt: skip
    """The same, histograms only: of very many rows."""
    wanted = set(devices)
    found: list[bytes] = []
    for source in _sources(connection, turn, resolution, span):
        table = source.table
        for condition in _conditions(source, devices, narrowed):
            cursor = connection.execute(
                select(table.c.device, table.c.stages).where(condition)
            ).cursor
            assert cursor is not None
            # from the driver as they are: rows of SQLAlchemy take longer than all the rest
            found += [stages for device, stages in cursor.fetchall() if device in wanted]
    return found


class _Source(Struct, frozen=True):
    """A table, the slots in it, and what else must be true. is_new: rows that are not rolled up
    yet, few of very many: they are found by their numbers alone."""

    table: Table
    slots: range
    rest: ColumnElement[bool] | None = None
    is_new: bool = False


def _sources(
    connection: Connection, turn: Turn, resolution: Resolution, span: Span
) -> Iterable[_Source]:
    slots = slots_of(turn, resolution, span)
    if resolution == "fine":
        made = FINE.c.made_s
        within = (made >= span.from_s) & (made < span.to_s)
        yield _Source(FINE, slots_in(connection, FINE, slots), within)
        return
    first = slots.start
    if resolution == "hour":
        first = max(first, min(turn.hour_slot, slots.stop))
        hours = range(slots.start, first, HOUR_SLOTS)
        yield _Source(HOUR, slots_in(connection, HOUR, hours))
    yield _Source(TENS, slots_in(connection, TENS, range(first, slots.stop)))
    yield _Source(FINE, slots, FINE.c.id > turn.rolled, is_new=True)


def slots_of(turn: Turn, resolution: Resolution, span: Span) -> range:
    """Whole stretches of the resolution: hours as far as they are made."""
    first, last = int(span.from_s // SLOT_S), int(-(-span.to_s // SLOT_S)) - 1
    if resolution != "hour":
        return range(first, last + 1)
    if first < turn.hour_slot:
        first = first // HOUR_SLOTS * HOUR_SLOTS
    if last < turn.hour_slot:
        last = last // HOUR_SLOTS * HOUR_SLOTS + HOUR_SLOTS - 1
    return range(first, last + 1)


def slots_in(connection: Connection, table: Table, slots: range) -> range:
    """Of these, those that can be in the table."""
    limits = select(func.min(table.c.slot), func.max(table.c.slot))
    first, last = connection.execute(limits).one()
    if first is None:
        return range(0)
    begin = slots.start + max(0, -((slots.start - first) // slots.step)) * slots.step
    return range(begin, min(slots.stop, last + 1), slots.step)


def _conditions(
    source: _Source, devices: Sequence[int], narrowed: Narrowed
) -> Iterable[ColumnElement[bool]]:
    """One for each question. Each slot is asked for by itself: what is asked for as a range is
    looked through from its begin to its end, with all devices in it."""
    table, slots = source.table, source.slots
    if not slots:
        return
    parts = [*narrowed.of(table), *([] if source.rest is None else [source.rest])]
    if source.is_new:
        # + 0: not by the index
        yield and_(*parts, (table.c.slot + 0).between(slots[0], slots[-1]))
    elif len(devices) > MOST_BY_NUMBER:
        yield and_(*parts, table.c.slot.between(slots[0], slots[-1]))
    else:
        for some in in_turns(list(slots)):
            for few in in_turns(list(devices)):
                yield and_(*parts, table.c.slot.in_(some), table.c.device.in_(few))


def together(connection: Connection, span: Span, narrowed: Narrowed) -> Iterable[Counted]:
    """Of all devices, what overlaps with the span."""
    table = TOGETHER.c
    columns = (table.at_s, table.release, *(table[name] for name in COUNTED))
    wanted = and_(table.at_s < span.to_s, *narrowed.of(TOGETHER))
    for width in (PART, MINUTE_S, SLOT_S, HOUR_S):
        first = (table.width_s == width) & (table.at_s > span.from_s - max(width, MINUTE_S))
        query = select(*columns).where(first & wanted)
        for at_s, release, *counted in connection.execute(query):
            yield Counted(float(at_s), float(at_s), release, tuple(counted), width)
