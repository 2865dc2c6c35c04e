"""One SQLite file of records that wait for their acknowledgement, bounded by bytes and by age.

A record is durable before anybody sees it, and is known by (spool, seq). The spool id changes
whenever the file was not closed in order: storage that lied about an fsync may have forgotten the
newest numbers, and a number given twice would make the registry throw a record away. Age is
counted in the agent's running time, never by a clock that people set.
"""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from agent.spool_file import (
    BOOKS,
    KINDS,
    PAGE_BYTES,
    Books,
    Era,
    Kind,
    checksum,
    connect,
    in_words,
    pages_for,
    read_note,
    wal_pages,
    write_note,
)
from wire.troubles import Refused

ERA = 1 << 40  # a key is the number of its era times this, plus seq
BATCH_BYTES = 256 * 1024  # of foreign records that are taken in by one transaction

Entry = tuple[Kind, bytes]


@dataclass(frozen=True)
class Record:
    """body: a JSON object without spool, seq and oldest."""

    spool: str
    seq: int
    kind: Kind
    body: bytes


class Spool:
    """One file, or memory. Raises Refused if the file is damaged, Unavailable if the disk fails;
    what an operation that raised was to do is not done. Used by one thread."""

    def __init__(
        self,
        path: Path | None,
        most_bytes: int,
        most_age_s: float,
        clock: Callable[[], float],
        identity: str,
    ) -> None:
        """path: None keeps all in memory. clock: seconds, only forward. identity: if it is made."""
        self._where = str(path or "the spool in memory")
        pages = most_bytes // PAGE_BYTES
        self._pages = pages - 2 * wal_pages(pages)
        self._most_age_s = most_age_s
        self._clock = clock
        self._seen_s = clock()
        self._floors: dict[int, int] = {}  # era -> highest key acknowledged, still to be removed
        self._gone: set[int] = set()  # single keys that are still to be removed
        self._pending = 0  # records that the two above stand for
        self._spoiled = 0  # of these, lost
        self._db = connect(path, pages)
        try:
            with in_words(self._where):
                self._load(identity)
        except BaseException:
            self._db.close()
            raise

    @property
    def identity(self) -> str:
        """Tells this file from every other. The first part of all its spool ids."""
        return self._books.identity

    @property
    def id(self) -> str:
        """The spool id of the newest records."""
        return self._books.eras[self._books.current].id

    @property
    def lost(self) -> int:
        """Records dropped unacknowledged since the file was made."""
        return self._books.lost + self._spoiled

    @property
    def waiting(self) -> int:
        return self._books.waiting - self._pending

    @property
    def unwritten(self) -> int:
        """Acknowledged records that are not yet removed on disk."""
        return self._pending

    def ids(self) -> list[str]:
        """Every spool id, oldest first."""
        return [era.id for _, era in sorted(self._books.eras.items())]

    def newest(self, spool: str) -> int:
        """The highest seq ever given under an id; 0 if there is none, or no such id."""
        number = self._number(spool)
        return 0 if number is None else self._books.eras[number].next - 1

    def oldest(self, spool: str) -> int:
        """The lowest seq that waits under an id; one more than the newest if none does."""
        number = self._number(spool)
        if number is None:
            return 1
        with in_words(self._where):
            first = list(self._waiting("key", number * ERA, 1))
        return first[0][0] % ERA if first else self._books.eras[number].next

    def note(self, name: str) -> bytes | None:
        with in_words(self._where):
            return read_note(self._db, name)

    def notes(self) -> dict[str, bytes]:
        with in_words(self._where):
            names = [name for (name,) in self._db.execute("SELECT name FROM note").fetchall()]
            found = {name: read_note(self._db, name) for name in names if name != BOOKS}
        return {name: content for name, content in found.items() if content is not None}

    def append(self, entries: Sequence[Entry], notes: Mapping[str, bytes]) -> list[Record]:
        """Keep records and replace notes, all or nothing. Those that found room, with their seq."""
        kept = []
        with self._writing() as books:
            era = books.eras[books.current]
            for kind, body in entries:
                if self._insert(books, books.current, era.next, kind, body):
                    kept.append(Record(era.id, era.next, kind, body))
                era.next += 1
            for name, content in notes.items():
                write_note(self._db, name, content)
        return kept

    def adopt(self, spool: str, newest: int, records: Iterable[Record], lost: int) -> int:
        """Take in the records of another file under their own ids and numbers, and begin a new id
        after them. lost: what that file had lost. Returns how many were taken in."""
        taken, rest = 0, iter(records)
        with self._writing() as books:
            number = books.current + 1
            books.eras[number] = Era(spool, newest + 1)
            books.current = number + 1
            books.eras[books.current] = Era(_fresh_id(books.identity), 1)
            books.lost += lost
        while batch := list(_batch(rest)):
            with self._writing() as books:
                books.eras.setdefault(number, Era(spool, newest + 1))
                for record in batch:
                    self._insert(books, number, record.seq, record.kind, record.body)
            taken += len(batch)
        return taken

    def after(self, spool: str, seq: int, limit: int) -> list[Record]:
        """The next records that wait under an id, in order. One that rotted on disk is lost."""
        number = self._number(spool)
        if number is None:
            return []
        records = []
        with in_words(self._where):
            rows = self._waiting("key, kind, crc, body", number * ERA + seq + 1, limit)
        for key, kind, crc, body in rows:
            if kind in range(len(KINDS)) and crc == checksum(key, kind, body):
                records.append(Record(spool, key % ERA, KINDS[kind], body))
            else:
                self.discard(spool, key % ERA)
        return records

    def acknowledge(self, spool: str, seq: int) -> int:
        """Everything of this id up to seq may go. Returns how many records that are."""
        number = self._number(spool)
        if number is None:
            return 0
        last = number * ERA + min(seq, self._books.eras[number].next - 1)
        first = self._floors.get(number, number * ERA) + 1
        if last < first:
            return 0
        with in_words(self._where):
            query = "SELECT count(*) FROM record WHERE key BETWEEN ? AND ?"
            (count,) = self._db.execute(query, (first, last)).fetchone()
        alone = {key for key in self._gone if first <= key <= last}
        self._gone -= alone
        self._floors[number] = last
        self._pending += count - len(alone)
        return int(count) - len(alone)

    def forget(self, spool: str, seq: int) -> bool:
        """One record may go. Whether it was there."""
        number = self._number(spool)
        key = 0 if number is None else number * ERA + seq
        if number is None or key in self._gone or key <= self._floors.get(number, 0):
            return False
        with in_words(self._where):
            query = "SELECT key FROM record WHERE key = ?"
            found = self._db.execute(query, (key,)).fetchall()
        if found:
            self._gone.add(key)
            self._pending += 1
        return bool(found)

    def discard(self, spool: str, seq: int) -> None:
        """Give up one record: it counts as lost."""
        if self.forget(spool, seq):
            self._spoiled += 1

    def tidy(self) -> None:
        """Write down what was acknowledged, without a new record."""
        self.append((), {})

    def close(self) -> None:
        """Write down everything and close in order. Raises as the rest, and is closed then too."""
        try:
            with self._writing() as books:
                books.is_clean = True
        finally:
            self._db.close()

    def abandon(self) -> None:
        """Close without writing anything more."""
        self._db.close()

    def _load(self, identity: str) -> None:
        kept = read_note(self._db, BOOKS)
        if kept is None:
            if self._db.execute("SELECT 1 FROM record LIMIT 1").fetchall():
                raise Refused(f"{self._where} is damaged: its books are missing")
            era = Era(_fresh_id(identity), 1)
            self._books = Books(identity, 1, {1: era}, is_clean=True)
        else:
            self._books = Books.read(kept, self._where)
        self._entered = False

    def _enter(self) -> None:
        """The first write after opening: from here on the file is not clean."""
        self._entered = True
        try:
            with self._writing() as books:
                was_clean, books.is_clean = books.is_clean, False
                if not was_clean:
                    books.current += 1
                    books.eras[books.current] = Era(_fresh_id(books.identity), 1)
            if was_clean:  # the word must not be in the log alone: the log is what gets lost
                with in_words(self._where):
                    self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except BaseException:
            self._entered = False
            raise

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Books]:
        """A transaction: what is changed in the books is true when it ends."""
        if not self._entered:
            self._enter()
        with in_words(self._where):
            books = msgspec.msgpack.decode(msgspec.msgpack.encode(self._books), type=Books)
            now_s = self._clock()
            books.ran_s += max(0.0, now_s - self._seen_s)
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._remove(books)
                self._expire(books)
                yield books
                write_note(self._db, BOOKS, msgspec.msgpack.encode(books))
                self._db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                raise
        self._books, self._seen_s = books, now_s
        self._floors, self._gone = {}, set()
        self._pending = self._spoiled = 0

    def _remove(self, books: Books) -> None:
        """Carry out what was acknowledged, and forget ids under which nothing waits any more."""
        for number, last in self._floors.items():
            self._db.execute("DELETE FROM record WHERE key BETWEEN ? AND ?", (number * ERA, last))
        self._db.executemany("DELETE FROM record WHERE key = ?", [(key,) for key in self._gone])
        books.waiting -= self._pending
        books.lost += self._spoiled
        for number in [number for number in books.eras if number != books.current]:
            query = "SELECT 1 FROM record WHERE key BETWEEN ? AND ? LIMIT 1"
            if not self._db.execute(query, (number * ERA, (number + 1) * ERA - 1)).fetchall():
                del books.eras[number]

    def _expire(self, books: Books) -> None:
        horizon_s = books.ran_s - self._most_age_s
        while (first := self._first()) and first[1] < horizon_s:
            self._drop(books, first[0])

    def _first(self) -> tuple[int, float] | None:
        rows = self._db.execute("SELECT key, at_s FROM record ORDER BY key LIMIT 1").fetchall()
        return rows[0] if rows else None

    def _drop(self, books: Books, key: int) -> None:
        self._db.execute("DELETE FROM record WHERE key = ?", (key,))
        books.waiting -= 1
        books.lost += 1

    def _insert(self, books: Books, number: int, seq: int, kind: Kind, body: bytes) -> bool:
        """Keep one record, at the cost of the oldest. False, and it is lost: it is too large."""
        needed = pages_for(len(body))
        while self._used_pages() + needed > self._pages:
            first = self._first()
            if needed > self._pages // 2 or first is None:
                books.lost += 1
                return False
            self._drop(books, first[0])
        key, index = number * ERA + seq, KINDS.index(kind)
        row = (key, index, books.ran_s, checksum(key, index, body), body)
        self._db.execute("INSERT INTO record VALUES (?, ?, ?, ?, ?)", row)
        books.waiting += 1
        return True

    def _used_pages(self) -> int:
        (total,) = self._db.execute("PRAGMA page_count").fetchone()
        (free,) = self._db.execute("PRAGMA freelist_count").fetchone()
        return int(total) - int(free)

    def _waiting(self, columns: str, start: int, limit: int) -> list[tuple[int, ...]]:
        raise NotImplementedError

    def _number(self, spool: str) -> int | None:
        return next((n for n, era in self._books.eras.items() if era.id == spool), None)
