"""One transaction on the spool's tables: what goes in, and what has to go for it."""

from __future__ import annotations

import itertools
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from agent.spool.file import (
    BOOKS,
    KINDS,
    PAGE_BYTES,
    Books,
    Era,
    Kind,
    checksum,
    era_note,
    pages_for,
    pages_of,
    read_notes,
    write_note,
)
from wire.troubles import Refused

ERA = 1 << 40  # a key is the number of its era times this, plus seq


@dataclass(frozen=True)
class Record:
    """body: a JSON object without spool, seq and oldest."""

    spool: str
    seq: int
    kind: Kind
    body: bytes


@dataclass(frozen=True)
class Limits:
    """most_bytes: of the file and its log together, at least 1 MiB. most_age_s: running time."""

    most_bytes: int
    most_age_s: float


@dataclass(frozen=True)
class Room:
    """pages: that the tables may use. log: after how many pages in the log it is written back.

    The log never has more than six times as many: twice, if it could not be written back, and one
    transaction. That inserts twice as many at most, and frees as many beside: the pages of what is
    deleted pass through the log too. It makes 96 of 256 pages in 1 MiB, the least there can be,
    and 6 of 64 MiB.
    """

    pages: int
    log: int

    @classmethod
    def of(cls, most_bytes: int) -> Room:
        pages = most_bytes // PAGE_BYTES
        log = max(16, min(256, pages // 16))
        return cls(pages - 6 * log, log)


@dataclass
class Change:
    """What a transaction has changed so far. Belongs inside BEGIN and COMMIT."""

    db: sqlite3.Connection
    room: Room
    books: Books
    past: dict[int, Era]
    spare: int  # pages that may still be freed for other reasons than want of room

    def enter(self, boot: str) -> None:
        """Begin to write in this boot of the machine."""
        if self.books.boot not in ("", boot) and self.books.next > 1:
            self._end_era()
            self._begin_era(self.books.number + 1)
        self.books.boot = boot

    def next_record(self, kind: Kind, body: bytes) -> Record:
        """A record under the next number. It is not in the table yet."""
        record = Record(self.books.id, self.books.next, kind, body)
        self.books.next += 1
        return record

    def foreign(self, spool: str, newest: int) -> int:
        """The number of an era for records that come from elsewhere, before all that is still to
        be appended."""
        number = next((n for n, era in self.past.items() if era.id == spool), None)
        if number is None:
            if self.books.next > 1:
                self._end_era()
                self._begin_era(self.books.number + 1)
            number = self.books.number
            self.books.number += 1
        self._write_era(number, Era(spool, newest + 1))
        return number

    def insert(self, record: Record, number: int) -> bool:
        """Keep a record, at the cost of the oldest. False if it is too large."""
        needed = pages_for(len(record.body))
        if needed > self.room.pages // 4:
            return False
        while self._used_pages() + needed > self.room.pages:
            self._drop_first()
        key, index = number * ERA + record.seq, KINDS.index(record.kind)
        row = (key, index, self.books.ran_s, checksum(key, index, record.body), record.body)
        self.db.execute("INSERT INTO record VALUES (?, ?, ?, ?, ?)", row)
        self.books.waiting += 1
        return True

    def remove(self, floors: Mapping[int, int], gone: set[int]) -> set[int]:
        """Carry out what was acknowledged, as far as `spare` goes, and forget eras in which
        nothing waits any more. The keys that are gone now."""
        removed: set[int] = set()
        for key, length in itertools.chain(self._single(gone), self._below(floors, gone)):
            if self.spare <= 0:
                break
            removed.add(key)
            self.spare -= pages_of(length)
        for key in sorted(removed):
            self.db.execute("DELETE FROM record WHERE key = ?", (key,))
        self.books.waiting -= len(removed)
        for number in {*floors, *(key // ERA for key in removed), *list(self.past)[:1]}:
            if number in self.past and not self._has_records(number):
                del self.past[number]
                self.db.execute("DELETE FROM note WHERE name = ?", (era_note(number),))
        return removed

    def expire(self, most_age_s: float) -> None:
        """Drop what has waited for too long, as far as `spare` goes. A time that cannot be true
        has rotted: it goes too."""
        query = (
            "SELECT coalesce(CAST(at_s AS REAL), -1), length(body) FROM record ORDER BY key LIMIT 1"
        )
        ran_s = self.books.ran_s
        for at_s, length in iter(lambda: self.db.execute(query).fetchone() or (ran_s, 0), None):
            if self.spare <= 0 or ran_s - most_age_s <= at_s <= ran_s:
                break
            self.spare -= pages_of(length)
            self._drop_first()

    def write_notes(self, notes: Mapping[str, bytes]) -> None:
        for name, content in notes.items():
            write_note(self.db, name, content)

    def write_books(self) -> None:
        write_note(self.db, BOOKS, msgspec.msgpack.encode(self.books))

    def _has_records(self, number: int) -> bool:
        query = "SELECT 1 FROM record WHERE key > ? AND key < ? LIMIT 1"
        return bool(self.db.execute(query, (number * ERA, (number + 1) * ERA)).fetchall())

    def _end_era(self) -> None:
        self._write_era(self.books.number, Era(self.books.id, self.books.next))

    def _begin_era(self, number: int) -> None:
        self.books.number, self.books.next = number, 1
        self.books.id = fresh_id(self.books.identity)

    def _write_era(self, number: int, era: Era) -> None:
        self.past[number] = era
        write_note(self.db, era_note(number), msgspec.msgpack.encode(era))

    def _single(self, keys: set[int]) -> Iterator[tuple[int, int]]:
        """Keys, and how long their bodies are."""
        for key in sorted(keys):
            yield from self.db.execute("SELECT key, length(body) FROM record WHERE key = ?", (key,))

    def _below(self, floors: Mapping[int, int], others: set[int]) -> Iterator[tuple[int, int]]:
        query = "SELECT key, length(body) FROM record WHERE key > ? AND key <= ? ORDER BY key"
        for number, last in floors.items():
            rows = self.db.execute(query, (number * ERA, last))
            yield from ((key, length) for key, length in rows if key not in others)

    def _drop_first(self) -> None:
        query = "DELETE FROM record WHERE key = (SELECT min(key) FROM record)"
        dropped = self.db.execute(query).rowcount
        self.books.waiting -= dropped
        self.books.lost += dropped

    def _used_pages(self) -> int:
        (total,) = self.db.execute("PRAGMA page_count").fetchone()
        (free,) = self.db.execute("PRAGMA freelist_count").fetchone()
        return int(total) - int(free)


def see_whether_true(db: sqlite3.Connection, books: Books | None, where: str) -> None:
    """Raises Refused if there are records or notes that these books cannot know."""
    (last,) = db.execute("SELECT max(key) FROM record").fetchone()
    if books is None and (last is not None or read_notes(db)):
        raise Refused(f"{where} is damaged: its books are missing")
    if books is not None and last is not None and last >= books.number * ERA + books.next:
        raise Refused(f"{where} is damaged: it has records that its books do not know")


def fresh_id(identity: str) -> str:
    """A spool id that was never given before."""
    return f"{identity}-{secrets.token_hex(4)}"
