"""Makes a spool file anew from one that cannot go on: what is whole of it moves over."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.spool.change import ERA, Record
from agent.spool.file import (
    DAMAGED,
    KINDS,
    Books,
    Era,
    in_words,
    is_ours,
    is_whole,
    read_books,
    read_notes,
    read_past,
)
from agent.spool.spool import Spool
from wire.durable import remove_durably, rename_durably, sync_folder

BATCH_BYTES = 64 * 1024  # that move in one transaction: it fits the log of the smallest spool
MOST_ASIDE = 2  # damaged files that are kept to be looked at; number 1 is the newest


@dataclass(frozen=True)
class Moved:
    """What came over: records, and how many did not; None if the old file could not say."""

    records: int
    missing: int | None


@dataclass(frozen=True)
class _Old:
    """What is left of a file, or of none (db None)."""

    db: sqlite3.Connection | None
    books: Books | None
    eras: dict[int, Era]
    notes: dict[str, bytes]


def finish(path: Path) -> None:
    """Complete the change from an old file to a new one that a crash interrupted."""
    fresh = _fresh(path)
    with in_words(str(path)):
        if fresh.exists() and not path.exists():
            remove_durably(_with_log(path)[1])  # the old one's: SQLite would take it for the new's
            rename_durably(fresh, path)


def renew(
    path: Path,
    identity: str,
    known: int | None,
    make: Callable[[Path, str], Spool],
    clear: Callable[[Path], None],
) -> Moved:
    """Put a new file in the place of `path`, which nobody has open.

    identity: of the new file, if the old one cannot say. known: records that the old one had and
    had lost, if it cannot say. make: opens a spool of that identity.
    clear: what to do with the old one: `put_aside` or `remove`. Raises Unavailable, and then the
    old file is still there.
    """
    fresh = _fresh(path)
    with in_words(str(path)):
        remove(fresh)
        with contextlib.ExitStack() as stack:
            old = _read(path, stack)
            spool = make(fresh, old.books.identity if old.books else identity)
            stack.callback(spool.abandon)
            moved = _move(old, spool, known)
            spool.close()
        clear(path)
        sync_folder(path.parent)  # an old log must not come back beside the new file
        rename_durably(fresh, path)
    return moved


def move(spool: Spool, records: Iterator[Record], newest: int) -> Iterator[Record]:
    """Records of one id into a spool, in transactions of bounded size. Gives the last record of
    each when it is durable."""
    for batch in _batches(records):
        spool.adopt(batch, newest)
        yield batch[-1]


def _move(old: _Old, spool: Spool, known: int | None) -> Moved:
    count = 0
    for number, records in itertools.groupby(_records(old), lambda pair: pair[0]):
        newest = old.eras[number].next - 1
        for batch in _batches(record for _, record in records):
            spool.adopt(batch, newest)
            count += len(batch)
    if old.books is not None:
        known = old.books.lost + old.books.waiting
    lost = 0 if known is None else max(0, known - count)
    spool.take_over(lost, old.notes)
    missing = None if known is None else lost - (old.books.lost if old.books else 0)
    return Moved(count, missing)


def _read(path: Path, stack: contextlib.ExitStack) -> _Old:
    nothing = _Old(None, None, {}, {})
    if not path.is_file():
        return nothing
    db = sqlite3.connect(path, timeout=0, isolation_level=None)
    stack.callback(db.close)
    try:
        db.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
        books, eras = read_books(db), read_past(db)
        notes = {name: content for name, content in read_notes(db) if not is_ours(name)}
    except DAMAGED:
        return nothing
    if books is not None:
        eras[books.number] = Era(books.id, books.next)
    return _Old(db, books, eras, notes)


def _records(old: _Old) -> Iterator[tuple[int, Record]]:
    """Every record that is whole, with the number of its era, in order."""
    if old.db is None:
        return
    for key in _keys(old.db):
        rows = []
        with contextlib.suppress(*DAMAGED):
            query = "SELECT kind, crc, body FROM record WHERE key = ?"
            rows = old.db.execute(query, (key,)).fetchall()
        era = old.eras.get(key // ERA)
        for kind, crc, body in rows:
            if era is not None and key % ERA < era.next and is_whole(key, kind, crc, body):
                yield key // ERA, Record(era.id, key % ERA, KINDS[kind], body)


def _keys(db: sqlite3.Connection) -> list[int]:
    """From both ends of the table towards the damage."""
    keys: set[int] = set()
    for way in ("ASC", "DESC"):
        with contextlib.suppress(*DAMAGED):
            for (key,) in db.execute(f"SELECT key FROM record ORDER BY key {way}"):  # noqa: S608
                if way == "DESC" and key in keys:
                    break
                keys.add(key)
    return sorted(keys)


def _batches(records: Iterator[Record]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    size = 0
    for record in records:
        if batch and size + len(record.body) > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record.body) + 1024
    if batch:
        yield batch


def put_aside(path: Path) -> None:
    """The newest damaged file gets number 1, and the oldest goes."""
    aside = [path.with_name(f"{path.name}.damaged-{n}") for n in range(1, MOST_ASIDE + 1)]
    remove(aside[-1])
    for source, target in reversed(list(itertools.pairwise([path, *aside]))):
        for one, other in zip(_with_log(source), _with_log(target), strict=True):
            with contextlib.suppress(FileNotFoundError):
                os.rename(one, other)


def _with_log(path: Path) -> tuple[Path, Path]:
    return path, path.with_name(f"{path.name}-wal")


def _fresh(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def remove(path: Path) -> None:
    """The file and its log, or whatever has their names."""
    for name in _with_log(path):
        with contextlib.suppress(FileNotFoundError):
            if name.is_dir() and not name.is_symlink():
                shutil.rmtree(name)
            else:
                os.unlink(name)
