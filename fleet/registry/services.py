"""Who works on the database, and how that goes: so that a page of another process can say it."""

from __future__ import annotations

from sqlalchemy import delete, func, select

from fleet.registry.database import Database
from fleet.registry.rows import put
from fleet.registry.tables import SERVICE
from fleet.registry.words import Service

FORGOTTEN_S = 86400.0


def report(database: Database, service: Service) -> None:
    row = {name: getattr(service, name) for name in service.__struct_fields__}
    with database.writing() as (connection, _):
        put(connection, SERVICE, [row])
        newest = select(func.max(SERVICE.c.at_s)).scalar_subquery()
        connection.execute(delete(SERVICE).where(SERVICE.c.at_s < newest - FORGOTTEN_S))


def read(database: Database) -> tuple[Service, ...]:
    with database.reading() as connection:
        rows = connection.execute(select(SERVICE).order_by(SERVICE.c.name, SERVICE.c.holder))
        return tuple(Service(*row) for row in rows.all())
