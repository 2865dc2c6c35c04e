"""Which version tables are of, and how older ones become the one that this program knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct
from sqlalchemy import Connection, Engine, Table, insert, inspect, select, text, update

from fleet.registry.engine import changing, looking
from wire.troubles import Refused

LOCK = 7_061_311  # of PostgreSQL, while somebody builds

Step = Callable[[Connection], None]


class Build(Struct, frozen=True):
    """Tables that belong together. name: what they are, for people ("the registry"). versions: the
    table with the one number. make: all of them, as they are today, where there are none. steps:
    the first makes version 2 of version 1; only ever add to them."""

    name: str
    versions: Table
    make: Step
    steps: Sequence[Step] = ()

    @property
    def version(self) -> int:
        return 1 + len(self.steps)


def bring_up(engine: Engine, build: Build) -> None:
    """Make the tables, or bring them up to date, all or nothing. Raises Refused: they are of a
    newer version. Unavailable."""
    with looking(engine) as connection:
        if _found(connection, build) == build.version:
            return
    with changing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        found = _found(connection, build)  # others may have been quicker
        if found is None:
            build.make(connection)
            connection.execute(insert(build.versions).values(version=build.version))
            return
        for step in build.steps[found - 1 :]:
            step(connection)
        if found < build.version:
            connection.execute(update(build.versions).values(version=build.version))


def _found(connection: Connection, build: Build) -> int | None:
    if not inspect(connection).has_table(build.versions.name):
        return None
    found = connection.execute(select(build.versions.c.version)).scalar_one_or_none()
    if found is None:
        return None
    if not 1 <= found <= build.version:
        raise Refused(
            f"{build.name} in this database: version {found}, and this program knows "
            f"{build.version}: run the newer vedette"
        )
    return int(found)
