"""The database under the registry: SQLite or PostgreSQL, opened, spoken to, and its troubles."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from msgspec import Struct
from sqlalchemy import Connection, Engine, create_engine, event, make_url, select, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.exc import (
    TimeoutError as PoolTimeout,
)
from sqlalchemy.pool import ConnectionPoolEntry

from fleet.registry.schema import build
from fleet.registry.tables import TURN
from wire.troubles import Refused, Unavailable

PATIENCE_S = 30.0  # for a writer that is before us
CONNECTIONS = 8
# durable at each commit; the log is written back in large pieces
PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "wal_autocheckpoint = 8000",
    "journal_size_limit = 67108864",
    "cache_size = -16000",
    "temp_store = MEMORY",
)
WRONG_URL = "a database is sqlite:////PATH/FILE or postgresql://USER@HOST/NAME"


class Turn(Struct, frozen=True):
    """The row that a writer holds: see the table."""

    batch: int
    fine_id: int
    event_id: int
    rolled: int
    hour_slot: int
    vital_slot: int


Kind = Literal["sqlite", "postgresql"]


class Database:
    """Any thread. One writer at a time, in all processes."""

    def __init__(self, url: str) -> None:
        """Raises Refused: that is no address, or the tables are of a newer version. Unavailable."""
        self.engine = _engine(url)
        self.kind: Kind = "sqlite" if self.engine.dialect.name == "sqlite" else "postgresql"
        self._writing = threading.Lock()  # in this process there is no need to ask again and again
        try:
            with _spoken(), self.engine.connect() as connection:
                _begin(connection, "write")
                build(connection)
                connection.commit()
        except BaseException:
            self.engine.dispose()
            raise

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One moment of the database. Raises Unavailable."""
        with _spoken(), self.engine.connect() as connection:
            _begin(connection, "read")
            yield connection
            connection.rollback()

    @contextmanager
    def writing(self) -> Iterator[tuple[Connection, Turn]]:
        """A transaction while nobody else writes, and the row of TURN. Raises Unavailable: nothing
        of it is stored."""
        with self._writing, _spoken(), self.engine.connect() as connection:
            _begin(connection, "write")
            turn = connection.execute(select(TURN).with_for_update()).one()
            yield connection, Turn(*turn[1:])
            connection.commit()

    def close(self) -> None:
        self.engine.dispose()


def _begin(connection: Connection, purpose: Literal["read", "write"]) -> None:
    """SQLite: who will write says so at once, or it could be refused in the middle."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE" if purpose == "write" else "BEGIN")
    elif purpose == "read":
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.drivername == "postgresql":
            return create_engine(
                parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True,
                pool_size=CONNECTIONS, max_overflow=CONNECTIONS,
                connect_args={"connect_timeout": 10},
            )  # fmt: skip
        if parsed.drivername != "sqlite" or parsed.database in (None, "", ":memory:"):
            raise Refused(f"{url}: {WRONG_URL}")
        engine = create_engine(
            parsed, pool_size=CONNECTIONS, max_overflow=CONNECTIONS,
            connect_args={"timeout": PATIENCE_S, "check_same_thread": False},
        )  # fmt: skip
    except (ArgumentError, NoSuchModuleError):
        raise Refused(f"{url}: {WRONG_URL}") from None
    except ImportError as error:
        raise Unavailable(f"{error.name} is missing: pip install 'vedette[postgresql]'") from None
    event.listen(engine, "connect", _set_up)
    return engine


def _set_up(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions begin where we say so
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


@contextmanager
def _spoken() -> Iterator[None]:
    """What the database says is wrong with it, in words."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise Unavailable(_words(error)) from None
    except DatabaseError as error:
        if type(error) is not DatabaseError:  # a bug of ours
            raise
        raise Unavailable(_words(error)) from None


def _words(error: Exception) -> str:
    origin = error.orig if isinstance(error, DBAPIError) else error
    lines = str(origin).strip().splitlines()
    why = lines[0] if lines else type(origin).__name__
    advice = next((words for sign, words in ADVICE if sign in why), "")
    return f"the database does not take or give anything: {why}{advice}"


ADVICE = (
    ("disk is full", ": make room; what is not stored stays with the devices"),
    ("No space left", ": make room; what is not stored stays with the devices"),
    ("malformed", ": it is damaged: put a copy of before in its place, or move it away"),
    ("not a database", ": it is damaged or something else: name another file"),
    ("unable to open", ": does its folder exist, and may this user write to it?"),
    ("readonly", ": may this user write to the file and its folder?"),
    ("locked", ": another program has held it for long"),
)
