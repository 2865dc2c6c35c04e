"""A device is removed with everything that is known of it but its name."""

from __future__ import annotations

from sqlalchemy import delete, func, select, update

from fleet.registry.database import Database
from fleet.registry.marks import taken_out
from fleet.registry.tables import (
    DEVICE,
    EVENT,
    FINE,
    HOUR,
    LIFE,
    PASSED,
    RETAINED,
    SPOOL,
    TENS,
    TURN,
    VITAL,
    VITAL_HOUR,
    VITAL_TENS,
    WORD,
)

SLOTS_AT_ONCE = 1000


def forget(database: Database, device: str) -> None:
    """What it says later is heard again. Nothing happens where there is no such device."""
    with database.reading() as connection:
        number = connection.execute(select(DEVICE.c.id).where(DEVICE.c.name == device)).scalar()
    if number is None:
        return
    with database.writing() as (connection, turn):
        for table in (EVENT, LIFE, SPOOL, RETAINED):
            connection.execute(delete(table).where(table.c.device == number))
        batch = turn.batch + 1
        connection.execute(
            update(WORD)
            .where(WORD.c.device == number)
            .values(
                changed=batch, is_removed=True, telemetry=None, spool=None, seq=None, boot=None,
                uptime_s=None, reached_s=None, clock_off_s=None, lost=0,
            )
        )  # fmt: skip
        connection.execute(update(TURN).values(batch=batch))
    for table in (FINE, VITAL, TENS, VITAL_TENS, HOUR, VITAL_HOUR, PASSED):
        with database.reading() as connection:
            query = select(func.min(table.c.slot), func.max(table.c.slot))
            first, last = connection.execute(query).one()
        if first is None:
            continue
        for start in range(first, last + 1, SLOTS_AT_ONCE):
            slots = range(start, min(start + SLOTS_AT_ONCE, last + 1))
            with database.writing() as (connection, turn):
                here = table.c.slot.in_(list(slots)) & (table.c.device == number)
                latest = connection.execute(select(func.max(table.c.slot)).where(here)).scalar()
                if latest is not None:
                    connection.execute(delete(table).where(here))
                    taken_out(connection, turn, table, latest)
