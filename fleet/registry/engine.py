"""SQLite or PostgreSQL: opened, spoken to, and its troubles in words. All that keeps something in
the database of a fleet's server does so by this."""

from __future__ import annotations

import contextlib
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    InternalError,
    MultipleResultsFound,
    NoResultFound,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.exc import (
    TimeoutError as PoolTimeout,
)
from sqlalchemy.pool import ConnectionPoolEntry

from fleet.registry.file import DatabaseFile
from wire.troubles import Refused, Trouble, Unavailable, one_line

PATIENCE_S = 30.0  # for a writer that is before us
CONNECTIONS = 8
AGAIN_S = 0.05  # others may open a new file at the same moment
WRITE_AHEAD = "journal_mode = WAL"
# durable at each commit; the log is written back in large pieces
PRAGMAS = (
    "synchronous = FULL",
    "foreign_keys = ON",
    "cell_size_check = ON",  # damage is seen before it is worked with
    "wal_autocheckpoint = 8000",
    "journal_size_limit = 67108864",
    "cache_size = -16000",
    "temp_store = MEMORY",
)
FILE = "vedette_file"  # of an engine's options: its DatabaseFile
WRONG_URL = "--database: give sqlite:////PATH/FILE or postgresql://USER@HOST/NAME"
NO_ROOM = ": make room; what is not stored stays with the devices"
MEND = (
    "stop vedette, keep the file and what is beside it (-wal, -shm) under other names, and put a "
    "backup in its place, or what `sqlite3 OLD .recover | sqlite3 NEW` saves of it"
)
ADVICE = (
    ("disk is full", NO_ROOM),
    ("No space left", NO_ROOM),
    ("disk I/O error", ": is there room on its disk, and is the disk sound?"),
    ("not a database", f": it is damaged, or something else: name another file, or {MEND}"),
    ("unable to open", ": does its folder exist, and may this user write to it?"),
    ("readonly", ": may this user write to the file and its folder?"),
    ("locked", ": another program has held it for long"),
)
DAMAGE = ("malformed", "Could not decode", "no such table", "no such column", "has no column")
# by what is stored in rows, and cannot be read any more
UNREADABLE = (
    UnicodeDecodeError, msgspec.MsgspecError, struct.error, NoResultFound, MultipleResultsFound,
)  # fmt: skip


def open_engine(url: str, patience_s: float = PATIENCE_S) -> Engine:
    """The database at sqlite:////PATH/FILE or postgresql://...; nobody has asked it anything yet.
    Raises Refused: that is no address; Unavailable: a package is missing."""
    try:
        parsed = make_url(url)
        if parsed.drivername == "postgresql":
            return create_engine(
                parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True,
                pool_size=CONNECTIONS, max_overflow=CONNECTIONS,
                connect_args={"connect_timeout": 10},
            )  # fmt: skip
        if parsed.drivername != "sqlite" or parsed.database in (None, "", ":memory:"):
            raise Refused(WRONG_URL)
        path = Path(parsed.database or "").absolute()
        _keep_from_others(path)
        # one that is gone later is not made anew by who connects then
        there = parsed.set(database=path.as_uri(), query={"uri": "true", "mode": "rw"})
        engine = create_engine(
            there, pool_size=CONNECTIONS, max_overflow=CONNECTIONS,
            connect_args={"timeout": patience_s, "check_same_thread": False},
            execution_options={FILE: DatabaseFile(path)},
        )  # fmt: skip
    except (ArgumentError, NoSuchModuleError):
        raise Refused(WRONG_URL) from None
    except ImportError as error:
        raise Unavailable(f"{error.name} is missing: pip install 'vedette[postgresql]'") from None
    event.listen(engine, "connect", _set_up(patience_s))
    return engine


def _keep_from_others(file: Path) -> None:
    """A new file of SQLite, and what it puts beside it, is for its owner alone: secrets of sessions
    are in it. One that cannot be made here is said by who connects to it."""
    with contextlib.suppress(OSError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))


@contextmanager
def looking(engine: Engine) -> Iterator[Connection]:
    """One moment of the database. Raises Unavailable."""
    with spoken(engine), _connected(engine) as connection:
        _begin(connection, "read")
        yield connection
        connection.rollback()


@contextmanager
def changing(engine: Engine) -> Iterator[Connection]:
    """One transaction; SQLite: while nobody else writes. Raises Unavailable: nothing of it is
    stored. IntegrityError comes through as it is."""
    with spoken(engine), _connected(engine) as connection:
        _begin(connection, "write")
        yield connection
        connection.commit()


@contextmanager
def _connected(engine: Engine) -> Iterator[Connection]:
    """A connection to the file that was opened first, before and after. Raises Unavailable."""
    file: DatabaseFile | None = engine.get_execution_options().get(FILE)
    lost = 0 if file is None else _look_after(engine, file)
    with engine.connect() as connection:
        try:
            yield connection
            if file is not None:  # only now: a commit into a file that is gone is none
                _look_after(engine, file)
        finally:
            if file is not None and file.lost != lost:
                connection.invalidate()


def _look_after(engine: Engine, file: DatabaseFile) -> int:
    """How often the file was missed. Raises Unavailable: it is now, and nobody goes on with it."""
    before = file.lost
    try:
        file.check()
    except Unavailable:
        if file.lost != before:
            engine.dispose()
        raise
    return file.lost


def damaged(why: str) -> Unavailable:
    """The trouble of a database in which something is that nobody wrote."""
    return Unavailable(f"the database is damaged: {one_line(why)}: {MEND}")


@contextmanager
def spoken(engine: Engine) -> Iterator[None]:
    """What the database says is wrong with it, in words; what is wrong with us stays as it is."""
    try:
        yield
    except (Trouble, IntegrityError):
        raise
    except (OperationalError, InterfaceError, InternalError, PoolTimeout) as error:
        raise _in_words(error) from None
    except UNREADABLE as error:
        raise damaged(_why(error)) from None
    except DatabaseError as error:
        if type(error) is not DatabaseError and not is_damaged(engine):
            raise
        raise _in_words(error) from None
    except Exception as error:
        if not is_damaged(engine):
            raise
        raise damaged(_why(error)) from None


def is_damaged(engine: Engine) -> bool:
    """Whether a database says so itself when it is looked through; PostgreSQL cannot tell."""
    if engine.dialect.name != "sqlite":
        return False
    try:
        with engine.connect() as connection:
            told = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    except (DatabaseError, UnicodeDecodeError):
        return True
    return told != "ok"


def _begin(connection: Connection, purpose: Literal["read", "write"]) -> None:
    """SQLite: who will write says so at once, or it could be refused in the middle."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE" if purpose == "write" else "BEGIN")
    elif purpose == "read":
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))


def _set_up(patience_s: float) -> Callable[[DBAPIConnection, ConnectionPoolEntry], None]:
    def set_up(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # transactions begin where we say so
        with contextlib.closing(connection.cursor()) as cursor:
            _write_ahead(connection, patience_s)
            for pragma in PRAGMAS:
                cursor.execute(f"PRAGMA {pragma}")

    return set_up


def _write_ahead(connection: DBAPIConnection, patience_s: float) -> None:
    """SQLite itself does not wait for another one that does the same at this moment."""
    until_s = time.monotonic() + patience_s
    with contextlib.closing(connection.cursor()) as cursor:
        while True:
            try:
                cursor.execute(f"PRAGMA {WRITE_AHEAD}")
            except Exception as error:
                # an error of the driver's: there is no engine yet to give it a name
                if "locked" not in str(error) or time.monotonic() > until_s:
                    raise
                time.sleep(AGAIN_S)
            else:
                return


def _in_words(error: Exception) -> Unavailable:
    why = _why(error)
    if any(sign in why for sign in DAMAGE):
        return damaged(why)
    advice = next((words for sign, words in ADVICE if sign in why), "")
    return Unavailable(f"the database does not answer: {one_line(why)}{advice}")


def _why(error: Exception) -> str:
    origin = error.orig if isinstance(error, DBAPIError) else error
    lines = str(origin).strip().splitlines()
    return lines[0] if lines else type(origin).__name__
