"""How much room the registry takes."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, Table, func, select, text

from fleet.registry.database import Database
from fleet.registry.tables import (
    EVENT,
    FINE,
    HOUR,
    LIFE,
    METADATA,
    PASSED,
    SLOT_S,
    TENS,
    TOGETHER,
    VITAL,
    VITAL_HOUR,
    VITAL_TENS,
)
from fleet.registry.words import Sizes, TableSize

SAMPLE = 200  # rows
ROW_BYTES = 60  # of a row beside its histograms and texts, with its place in indexes
# PostgreSQL: rows that live, each as wide as its columns are and with a head; room that is free
# in a file is used again, but no figure of the server says how much that is
_POSTGRESQL_USED = """
SELECT coalesce(sum(t.n_live_tup * (w.width + 60)), 0) FROM pg_stat_user_tables t JOIN (
  SELECT schemaname, tablename, sum(avg_width) AS width FROM pg_stats GROUP BY 1, 2
) w ON w.schemaname = t.schemaname AND w.tablename = t.relname
"""
_OLDEST = {
    EVENT: EVENT.c.at_s,
    LIFE: LIFE.c.changed_s,
    TOGETHER: TOGETHER.c.at_s,
    **{
        table: table.c.slot * SLOT_S
        for table in (FINE, TENS, HOUR, PASSED, VITAL, VITAL_TENS, VITAL_HOUR)
    },
}


def used_bytes(database: Database) -> int:
    """Without what is free for new rows."""
    with database.reading() as connection:
        whole, free = _pages(connection)
        return whole - free


def sizes(database: Database) -> Sizes:
    with database.reading() as connection:
        whole, free = _pages(connection)
        tables = tuple(_table_sizes(connection))
    return Sizes(whole, free, tables)


def _pages(connection: Connection) -> tuple[int, int]:
    """Bytes of the whole, and of these what is free."""
    if connection.dialect.name == "sqlite":
        size, pages, free = (
            int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
            for name in ("page_size", "page_count", "freelist_count")
        )
        return size * pages, size * free
    whole = int(
        connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
    )
    used = int(connection.execute(text(_POSTGRESQL_USED)).scalar_one())
    return whole, max(0, whole - used) if used else 0


def _table_sizes(connection: Connection) -> Iterable[TableSize]:
    """Of the tables that grow. Rows are counted, bytes are estimated by some of them."""
    for table in METADATA.sorted_tables:
        if table not in _OLDEST:
            continue
        rows = _rows(connection, table)
        oldest = connection.execute(select(func.min(_OLDEST[table]))).scalar()
        wide = next((c for c in ("stages", "payload", "steps", "sums") if c in table.c), None)
        width = 0.0
        if wide is not None:
            some = select(func.length(table.c[wide]).label("n")).limit(SAMPLE).subquery()
            width = float(connection.execute(select(func.avg(some.c.n))).scalar() or 0.0)
        oldest_s = None if oldest is None else float(oldest)
        yield TableSize(table.name, rows, int(rows * (width + ROW_BYTES)), oldest_s)


def _rows(connection: Connection, table: Table) -> int:
    """Where numbers are given one after the other, they say it, and nothing need be read."""
    if table in (FINE, EVENT):
        first, last = connection.execute(select(func.min(table.c.id), func.max(table.c.id))).one()
        return 0 if first is None else int(last) - int(first) + 1
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())
