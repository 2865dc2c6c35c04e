"""Rows on their way into tables, and what they count, added up."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql.dml import Insert as PostgresqlInsert
from sqlalchemy.dialects.sqlite.dml import Insert as SqliteInsert

Values = dict[str, object]
# seconds, frames, four losses, restarts
Added = tuple[float, int, int, int, int, int, int]


def insert_new(connection: Connection, table: Table, rows: Sequence[Values]) -> None:
    """Those that are there already stay as they are."""
    connection.execute(_insert(connection, table).on_conflict_do_nothing(), rows)


def put(connection: Connection, table: Table, rows: Sequence[Values]) -> None:
    """New rows, or these columns of rows that are there."""
    if not rows:
        return
    statement = _insert(connection, table)
    keys = [column.name for column in table.primary_key]
    taken = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=taken), rows)


def added_up(many: Sequence[Sequence[float]]) -> Added:
    """What windows count; restarts: the most."""
    seconds, frames, skipped, driver, decode, refused, restarts = zip(*many, strict=True)
    return (
        float(sum(seconds)),
        int(sum(frames)),
        int(sum(skipped)),
        int(sum(driver)),
        int(sum(decode)),
        int(sum(refused)),
        int(max(restarts)),
    )


def _insert(connection: Connection, table: Table) -> SqliteInsert | PostgresqlInsert:
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)
