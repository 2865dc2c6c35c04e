"""Who alone does what one process should do: for a while, and then again."""

from __future__ import annotations

from sqlalchemy import Select, delete, select

from fleet.registry.database import Database
from fleet.registry.rows import put
from fleet.registry.tables import LEASE


def take(database: Database, name: str, holder: str, now_s: float, for_s: float) -> bool:
    """Whether `holder` has it now. Who has it asks again before `for_s` is over."""
    with database.reading() as connection:
        row = connection.execute(_of(name)).first()
        if row is not None and row.holder != holder and row.until_s > now_s:
            return False
    with database.writing() as (connection, _):
        row = connection.execute(_of(name)).first()
        # a clock that was set back must not keep it for ever
        is_taken = row is not None and now_s < row.until_s < now_s + 10 * for_s
        if row is not None and is_taken and row.holder != holder:
            return False
        put(connection, LEASE, [{"name": name, "holder": holder, "until_s": now_s + for_s}])
    return True


def give_back(database: Database, name: str, holder: str) -> None:
    with database.writing() as (connection, _):
        connection.execute(delete(LEASE).where(LEASE.c.name == name, LEASE.c.holder == holder))


def _of(name: str) -> Select[tuple[str, float]]:
    return select(LEASE.c.holder, LEASE.c.until_s).where(LEASE.c.name == name)
