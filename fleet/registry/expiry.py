"""What is too old goes, and the oldest where there is too much: a little at a time."""

from __future__ import annotations

from sqlalchemy import Connection, Table, delete, func, select

from fleet.registry.database import Database, Turn
from fleet.registry.marks import taken_out
from fleet.registry.rolling import turn_of
from fleet.registry.space import used_bytes
from fleet.registry.tables import (
    EVENT,
    FINE,
    HOUR,
    HOUR_SLOTS,
    LIFE,
    PASSED,
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
DAY_S = 86400.0
# what goes where there is too much, the oldest of it: and what of it stays for now, in seconds
LADDER: tuple[tuple[tuple[Table, ...], float], ...] = (
    ((FINE, VITAL), DAY_S),
    ((TENS, VITAL_TENS), 7 * DAY_S),
    ((EVENT,), 30 * DAY_S),
    ((HOUR, VITAL_HOUR, PASSED), 30 * DAY_S),
    ((FINE, VITAL), 3600.0),
    ((TENS, VITAL_TENS), DAY_S),
    ((EVENT,), DAY_S),
    ((PASSED,), DAY_S),
)


def expire(database: Database, now_s: float, terms: Terms) -> Expired:
    """Remove some rows."""
    rows = 0
    with database.reading() as connection:
        turn = turn_of(connection)
    for table, seconds in (
        (FINE, terms.fine_s), (VITAL, terms.fine_s), (TENS, terms.tens_s),
        (VITAL_TENS, terms.tens_s), (HOUR, terms.hours_s), (VITAL_HOUR, terms.hours_s),
        (PASSED, terms.hours_s),
    ):  # fmt: skip
        rows += _slots(database, table, _limit(table, turn, now_s - seconds))
    for table, column, seconds in (
        (EVENT, EVENT.c.at_s, terms.events_s), (LIFE, LIFE.c.changed_s, terms.events_s),
        (TOGETHER, TOGETHER.c.at_s, terms.hours_s),
    ):  # fmt: skip
        with database.writing() as (connection, turn):
            old = select(table.c.id).where(column < now_s - seconds).limit(AT_ONCE)
            removed = connection.execute(delete(table).where(table.c.id.in_(old))).rowcount
            if removed and table is TOGETHER:
                taken_out(connection, turn, table, int((now_s - seconds) // SLOT_S) + HOUR_SLOTS)
            rows += removed
    with database.writing() as (connection, _):
        unheard = SPOOL.c.heard_s < now_s - SPOOL_S
        rows += connection.execute(delete(SPOOL).where(unheard)).rowcount
    if not rows and used_bytes(database) > terms.keep_bytes:
        rows = _oldest(database, turn, now_s)
    return Expired(rows, is_done=rows == 0)


def _oldest(database: Database, turn: Turn, now_s: float) -> int:
    """Down the ladder. Returns how many rows went."""
    for tables, least_s in LADDER:
        if tables == (EVENT,):
            with database.writing() as (connection, _):
                old = select(EVENT.c.id).where(EVENT.c.at_s < now_s - least_s)
                some = old.order_by(EVENT.c.at_s).limit(AT_ONCE)
                removed = connection.execute(delete(EVENT).where(EVENT.c.id.in_(some))).rowcount
        else:
            removed = _oldest_slot(database, tables, turn, now_s - least_s)
        if removed:
            return removed
    return 0


def _oldest_slot(database: Database, tables: tuple[Table, ...], turn: Turn, before_s: float) -> int:
    with database.reading() as connection:
        firsts = [(slot, t) for t in tables if (slot := _first(connection, t)) is not None]
    for slot, table in sorted(firsts, key=lambda first: first[0]):
        limit = min(_limit(table, turn, before_s), slot + 1)
        if removed := _slots(database, table, limit):
            return removed
    return 0


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
            here &= FINE.c.id <= turn.rolled  # those are in `tens`
        removed = connection.execute(delete(table).where(here)).rowcount
        if removed and table is not FINE:
            taken_out(connection, turn, table, first)
        return removed
