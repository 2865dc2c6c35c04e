"""From when on the tables by device have all that all devices together have."""

from __future__ import annotations

from sqlalchemy import Connection, Table, update

from fleet.registry.database import Turn
from fleet.registry.tables import FINE, HOUR, HOUR_SLOTS, TENS, TOGETHER, TURN


def taken_out(connection: Connection, turn: Turn, table: Table, slot: int) -> None:
    """Rows up to this slot are taken out of a table, in the transaction of `turn`; of windows, also
    such as were not rolled up."""
    behind = slot + (HOUR_SLOTS if table is HOUR else 1)
    marks = {}
    if table in (FINE, TENS, TOGETHER) and behind > turn.tens_whole:
        marks["tens_whole"] = behind
    if table in (FINE, HOUR, TOGETHER) and behind > turn.hour_whole:
        marks["hour_whole"] = behind
    if marks:
        connection.execute(update(TURN).values(**marks))
