"""One transaction on the spool's tables: what goes in, and what has to go for it."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from agent.spool_file import (
    BOOKS,
    KINDS,
    PAGE_BYTES,
    Books,
    Era,
    Kind,
    checksum,
    era_note,
    pages_for,
    write_note,
)

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
    """pages: that the tables may use. log: after how many pages in the log it is written back; at
    most four times as many are ever in it (twice, then one transaction of as much)."""

    pages: int
    log: int

    @classmethod
    def of(cls, most_bytes: int) -> Room:
        """How to share out so many bytes: 1 MiB is the least. The log gets a quarter of that, and
        a sixteenth of 64 MiB."""
        pages = most_bytes // PAGE_BYTES
        log = max(16, min(256, pages // 16))
        return cls(pages - 4 * log, log)


@dataclass
class Change:
    """What a transaction has changed so far. Belongs inside BEGIN and COMMIT."""

    db: sqlite3.Connection
    room: Room
    books: Books
    past: dict[int, Era]

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

    def remove(self, floors: Mapping[int, int], gone: set[int]) -> None:
        """Carry out what was acknowledged, and forget eras in which nothing waits any more."""
        for number, last in floors.items():
            query = "DELETE FROM record WHERE key > ? AND key <= ?"
            self.books.waiting -= self.db.execute(query, (number * ERA, last)).rowcount
        for key in sorted(gone):
            query = "DELETE FROM record WHERE key = ?"
            self.books.waiting -= self.db.execute(query, (key,)).rowcount
        touched = {*floors, *(key // ERA for key in gone), *list(self.past)[:1]}
        for number in touched & set(self.past):
            query = "SELECT 1 FROM record WHERE key > ? AND key < ? LIMIT 1"
            if not self.db.execute(query, (number * ERA, (number + 1) * ERA)).fetchall():
                del self.past[number]
                self.db.execute("DELETE FROM note WHERE name = ?", (era_note(number),))

    def expire(self, most_age_s: float) -> None:
        """Drop what has waited for too long. A time that cannot be true has rotted: it goes too."""
        ran_s = self.books.ran_s
        while (at_s := self._first_at_s()) is not None and not ran_s - most_age_s <= at_s <= ran_s:
            self._drop_first()

    def write_notes(self, notes: Mapping[str, bytes]) -> None:
        for name, content in notes.items():
            write_note(self.db, name, content)

    def write_books(self) -> None:
        write_note(self.db, BOOKS, msgspec.msgpack.encode(self.books))

    def _end_era(self) -> None:
        self._write_era(self.books.number, Era(self.books.id, self.books.next))

    def _begin_era(self, number: int) -> None:
        self.books.number, self.books.next = number, 1
        self.books.id = fresh_id(self.books.identity)

    def _write_era(self, number: int, era: Era) -> None:
        self.past[number] = era
        write_note(self.db, era_note(number), msgspec.msgpack.encode(era))

    def _first_at_s(self) -> float | None:
        query = "SELECT coalesce(CAST(at_s AS REAL), -1) FROM record ORDER BY key LIMIT 1"
        rows = self.db.execute(query).fetchall()
        return float(rows[0][0]) if rows else None

    def _drop_first(self) -> None:
        query = "DELETE FROM record WHERE key = (SELECT min(key) FROM record)"
        dropped = self.db.execute(query).rowcount
        self.books.waiting -= dropped
        self.books.lost += dropped

    def _used_pages(self) -> int:
        (total,) = self.db.execute("PRAGMA page_count").fetchone()
        (free,) = self.db.execute("PRAGMA freelist_count").fetchone()
        return int(total) - int(free)


def fresh_id(identity: str) -> str:
    """A spool id that was never given before."""
    return f"{identity}-{secrets.token_hex(4)}"
