"""Windows become rows of ten minutes and of hours: each exactly once, histograms stay histograms.

Reading and adding up are done before the database is held; who then finds that another was quicker
has done nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Table, func, select, update

from fleet.registry.database import Database, Turn
from fleet.registry.naming import in_turns
from fleet.registry.packed import merged_by
from fleet.registry.rows import Values, added_up, put
from fleet.registry.tables import COUNTED, FINE, HOUR, HOUR_SLOTS, SLOT_S, TENS, TURN

AT_ONCE = 40_000  # windows
DEVICES_AT_ONCE = 2000  # of an hour
GRACE_S = 120.0  # after its end, most of what belongs to a stretch has come

Key = tuple[int, int, int, int]  # slot, device, pipeline, release
Counted = tuple[float, int, int, int, int, int, int, bytes]
_KEYS = ("slot", "device", "pipeline", "release")


def roll_tens(database: Database) -> int:
    """Add windows that are new to the rows of their ten minutes. Returns how many there were."""
    columns = [FINE.c[name] for name in (*_KEYS, *COUNTED)]
    with database.reading() as connection:
        turn = turn_of(connection)
        new = select(FINE.c.id, *columns).where(FINE.c.id > turn.rolled)
        found = connection.execute(new.order_by(FINE.c.id).limit(AT_ONCE)).all()
        if not found:
            return 0
        groups: dict[Key, list[Counted]] = {}
        for _, slot, device, pipeline, release, *counted in found:
            groups.setdefault((slot, device, pipeline, release), []).append(_counted(counted))
        for key, before in _stored(connection, TENS, groups):
            groups[key].append(before)
    rows = merged_rows(groups)
    with database.writing() as (connection, now):
        if now.rolled != turn.rolled:
            return 0
        put(connection, TENS, rows)
        _add_to_hours(connection, [row for row in found if row.slot < now.hour_slot])
        connection.execute(update(TURN).values(rolled=found[-1][0]))
    return len(found)


def roll_hour(database: Database, now_s: float) -> bool:
    """Make the rows of the next hour that has ended. Whether there was one."""
    with database.reading() as connection:
        turn = turn_of(connection)
        if turn.rolled < turn.fine_id:
            return False
        hour = _next_hour(connection, turn)
        if hour is None or (hour + HOUR_SLOTS) * SLOT_S > now_s - GRACE_S:
            return False
        slots = TENS.c.slot.between(hour, hour + HOUR_SLOTS - 1)
        ids = select(TENS.c.device).where(slots).distinct().order_by(TENS.c.device)
        devices = list(connection.execute(ids).scalars())
    for start in range(0, len(devices), DEVICES_AT_ONCE):
        some = devices[start : start + DEVICES_AT_ONCE]
        with database.reading() as connection:
            if turn_of(connection).rolled != turn.rolled:
                return False
            rows = _hour_rows(connection, hour, some)
        with database.writing() as (connection, now):
            if now.rolled != turn.rolled:
                return False
            put(connection, HOUR, rows)
    with database.writing() as (connection, now):
        if now.rolled != turn.rolled:
            return False
        connection.execute(update(TURN).values(hour_slot=hour + HOUR_SLOTS))
    return True


def merged_rows(groups: dict[Key, list[Counted]]) -> list[Values]:
    """A row of each group."""
    stages = merged_by(
        [counted[-1] for many in groups.values() for counted in many],
        [number for number, many in enumerate(groups.values()) for _ in many],
        len(groups),
    )
    rows: list[Values] = []
    for (key, many), merged in zip(groups.items(), stages, strict=True):
        row: Values = dict(zip(_KEYS, key, strict=True))
        added = (*added_up([counted[:-1] for counted in many]), merged)
        rows.append(row | dict(zip(COUNTED, added, strict=True)))
    return rows


def turn_of(connection: Connection) -> Turn:
    return Turn(*connection.execute(select(TURN)).one()[1:])


def _stored(
    connection: Connection, table: Table, keys: Iterable[Key]
) -> Iterable[tuple[Key, Counted]]:
    """Those rows that are there already."""
    wanted: dict[int, set[int]] = {}
    asked = set(keys)
    for slot, device, *_ in asked:
        wanted.setdefault(slot, set()).add(device)
    columns = [table.c[name] for name in (*_KEYS, *COUNTED)]
    for slot, devices in wanted.items():
        for some in in_turns(sorted(devices)):
            query = select(*columns).where(table.c.slot == slot, table.c.device.in_(some))
            for _, device, pipeline, release, *counted in connection.execute(query):
                key = (slot, device, pipeline, release)
                if key in asked:
                    yield key, _counted(counted)


def _next_hour(connection: Connection, turn: Turn) -> int | None:
    """The slot in which the first hour begins that is not made yet."""
    query = select(func.min(TENS.c.slot)).where(TENS.c.slot >= turn.hour_slot)
    first = connection.execute(query).scalar()
    return None if first is None else int(first) // HOUR_SLOTS * HOUR_SLOTS


def _hour_rows(connection: Connection, hour: int, devices: Sequence[int]) -> list[Values]:
    """Of some devices, of all that there is of an hour now."""
    groups: dict[Key, list[Counted]] = {}
    columns = [TENS.c[name] for name in (*_KEYS[1:], *COUNTED)]
    slots = TENS.c.slot.in_(range(hour, hour + HOUR_SLOTS))
    for some in in_turns(list(devices)):
        query = select(*columns).where(slots, TENS.c.device.in_(some))
        for device, pipeline, release, *counted in connection.execute(query):
            groups.setdefault((hour, device, pipeline, release), []).append(_counted(counted))
    return merged_rows(groups)


def _add_to_hours(connection: Connection, late: Iterable[Row[Any]]) -> None:
    """Windows that came after their hours were made. Their ten minutes may be gone by now, so an
    hour is not made of them again."""
    groups: dict[Key, list[Counted]] = {}
    for row in late:
        key = (row.slot // HOUR_SLOTS * HOUR_SLOTS, row.device, row.pipeline, row.release)
        groups.setdefault(key, []).append(_counted(row[-len(COUNTED) :]))
    for key, before in _stored(connection, HOUR, groups):
        groups[key].append(before)
    put(connection, HOUR, merged_rows(groups))


def _counted(row: Sequence[object]) -> Counted:
    seconds, frames, skipped, driver, decode, refused, restarts, stages = row
    return (  # type: ignore[return-value]  # columns of these types
        seconds, frames, skipped, driver, decode, refused, restarts, stages,
    )  # fmt: skip
