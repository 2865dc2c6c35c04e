"""The vitals of boards become rows of ten minutes and of hours: the worst of each figure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Table, func, insert, select, update

from fleet.registry.database import Database
from fleet.registry.measured import THROTTLES, Measured, worst
from fleet.registry.rolling import GRACE_S, turn_of
from fleet.registry.rows import Values, put
from fleet.registry.tables import (
    HOUR_SLOTS,
    MEASURED,
    SLOT_S,
    TURN,
    VITAL,
    VITAL_HOUR,
    VITAL_TENS,
)


class Late(Struct, frozen=True):
    """What came after its ten minutes were made."""

    slot: int
    device: int
    measured: Measured


def roll_vitals(database: Database, now_s: float) -> bool:
    """Make the rows of the next ten minutes that have ended. Whether there was one."""
    with database.reading() as connection:
        slot = _next_slot(connection, turn_of(connection).vital_slot)
    if slot is None or (slot + 1) * SLOT_S > now_s - GRACE_S:
        return False
    with database.writing() as (connection, turn):
        if slot < turn.vital_slot:
            return True  # another was quicker
        before = turn.vital_slot // HOUR_SLOTS * HOUR_SLOTS
        hour = slot // HOUR_SLOTS * HOUR_SLOTS
        if before < hour:
            _make(connection, VITAL_TENS, VITAL_HOUR, (before, hour))
        _make(connection, VITAL, VITAL_TENS, (slot, slot + 1))
        connection.execute(update(TURN).values(vital_slot=slot + 1))
    return True


def add_late(connection: Connection, late: Sequence[Late], vital_slot: int) -> None:
    """Add to rows that are made already. vital_slot: of TURN."""
    hours = [
        Late(each.slot // HOUR_SLOTS * HOUR_SLOTS, each.device, each.measured)
        for each in late
        if each.slot < vital_slot // HOUR_SLOTS * HOUR_SLOTS
    ]
    _add(connection, VITAL_TENS, late)
    _add(connection, VITAL_HOUR, hours)


def _add(connection: Connection, table: Table, late: Sequence[Late]) -> None:
    groups: dict[tuple[int, int], list[Measured]] = {}
    for each in late:
        groups.setdefault((each.slot, each.device), []).append(each.measured)
    columns = [table.c[name] for name in MEASURED]
    rows: list[Values] = []
    for (slot, device), many in groups.items():
        query = select(*columns).where(table.c.slot == slot, table.c.device == device)
        if (row := connection.execute(query).first()) is not None:
            many.append(Measured(*row))
        place: Values = {"slot": slot, "device": device}
        rows.append(place | {name: getattr(worst(many), name) for name in MEASURED})
    put(connection, table, rows)


def _next_slot(connection: Connection, vital_slot: int) -> int | None:
    first = connection.execute(select(func.min(VITAL.c.slot)).where(VITAL.c.slot >= vital_slot))
    return first.scalar()


def _make(connection: Connection, of: Table, into: Table, slots: tuple[int, int]) -> None:
    """The worst of each figure of each device in these slots: rows of the first slot of each hour,
    or of the slot itself. slots: the first, and the one behind the last."""
    slot: ColumnElement[int] = of.c.slot
    if into is VITAL_HOUR:
        slot = of.c.slot - of.c.slot % HOUR_SLOTS
    bits = [func.max(of.c.throttled.bitwise_and(1 << place)) for place in range(len(THROTTLES))]
    figures = [func.max(of.c[name]) for name in MEASURED[:-1]]
    query = (
        select(slot, of.c.device, *figures, sum(bits[1:], start=bits[0]))
        .where(of.c.slot >= slots[0], of.c.slot < slots[1])
        .group_by(slot, of.c.device)
    )
    connection.execute(insert(into).from_select(["slot", "device", *MEASURED], query))
