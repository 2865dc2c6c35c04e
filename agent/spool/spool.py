"""One SQLite file of records that wait for their acknowledgement, bounded by bytes and by age.

A record is durable before anybody sees it, and is known by (spool, seq). An era is all records of
one spool id; a new one begins after a power cut, because storage that lied about an fsync may have
forgotten the newest numbers, and a number given twice would make the registry throw a record away.
Age is counted in the agent's running time, never by a clock that people set.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from agent.spool.change import ERA, Change, Limits, Record, Room, fresh_id, see_whether_true
from agent.spool.file import (
    KINDS,
    PAGE_BYTES,
    Books,
    Kind,
    bytes_for,
    connect,
    in_words,
    is_ours,
    is_whole,
    number_of,
    read_books,
    read_note,
    read_notes,
    read_past,
)

Entry = tuple[Kind, bytes]


class Spool:
    """One file, or memory. Raises Refused if the file is damaged, Unavailable if the disk fails;
    what an operation that raised was to do is not done. Used by one thread.

    Notes are small contents by name, written together with records; all notes together must stay
    below a sixteenth of the room.
    """

    def __init__(
        self,
        path: Path | None,
        limits: Limits,
        clock: Callable[[], float],
        boot: str,
        identity: str,
    ) -> None:
        """path: None keeps all in memory. clock: seconds, only forward. boot: names this boot of
        the machine. identity: of the file, if it has to be made."""
        self._path = path
        self._where = str(path or "the spool in memory")
        self._room = Room.of(limits.most_bytes)
        self._most_age_s = limits.most_age_s
        self._clock = clock
        self._boot = boot
        self._seen_s = clock()
        self._floors: dict[int, int] = {}  # era -> highest key acknowledged, still to be removed
        self._gone: set[int] = set()  # single keys that are still to be removed
        self._pending = 0  # records that the two above stand for
        self._spoiled: set[int] = set()  # those of the single keys that are lost
        self._entered = False
        self._db = connect(path, self._room.pages, self._room.log)
        try:
            with in_words(self._where):
                books, self._past = read_books(self._db), read_past(self._db)
                self.is_new = books is None
                self.written_in = "" if books is None else books.boot  # see Books
                self._books = books or Books(identity, "", 0, 0, 0.0, 1, fresh_id(identity), 1)
                see_whether_true(self._db, books, self._where)
                self.is_too_large = number_of(self._db, "page_count") > self._room.pages
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
        return self._books.id

    @property
    def lost(self) -> int:
        """Records dropped unacknowledged since the file was made."""
        return self._books.lost + len(self._spoiled)

    @property
    def waiting(self) -> int:
        return self._books.waiting - self._pending

    @property
    def unwritten(self) -> int:
        """Acknowledged records that are not yet removed on disk."""
        return self._pending

    def ids(self) -> list[str]:
        """Every spool id, oldest first."""
        return [*(era.id for era in self._past.values()), self._books.id]

    def newest(self, spool: str) -> int:
        """The highest seq ever given under an id; 0 if there is none, or no such id."""
        number = self._number(spool)
        return 0 if number is None else self._next(number) - 1

    def oldest(self, spool: str) -> int:
        """The lowest seq that waits under an id; one more than the newest if none does."""
        number = self._number(spool)
        if number is None:
            return 1
        with in_words(self._where):
            first = self._waiting(number, 0, 1)
        return first[0] % ERA if first else self._next(number)

    def note(self, name: str) -> bytes | None:
        with in_words(self._where):
            return read_note(self._db, name)

    def notes(self) -> dict[str, bytes]:
        with in_words(self._where):
            return {n: content for n, content in read_notes(self._db) if not is_ours(n)}

    def append(self, entries: Sequence[Entry], notes: Mapping[str, bytes]) -> list[Record]:
        """Keep records and replace notes, all or nothing. Those that found room, with their seq."""
        kept = []
        with self._writing() as change:
            room = 2 * self._room.log * PAGE_BYTES
            room -= sum(bytes_for(len(content)) for content in notes.values())
            for kind, body in entries:
                record, size = change.next_record(kind, body), bytes_for(len(body))
                if size <= room and change.insert(record, change.books.number):
                    kept.append(record)
                    room -= size
                else:
                    change.books.lost += 1
            change.write_notes(notes)
        return kept

    def adopt(self, records: Sequence[Record], newest: int) -> None:
        """Take in records of one foreign id, in order, under their own numbers; what is appended
        later comes after them. newest: the highest seq given under that id."""
        with self._writing() as change:
            number = change.foreign(records[0].spool, newest)
            for record in records:
                if not change.insert(record, number):
                    change.books.lost += 1

    def take_over(self, lost: int, notes: Mapping[str, bytes]) -> None:
        """Count what another spool has lost, and replace notes by its notes."""
        with self._writing() as change:
            change.books.lost += lost
            change.write_notes(notes)

    def after(self, spool: str, seq: int, limit: int) -> list[Record]:
        """The next records that wait under an id, in order. One that rotted on disk is lost."""
        number = self._number(spool)
        if number is None:
            return []
        records = []
        with in_words(self._where):
            for key in self._waiting(number, seq, limit):
                query = "SELECT kind, crc, body FROM record WHERE key = ?"
                kind, crc, body = self._db.execute(query, (key,)).fetchone()
                if is_whole(key, kind, crc, body):
                    records.append(Record(spool, key % ERA, KINDS[kind], body))
                else:
                    self.discard(spool, key % ERA)
        return records

    def acknowledge(self, spool: str, seq: int) -> int:
        """Everything of this id up to seq may go. Returns how many records that are."""
        number = self._number(spool)
        if number is None:
            return 0
        last = number * ERA + min(seq, self._next(number) - 1)
        first = self._floors.get(number, number * ERA) + 1
        if last < first:
            return 0
        with in_words(self._where):
            query = "SELECT count(*) FROM record WHERE key BETWEEN ? AND ?"
            (count,) = self._db.execute(query, (first, last)).fetchone()
        fresh = int(count) - sum(first <= key <= last for key in self._gone)
        self._floors[number] = last
        self._pending += fresh
        return fresh

    def forget(self, spool: str, seq: int) -> bool:
        """One record may go. Whether it was there."""
        number = self._number(spool)
        key = 0 if number is None else number * ERA + seq
        if number is None or key in self._gone or key <= self._floors.get(number, 0):
            return False
        with in_words(self._where):
            found = self._db.execute("SELECT 1 FROM record WHERE key = ?", (key,)).fetchall()
        if found:
            self._gone.add(key)
            self._pending += 1
        return bool(found)

    def discard(self, spool: str, seq: int) -> None:
        """Give up one record: it counts as lost."""
        number = self._number(spool)
        if number is not None and self.forget(spool, seq):
            self._spoiled.add(number * ERA + seq)

    def tidy(self) -> None:
        """Write down what was acknowledged, without a new record."""
        self.append((), {})

    def close(self) -> None:
        """Write down everything and close in order. Raises as the rest, and is closed then too."""
        try:
            with self._writing() as change:
                change.books.boot = ""
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close without writing anything more."""
        with contextlib.suppress(sqlite3.Error):
            self._db.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Change]:
        """A transaction: what is changed is true when it ends."""
        with in_words(self._where):
            if not self._entered:
                with self._transaction() as change:
                    change.enter(self._boot)
                # the word must not be in the log alone: that is what a power cut may take
                self._write_log_back()
                self._entered = True
            elif self._log_bytes() > 2 * self._room.log * PAGE_BYTES:
                self._write_log_back()  # SQLite could not; if it still cannot, nothing is written
            is_last = False
            while not is_last:  # much that was acknowledged goes in several
                with self._transaction() as change:
                    is_last = change.spare > 0
                    if is_last:
                        yield change

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Change]:
        now_s = self._clock()
        change = Change(
            self._db, self._room, copy.copy(self._books), dict(self._past), self._room.log
        )
        change.books.ran_s += max(0.0, now_s - self._seen_s)
        self._db.execute("BEGIN IMMEDIATE")
        try:
            removed = change.remove(self._floors, self._gone)
            change.books.lost += len(removed & self._spoiled)
            change.expire(self._most_age_s)
            yield change
            change.write_books()
            self._db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
            raise
        self._books, self._past, self._seen_s = change.books, change.past, now_s
        self._gone -= removed
        self._spoiled -= removed
        self._pending -= len(removed)
        if self._pending == 0:
            self._floors = {}

    def _log_bytes(self) -> int:
        return 0 if self._path is None else os.stat(f"{self._path}-wal").st_size

    def _write_log_back(self) -> None:
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _waiting(self, number: int, seq: int, limit: int) -> list[int]:
        """The first keys of an era after seq that are not to be removed."""
        start = max(number * ERA + seq, self._floors.get(number, 0))
        query = "SELECT key FROM record WHERE key > ? AND key < ? ORDER BY key"
        with contextlib.closing(self._db.execute(query, (start, (number + 1) * ERA))) as rows:
            waiting = (key for (key,) in rows if key not in self._gone)
            return list(itertools.islice(waiting, limit))

    def _number(self, spool: str) -> int | None:
        if spool == self._books.id:
            return self._books.number
        return next((n for n, era in self._past.items() if era.id == spool), None)

    def _next(self, number: int) -> int:
        return self._books.next if number == self._books.number else self._past[number].next
