"""What is too old goes, and the oldest where there is too much: a little at a time."""

from __future__ import annotations

from sqlalchemy import Connection, Table, delete, func, select

from fleet.registry.database import Database, Turn
from fleet.registry.rolling import turn_of
from fleet.registry.space import used_bytes
from fleet.registry.tables import (
    EVENT,
    FINE,
    HOUR,
    HOUR_SLOTS,
    LIFE,
    SLOT_S,
    SPOOL,
    TENS,
    TOGETHER,
    VITAL,
    VITAL_HOUR,
    VITAL_TENS,
)
from fleet.registry.words import Expired, Terms

AT_ONCE = 5000  # rows
SPOOL_S = 40 * 86400.0  # a spool that was not heard for so long sends nothing of it any more
LEAST_FINE_S, LEAST_TENS_S = 3600.0, 86400.0  # stay, however little room there is


def expire(database: Database, now_s: float, terms: Terms) -> Expired:
    """Remove some rows."""
    rows = 0
    with database.reading() as connection:
        turn = turn_of(connection)
    for table, seconds in (
        (FINE, terms.fine_s), (VITAL, terms.fine_s), (TENS, terms.tens_s),
        (VITAL_TENS, terms.tens_s), (HOUR, terms.hours_s), (VITAL_HOUR, terms.hours_s),
    ):  # fmt: skip
        rows += _slots(database, table, _limit(table, turn, now_s - seconds))
    for table, column, seconds in (
        (EVENT, EVENT.c.at_s, terms.events_s), (LIFE, LIFE.c.changed_s, terms.events_s),
        (TOGETHER, TOGETHER.c.at_s, terms.hours_s),
    ):  # fmt: skip
        with database.writing() as (connection, _):
            old = select(table.c.id).where(column < now_s - seconds).limit(AT_ONCE)
            rows += connection.execute(delete(table).where(table.c.id.in_(old))).rowcount
    with database.writing() as (connection, _):
        unheard = SPOOL.c.heard_s < now_s - SPOOL_S
        rows += connection.execute(delete(SPOOL).where(unheard)).rowcount
    if not rows and used_bytes(database) > terms.keep_bytes:
        rows = _oldest(database, turn, now_s)
    return Expired(rows, is_done=rows == 0)


def _oldest(database: Database, turn: Turn, now_s: float) -> int:
    """Windows and their vitals first, then rows of ten minutes, then events, then hours."""
    for tables, least_s in (
        ((FINE, VITAL), LEAST_FINE_S), ((TENS, VITAL_TENS), LEAST_TENS_S),
    ):  # fmt: skip
        with database.reading() as connection:
            firsts = [(slot, t) for t in tables if (slot := _first(connection, t)) is not None]
        firsts.sort(key=lambda first: first[0])
        for slot, table in firsts:
            limit = min(_limit(table, turn, now_s - least_s), slot + 1)
            if removed := _slots(database, table, limit):
                return removed
    with database.writing() as (connection, _):
        old = select(EVENT.c.id).where(EVENT.c.at_s < now_s - LEAST_TENS_S)
        some = old.order_by(EVENT.c.id).limit(AT_ONCE)
        removed = connection.execute(delete(EVENT).where(EVENT.c.id.in_(some))).rowcount
    for table in (HOUR, VITAL_HOUR):
        removed = removed or _slots(database, table, _limit(table, turn, now_s - LEAST_TENS_S))
    return removed


def _limit(table: Table, turn: Turn, before_s: float) -> int:
    """The slot that stays. What is not rolled up yet stays in any case."""
    slot = int(before_s // SLOT_S)
    if table in (TENS, FINE):
        return min(slot, turn.hour_slot)
    if table is VITAL:
        return min(slot, turn.vital_slot)
    if table is VITAL_TENS:
        return min(slot, turn.vital_slot // HOUR_SLOTS * HOUR_SLOTS)
    return slot


def _first(connection: Connection, table: Table) -> int | None:
    return connection.execute(select(func.min(table.c.slot))).scalar()


def _slots(database: Database, table: Table, limit: int) -> int:
    """Remove rows of the first slot, if it is before `limit`. Returns how many."""
    with database.writing() as (connection, turn):
        first = _first(connection, table)
        if first is None or first >= limit:
            return 0
        here = table.c.slot == first
        devices = select(table.c.device).where(here).order_by(table.c.device)
        beyond = connection.execute(devices.offset(AT_ONCE).limit(1)).scalar()
        if beyond is not None:
            here &= table.c.device <= beyond
        if table is FINE:
            here &= FINE.c.id <= turn.rolled
        return connection.execute(delete(table).where(here)).rowcount
