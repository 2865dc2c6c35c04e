"""Which version the tables are of, and how older ones become this one."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, insert, inspect, select, text, update

from fleet.registry.tables import METADATA, SCHEMA, TURN
from wire.troubles import Refused

LOCK = 7_061_311  # of PostgreSQL, while somebody builds


def _first(connection: Connection) -> None:
    METADATA.create_all(connection)
    connection.execute(
        insert(TURN).values(
            id=1, batch=0, fine_id=0, event_id=0, rolled=0, hour_slot=0, vital_slot=0
        )
    )
    connection.execute(insert(SCHEMA).values(version=0))


# each makes of its place's version the next one; only ever add to them
STEPS: tuple[Callable[[Connection], None], ...] = (_first,)


def build(connection: Connection) -> None:
    """Make the tables, or bring them up to date. Raises Refused: they are of a newer version."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
    version = 0
    if inspect(connection).has_table(SCHEMA.name):
        version = connection.execute(select(SCHEMA.c.version)).scalar_one()
    if version > len(STEPS):
        raise Refused(
            f"the registry in this database is of version {version}, and this program knows "
            f"{len(STEPS)}: run the newer vedette"
        )
    for step in STEPS[version:]:
        step(connection)
    if version < len(STEPS):
        connection.execute(update(SCHEMA).values(version=len(STEPS)))
