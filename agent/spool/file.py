"""The spool's SQLite file: how it is opened, what a row means, and its troubles in plain words."""

from __future__ import annotations

import contextlib
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
from msgspec import Struct

from wire.durable import sync_folder
from wire.troubles import Refused, Trouble, Unavailable
from wire.unreadable import UNREADABLE

Kind = Literal["telemetry", "event"]
KINDS: tuple[Kind, ...] = ("telemetry", "event")  # stored as the index: only add at the end

PAGE_BYTES = 4096
FORM = 1  # of the tables below; a file of another form is not ours to read
BOOKS, ERA_NOTE = "books", "era "

Content = TypeVar("Content", bound=Struct)

TABLES = """
CREATE TABLE record (key INTEGER PRIMARY KEY, kind INTEGER, at_s REAL, crc INTEGER, body BLOB);
CREATE TABLE note (name TEXT PRIMARY KEY, crc INTEGER, content BLOB);
"""
# What SQLite says when the file may be sound and the disk is not; all else means a damaged file.
DISK_TROUBLES = {
    "disk is full": "the disk is full: make room",
    "disk i/o error": "the disk cannot be read or written",
    "readonly database": "it cannot be written: the file or its disk is read-only",
    "unable to open": "it cannot be opened: see whether the folder is there and may be written",
    "within a transaction": "its last write failed",
    "locked": "another process has it open: stop that one",
}

# what comes of a damaged file: SQLite's errors quote names in it, and those may be no text
DAMAGED = (sqlite3.DatabaseError, UnicodeDecodeError)


class Full(Unavailable):
    """No room on the disk. What is there can be read."""


class Books(Struct):
    """What must be true together with the records.

    boot: of the machine that wrote last, empty if the file was closed in order. lost: records
    dropped unacknowledged. waiting: rows. ran_s: how long agents have run on this file.
    number, id, next: the era that is written now, its spool id, and the seq of its next record.
    """

    identity: str
    boot: str
    lost: int
    waiting: int
    ran_s: float
    number: int
    id: str
    next: int


class Era(Struct, frozen=True):
    """A spool id that gets no new records. next: one more than its highest seq."""

    id: str
    next: int


def pages_of(length: int | None) -> int:
    """That a blob fills, about. None: it rotted."""
    return (length or 0) // (PAGE_BYTES - 4) + 1


def pages_for(length: int) -> int:
    """The most pages that one more blob can cost: its own, and splits above it."""
    return pages_of(length) + 3


def bytes_for(length: int) -> int:
    """The most that one more blob adds to the log: a half full leaf, or a page beside its own."""
    return min(2 * length, length + PAGE_BYTES) + 128


def checksum(key: int, kind: int, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(b"%d %d " % (key, kind)))


def is_whole(key: int, kind: object, crc: object, body: object) -> bool:
    """Whether a row is what was written."""
    if not isinstance(kind, int) or not isinstance(body, bytes):
        return False
    return kind in range(len(KINDS)) and crc == checksum(key, kind, body)


def connect(path: Path | None, pages: int, log_pages: int) -> sqlite3.Connection:
    """Open or make the file (None: one in memory). Raises Refused if it is damaged, Unavailable.

    Exclusive: no other process gets in, and the log's index needs no third file.
    """
    with in_words(str(path)):
        if path is not None and path.is_dir():
            raise Refused(f"{path} is damaged: it is a folder")
        db = sqlite3.connect(path or ":memory:", timeout=0, isolation_level=None)
        try:
            _prepare(db, pages, log_pages)
            if path is not None and _made(db):
                sync_folder(path.parent)
            _check(db, str(path))
        except BaseException:
            db.close()
            raise
    return db


def _prepare(db: sqlite3.Connection, pages: int, log_pages: int) -> None:
    wishes = (
        f"page_size = {PAGE_BYTES}",
        "locking_mode = EXCLUSIVE",
        "journal_mode = WAL",
        "synchronous = FULL",
        f"wal_autocheckpoint = {log_pages}",
        f"max_page_count = {pages}",
        "cache_size = -512",  # KiB
        "temp_store = MEMORY",
        "cell_size_check = ON",
    )
    for wish in wishes:
        db.execute(f"PRAGMA {wish}").fetchall()
    if number_of(db, "user_version") == 0:
        db.executescript(f"BEGIN IMMEDIATE; {TABLES} PRAGMA user_version = {FORM}; COMMIT;")


def _made(db: sqlite3.Connection) -> bool:
    return not db.execute("SELECT 1 FROM note LIMIT 1").fetchall()


def _check(db: sqlite3.Connection, where: str) -> None:
    form = number_of(db, "user_version")
    if form != FORM:
        raise Refused(f"{where} is damaged: its form is {form}, not {FORM}")
    said = db.execute("PRAGMA quick_check(1)").fetchall()
    if said != [("ok",)]:
        raise Refused(f"{where} is damaged: its pages do not fit together")


def number_of(db: sqlite3.Connection, pragma: str) -> int:
    (number,) = db.execute(f"PRAGMA {pragma}").fetchone()
    return int(number)


def read_note(db: sqlite3.Connection, name: str) -> bytes | None:
    """None if there is no such note, or if it rotted."""
    rows = db.execute("SELECT crc, content FROM note WHERE name = ?", (name,)).fetchall()
    for crc, content in rows:
        if isinstance(content, bytes) and crc == _note_checksum(name, content):
            return content
    return None


def write_note(db: sqlite3.Connection, name: str, content: bytes) -> None:
    db.execute(
        "INSERT INTO note VALUES (?, ?, ?) ON CONFLICT (name) "
        "DO UPDATE SET crc = excluded.crc, content = excluded.content",
        (name, _note_checksum(name, content), content),
    )


def _note_checksum(name: str, content: bytes) -> int:
    return zlib.crc32(content, zlib.crc32(name.encode()))


def read_books(db: sqlite3.Connection) -> Books | None:
    return _decoded(read_note(db, BOOKS), Books)


def read_past(db: sqlite3.Connection) -> dict[int, Era]:
    """The eras before the present one, by number; those that rotted are left out."""
    found = {}
    for name, content in read_notes(db):
        era = _decoded(content, Era) if is_ours(name) and name != BOOKS else None
        if era is not None:
            found[int(name.removeprefix(ERA_NOTE))] = era
    return dict(sorted(found.items()))


def read_notes(db: sqlite3.Connection) -> list[tuple[str, bytes]]:
    """Every note that is whole."""
    names = [name for (name,) in db.execute("SELECT name FROM note").fetchall()]
    found = [(name, read_note(db, name)) for name in names if isinstance(name, str)]
    return [(name, content) for name, content in found if content is not None]


def era_note(number: int) -> str:
    return f"{ERA_NOTE}{number}"


def is_ours(name: str) -> bool:
    """Whether a note is the spool's own."""
    return name == BOOKS or name.startswith(ERA_NOTE)


def _decoded(content: bytes | None, kind: type[Content]) -> Content | None:
    try:
        return None if content is None else msgspec.msgpack.decode(content, type=kind)
    except UNREADABLE:
        return None


@contextlib.contextmanager
def in_words(where: str) -> Iterator[None]:
    """SQLite's errors and the disk's as troubles: Refused is a damaged file, Unavailable a disk
    that cannot be used now. A wrong use of SQLite is a bug and stays one."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise
    except sqlite3.Error as error:
        raise _trouble(where, str(error)) from error
    except UnicodeDecodeError as error:
        raise _trouble(where, "") from error
    except OSError as error:
        raise Unavailable(f"{where}: {error.strerror}") from error


def _trouble(where: str, said: str) -> Trouble:
    for words, meaning in DISK_TROUBLES.items():
        if words in said.lower():
            kind = Full if "full" in words else Unavailable
            return kind(f"{where}: {meaning}")
    # Python 3.10 has an empty error for words that it cannot read
    return Refused(f"{where} is damaged: {said or 'names in it are no text'}")
