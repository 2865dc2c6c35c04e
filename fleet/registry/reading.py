"""Latency, frames and vitals over time, read: from windows, ten minutes, or hours."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from msgspec.structs import replace
from sqlalchemy import Connection, Table, select

from fleet.registry.database import Database, Turn
from fleet.registry.measured import Measured, vital, worst
from fleet.registry.most import latency_of_most
from fleet.registry.naming import in_turns, releases_of
from fleet.registry.packed import EMPTY, merged, merged_by, unpack
from fleet.registry.rolling import turn_of
from fleet.registry.rows import added_up
from fleet.registry.sources import (
    WIDTHS,
    Counted,
    Resolution,
    narrowed_to,
    numbers_of,
    packed_of,
    resolution_of,
    rows_of,
    slots_in,
    together,
)
from fleet.registry.tables import (
    FINE,
    HOUR,
    HOUR_SLOTS,
    MEASURED,
    MINUTE_S,
    SLOT_S,
    TENS,
    VITAL,
    VITAL_HOUR,
    VITAL_TENS,
)
from fleet.registry.words import Scope, Span, Stretch, Vital
from wire.messages import Losses, StageCounts

WINDOWS = (FINE, TENS, HOUR)
VITALS = (VITAL, VITAL_TENS, VITAL_HOUR)
EXACT_DEVICES = 300  # of more, nothing finer than ten minutes is read


def windows(
    database: Database, device: str, pipeline: str, span: Span, most: int
) -> tuple[Stretch, ...]:
    """The oldest first."""
    with database.reading() as connection:
        numbers = numbers_of(connection, (device,))
        narrowed = narrowed_to(connection, Scope(pipeline=pipeline))
        if narrowed.is_empty or not numbers:
            return ()
        resolution = resolution_of(connection, span, WINDOWS)
        rows = list(rows_of(connection, turn_of(connection), resolution, span, numbers, narrowed))
        width_s = max((span.to_s - span.from_s) / max(1, most), WIDTHS[resolution])
        found = _stretches(connection, rows, span.from_s, width_s)
    return tuple(stretch for _, stretch in found)


def latency(database: Database, span: Span, scope: Scope) -> StageCounts:
    """Over all devices exact to the minute; of many of them to ten minutes. Of most of them, least
    and most are within 4.4 %."""
    with database.reading() as connection:
        narrowed = narrowed_to(connection, scope)
        if narrowed.is_empty:
            return unpack(EMPTY)
        if scope.devices is None:
            rows = list(together(connection, span, narrowed))
            return unpack(merged([row.counted[-1] for row in rows]))
        numbers = numbers_of(connection, scope.devices)
        resolution = _resolution_for(connection, span, len(numbers))
        asked = (connection, turn_of(connection), resolution, span, numbers, narrowed)
        if len(numbers) > EXACT_DEVICES:
            found = latency_of_most(*asked)
            if found is not None:
                return found
        return unpack(merged(packed_of(*asked)))


def series(database: Database, span: Span, scope: Scope, most: int) -> tuple[Stretch, ...]:
    """The oldest first; of one moment, a stretch for each model and version."""
    width_s = float(MINUTE_S)
    with database.reading() as connection:
        narrowed = narrowed_to(connection, scope)
        if narrowed.is_empty:
            return ()
        if scope.devices is None:
            rows = [r for r in together(connection, span, narrowed) if r.at_s >= span.from_s]
            width_s = max([width_s, *(row.width_s for row in rows)])
        else:
            numbers = numbers_of(connection, scope.devices)
            resolution = _resolution_for(connection, span, len(numbers))
            turn = turn_of(connection)
            rows = list(rows_of(connection, turn, resolution, span, numbers, narrowed))
            width_s = max(width_s, WIDTHS[resolution])
        width_s *= max(1, math.ceil((span.to_s - span.from_s) / max(1, most) / width_s))
        origin_s = span.from_s // width_s * width_s
        found = _stretches(connection, rows, origin_s, width_s)
    return tuple(_over(span, origin_s + place * width_s, width_s, each) for place, each in found)


def _resolution_for(connection: Connection, span: Span, devices: int) -> Resolution:
    resolution = resolution_of(connection, span, WINDOWS)
    return "tens" if resolution == "fine" and devices > EXACT_DEVICES else resolution


def vitals(database: Database, device: str, span: Span, most: int) -> tuple[Vital, ...]:
    """The oldest first."""
    with database.reading() as connection:
        numbers = numbers_of(connection, (device,))
        if not numbers:
            return ()
        resolution = resolution_of(connection, span, VITALS)
        rows = list(_vital_rows(connection, turn_of(connection), resolution, span, numbers[0]))
    width_s = max((span.to_s - span.from_s) / max(1, most), WIDTHS[resolution])
    groups: dict[int, list[tuple[float, Measured]]] = {}
    for start_s, row in rows:
        groups.setdefault(int((start_s - span.from_s) // width_s), []).append((start_s, row))
    return tuple(
        vital(min(start_s for start_s, _ in many), worst(row for _, row in many))
        for _, many in sorted(groups.items())
    )


def _vital_rows(
    connection: Connection, turn: Turn, resolution: Resolution, span: Span, device: int
) -> Iterable[tuple[float, Measured]]:
    first, last = int(span.from_s // SLOT_S), int(-(-span.to_s // SLOT_S)) - 1
    if resolution == "hour":
        hour = turn.vital_slot // HOUR_SLOTS * HOUR_SLOTS
        slots = range(first // HOUR_SLOTS * HOUR_SLOTS, min(last + 1, hour), HOUR_SLOTS)
        yield from _of_slots(connection, VITAL_HOUR, slots, device)
        first = max(first, hour)
    if resolution != "fine":
        slots = range(first, min(last + 1, turn.vital_slot))
        yield from _of_slots(connection, VITAL_TENS, slots, device)
        first = max(first, turn.vital_slot)
    for made_s, row in _of_slots(connection, VITAL, range(first, last + 1), device):
        if made_s < span.to_s and (resolution != "fine" or made_s >= span.from_s):
            yield made_s, row


def _of_slots(
    connection: Connection, table: Table, slots: range, device: int
) -> Iterable[tuple[float, Measured]]:
    at = table.c.made_s if table is VITAL else table.c.slot * SLOT_S
    query = select(at, *(table.c[name] for name in MEASURED)).where(table.c.device == device)
    for some in in_turns(list(slots_in(connection, table, slots))):
        for at_s, *figures in connection.execute(query.where(table.c.slot.in_(some))):
            yield float(at_s), Measured(*figures)


def _stretches(
    connection: Connection, rows: Sequence[Counted], origin_s: float, width_s: float
) -> list[tuple[int, Stretch]]:
    """Rows of the same `width_s`, of one release, in one, with the number of that `width_s` after
    `origin_s`. The oldest first."""
    groups: dict[tuple[int, int], list[Counted]] = {}
    for row in rows:
        place = int((row.at_s - origin_s) // width_s)
        groups.setdefault((place, row.release), []).append(row)
    ordered = sorted(groups.items(), key=lambda one: min(row.start_s for row in one[1]))
    names = releases_of(connection, {release for (_, release), _ in ordered})
    stages = merged_by(
        [row.counted[-1] for _, many in ordered for row in many],
        [number for number, (_, many) in enumerate(ordered) for _ in many],
        len(ordered),
    )
    found = []
    for ((place, release), many), packed in zip(ordered, stages, strict=True):
        added = added_up([row.counted[:-1] for row in many])
        seconds, frames, skipped, driver, decode, refused, restarts = added
        model, version = names.get(release, ("", ""))
        told = Stretch(
            start_s=min(row.start_s for row in many),
            seconds=seconds,
            model=model,
            version=version,
            frames=frames,
            fps=frames / seconds if seconds >= 1 else None,
            losses=Losses(skipped, driver, decode, refused),
            stages=unpack(packed),
            restarts=restarts,
        )
        found.append((place, told))
    return found


def _over(span: Span, begin_s: float, width_s: float, stretch: Stretch) -> Stretch:
    """Of many devices at the same time: frames a second of all of them."""
    start_s = max(span.from_s, begin_s)
    seconds = min(span.to_s, begin_s + width_s) - start_s
    fps = stretch.frames / seconds if seconds >= 1 else None
    return replace(stretch, start_s=start_s, seconds=seconds, fps=fps)
