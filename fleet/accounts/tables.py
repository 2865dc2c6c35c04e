"""The tables of accounts, and the engine of the database that they are in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    insert,
    make_url,
    select,
)
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.exc import (
    TimeoutError as PoolTimeout,
)
from sqlalchemy.pool import ConnectionPoolEntry

from wire.troubles import Refused, Unavailable

VERSION = 1
PATIENCE_S = 10.0  # for a writer that is before us
TRIES, AGAIN_S = 10, 0.1  # others may make the tables at the same moment

METADATA = MetaData()
VERSIONS = Table("account_schema", METADATA, Column("version", Integer, primary_key=True))
ACCOUNT = Table(
    "account",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("password", Text, nullable=False),
    Column("made_s", Float(53), nullable=False),
    Column("signed_in_s", Float(53)),
)
# `secret` is the sha256 of what the holder has
SESSION = Table(
    "account_session",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("secret", String(64), nullable=False, unique=True),
    Column("account", ForeignKey(ACCOUNT.c.name, ondelete="CASCADE"), nullable=False, index=True),
    Column("made_s", Float(53), nullable=False),
    Column("seen_s", Float(53), nullable=False),
    Column("until_s", Float(53), nullable=False),
    Column("address", String(64), nullable=False),
)
TOKEN = Table(
    "account_token",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("secret", String(64), nullable=False, unique=True),
    Column("account", ForeignKey(ACCOUNT.c.name, ondelete="CASCADE"), nullable=False, index=True),
    Column("made_s", Float(53), nullable=False),
    Column("until_s", Float(53), nullable=False),
)
AUDIT = Table(
    "audit",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("at_s", Float(53), nullable=False),
    Column("who", String(64), nullable=False),
    Column("what", String(64), nullable=False),
    Column("subject", Text, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("address", String(64), nullable=False),
    Index("audit_who", "who", "number"),
)


def open_engine(url: str) -> Engine:
    """The database at `sqlite:////PATH` or `postgresql://...`, with these tables in it. Raises
    Refused if the address is none or the tables are of a newer version, Unavailable."""
    engine = _engine(url)
    try:
        for left in reversed(range(TRIES)):
            try:
                with speaking(engine) as connection:
                    _build(connection)
                break
            except (Unavailable, IntegrityError, ProgrammingError) as error:
                if left == 0 or not _is_race(error):
                    raise
                time.sleep(AGAIN_S)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _is_race(error: Exception) -> bool:
    """Whether another one made the tables, or turned SQLite to its write-ahead log, just now."""
    signs = ("already exists", "is locked")
    return isinstance(error, IntegrityError) or any(sign in str(error) for sign in signs)


def _build(connection: Connection) -> None:
    METADATA.create_all(connection)
    found = connection.execute(select(VERSIONS.c.version)).scalar()
    if found is None:
        connection.execute(insert(VERSIONS).values(version=VERSION))
    elif found != VERSION:
        raise Refused(
            f"the accounts in this database are of version {found}, and this program "
            f"knows {VERSION}: run the newer vedette"
        )


@contextmanager
def speaking(engine: Engine) -> Iterator[Connection]:
    """One transaction. Raises Unavailable if the database is not there, full or broken."""
    try:
        with engine.begin() as connection:
            yield connection
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise Unavailable(f"the database does not answer: {_why(error)}") from None
    except DatabaseError as error:
        if type(error) is not DatabaseError:  # a bug of ours, or a name that is taken
            raise
        raise Unavailable(f"the database is damaged: {_why(error)}") from None


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.drivername == "postgresql":
            return create_engine(
                parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True,
                connect_args={"connect_timeout": 10},
            )  # fmt: skip
        if parsed.drivername != "sqlite" or not parsed.database:
            raise Refused("--database: give sqlite:////PATH or postgresql://USER@HOST/NAME")
        engine = create_engine(parsed, connect_args={"timeout": PATIENCE_S})
    except (ArgumentError, NoSuchModuleError):
        raise Refused("--database: give sqlite:////PATH or postgresql://USER@HOST/NAME") from None
    except ImportError as error:
        raise Unavailable(
            f"cannot load a Python package: {error}: pip install 'vedette[postgresql]'"
        ) from None
    event.listen(engine, "connect", _set_up_sqlite)
    return engine


def _set_up_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _why(error: Exception) -> str:
    origin = error.orig if isinstance(error, DBAPIError) else error
    lines = str(origin).strip().splitlines()
    return lines[0] if lines else type(origin).__name__
