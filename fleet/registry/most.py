"""Latency of most devices: that of all of them together, less that of the others.

All together is a few rows of each minute; by name, it is a row of each device and ten minutes.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, and_, or_, select

from fleet.registry.database import Turn
from fleet.registry.packed import merged, unpack
from fleet.registry.sources import Narrowed, Resolution, packed_of, slots_of
from fleet.registry.tables import DEVICE, HOUR_S, SLOT_S, TOGETHER
from fleet.registry.words import Span
from wire.histogram import Counts, subtract
from wire.messages import StageCounts


def latency_of_most(
    connection: Connection, turn: Turn, resolution: Resolution, span: Span,
    devices: Sequence[int], narrowed: Narrowed,
) -> StageCounts | None:  # fmt: skip
    """What `packed_of` would tell of these devices; least and most are within 4.4 % of it. None:
    they are not most of all, or all together are not the sum of each here."""
    named = set(devices)
    others = [each for each in connection.execute(select(DEVICE.c.id)).scalars()
              if each not in named]  # fmt: skip
    slots = slots_of(turn, resolution, span)
    if len(others) > len(named) or not _is_whole(turn, resolution, slots):
        return None
    table = TOGETHER.c
    from_s, to_s = slots.start * SLOT_S, slots.stop * SLOT_S
    over_an_end = or_(
        *((table.at_s > at_s - HOUR_S) & (table.at_s < at_s) for at_s in (from_s, to_s))
    )
    wide = select(table.at_s).where((table.width_s == HOUR_S) & over_an_end).limit(1)
    if connection.execute(wide).first() is not None:
        return None
    within = and_(table.at_s >= from_s, table.at_s < to_s, *narrowed.of(TOGETHER))
    all_of_them = unpack(
        merged(list(connection.execute(select(table.stages).where(within)).scalars()))
    )
    if not others:
        return all_of_them
    rest = unpack(merged(packed_of(connection, turn, resolution, span, others, narrowed)))
    return _less(all_of_them, rest)


def _is_whole(turn: Turn, resolution: Resolution, slots: range) -> bool:
    """Whether nothing of any device was taken out of the tables here."""
    if resolution == "hour":
        by_tens = max(slots.start, turn.hour_slot)
        return turn.hour_whole <= slots.start and turn.tens_whole <= by_tens
    return resolution == "tens" and turn.tens_whole <= slots.start


def _less(whole: StageCounts, part: StageCounts) -> StageCounts | None:
    """None: that is no part of it."""
    pairs = [(getattr(whole, name), getattr(part, name)) for name in whole.__struct_fields__]
    if not all(_has(counts, less) for counts, less in pairs):
        return None
    return StageCounts(*(subtract(counts, less) for counts, less in pairs))


def _has(whole: Counts, part: Counts) -> bool:
    end = whole.offset + len(whole.counts)
    return all(
        not count or (whole.offset <= place < end and count <= whole.counts[place - whole.offset])
        for place, count in enumerate(part.counts, part.offset)
    )
