"""Rows on their way into tables, and what they count, added up.

Thousands of them are written at a time, so they go to the driver as they are: SQLAlchemy would
take each apart and put it together again.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Table

Values = dict[str, object]  # by column, in the same order in all rows of one call
# seconds, frames, four losses, restarts
Added = tuple[float, int, int, int, int, int, int]


def add(connection: Connection, table: Table, rows: Sequence[Values]) -> None:
    """Rows that are not there yet."""
    _write(connection, table, rows, "")


def insert_new(connection: Connection, table: Table, rows: Sequence[Values]) -> None:
    """Those that are there already stay as they are."""
    _write(connection, table, rows, "ON CONFLICT DO NOTHING")


def put(connection: Connection, table: Table, rows: Sequence[Values]) -> None:
    """New rows, or these columns of rows that are there."""
    if not rows:
        return
    quote = connection.dialect.identifier_preparer.quote
    keys = [column.name for column in table.primary_key]
    taken = [f"{quote(c)} = excluded.{quote(c)}" for c in rows[0] if c not in keys]
    there = ", ".join(map(quote, keys))
    _write(connection, table, rows, f"ON CONFLICT ({there}) DO UPDATE SET {', '.join(taken)}")


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


def _write(connection: Connection, table: Table, rows: Sequence[Values], rest: str) -> None:
    """rest: what to do about rows that are there; in one call no row is there twice."""
    if not rows:
        return
    dialect = connection.dialect
    quote = dialect.identifier_preparer.quote
    columns = ", ".join(map(quote, rows[0]))
    # names of our own tables and columns only
    into = f"INSERT INTO {quote(table.name)} ({columns})"
    if dialect.name == "sqlite":
        places = ", ".join("?" * len(rows[0]))
        many = [tuple(row.values()) for row in rows]
        connection.exec_driver_sql(f"{into} VALUES ({places}) {rest}", many)
        return
    # one statement with an array for each column is less work than one for each row
    arrays = ", ".join(f"%b::{table.c[name].type.compile(dialect)}[]" for name in rows[0])
    values = tuple(map(list, zip(*(row.values() for row in rows), strict=True)))
    text = f"{into} SELECT * FROM unnest({arrays}) {rest}"  # noqa: S608
    connection.exec_driver_sql(text, values)
