"""How the registry's tables are made, and how older ones become these."""

from __future__ import annotations

from sqlalchemy import Connection, func, insert, inspect, select, text, update

from fleet.registry.engine import damaged
from fleet.registry.tables import (
    EVENT,
    FINE,
    METADATA,
    PASSED,
    SCHEMA,
    TOGETHER,
    TURN,
    new_identity,
)
from fleet.registry.versions import Build


def _make(connection: Connection) -> None:
    if inspect(connection).has_table(TURN.name):
        raise damaged("its tables are there, and nothing says of which version")
    METADATA.create_all(connection)
    connection.execute(
        insert(TURN).values(
            id=1, batch=0, fine_id=0, event_id=0, rolled=0, hour_slot=0, vital_slot=0, tens_whole=0,
            hour_whole=0,
        )
    )  # fmt: skip


def _by_time(connection: Connection) -> None:
    """Events are read by the time at which they happened, and it is written down since when figures
    of all devices are the sum of those of each: of what is here already nobody knows."""
    for old in ("event_device", "event_at"):
        connection.execute(text(f"DROP INDEX {old}"))
    for index in sorted(EVENT.indexes, key=lambda index: str(index.name)):
        index.create(connection)
    for column in ("tens_whole", "hour_whole"):
        connection.execute(text(f"ALTER TABLE turn ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0"))
    last = connection.execute(select(func.max(FINE.c.slot))).scalar()
    since = 0 if last is None else int(last) + 1
    connection.execute(update(TURN).values(tens_whole=since, hour_whole=since))


def _identified(connection: Connection) -> None:
    """The database has an identity."""
    connection.execute(text(f"ALTER TABLE {SCHEMA.name} ADD COLUMN identity VARCHAR(32)"))
    connection.execute(update(SCHEMA).values(identity=new_identity()))


def _beyond_2038(connection: Connection) -> None:
    """Version 4: seconds since 1970 in 64 bits, as SQLite has them anyway."""
    if connection.dialect.name == "postgresql":
        table = TOGETHER.name
        connection.execute(text(f"ALTER TABLE {table} ALTER COLUMN at_s TYPE BIGINT"))


def _with_passages(connection: Connection) -> None:
    """Version 5: what zones and lines counted."""
    PASSED.create(connection)


BUILD = Build("the registry", SCHEMA, _make, (_by_time, _identified, _beyond_2038, _with_passages))
