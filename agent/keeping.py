"""Keeps records on disk, and in memory while the disk cannot be used. Never raises for a disk.

What was kept in memory moves into the file under its own ids when the disk works again, so a
record never has two numbers.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from agent.clock import Clock
from agent.spool.change import Limits, Record
from agent.spool.file import Full, Kind
from agent.spool.place import Place, Taken
from agent.spool.rescue import move
from agent.spool.spool import Spool
from wire.boot import boot_id
from wire.config import TelemetryTable
from wire.troubles import Refused, Trouble, Unavailable

__all__ = ["Keeping", "Kind", "Record"]

MEMORY_BYTES = 4 << 20  # for records while the disk cannot be used
RETRY_S = 30.0  # between two attempts to use the disk again
IN_MEMORY = "until then new records are in memory only"  # how such a fault ends
# An acknowledgement that no append has written down by then is written alone. It waits because
# every write costs an SD card 12 KiB at least, three pages, however little it says.
UNWRITTEN_S = 60.0
TOLD_S = 60.0  # how long a damage that was mended stays a fault: it must be seen

Answer = TypeVar("Answer")

log = logging.getLogger("vedette.agent")


class Keeping:
    """The spool as the agent sees it. Used by one thread."""

    def __init__(self, state_folder: Path, table: TelemetryTable, clock: Clock) -> None:
        """Raises Unavailable only if another agent uses the folder."""
        limits = Limits(table.spool_mib << 20, table.spool_days * 86400.0)
        self._memory_limits = Limits(MEMORY_BYTES, limits.most_age_s)
        self._boot = boot_id()
        self._place = Place(state_folder, limits, clock.uptime_s, self._boot)
        self._clock = clock
        self._disk: Spool | None = None
        self._memory: Spool | None = None  # there is one exactly while the disk cannot be used
        self._fault: str | None = None
        self._mended: str | None = None
        self._mended_s = self._retried_s = self._written_s = clock.uptime_s()
        self._identity = secrets.token_hex(8)
        self._before = ""
        try:
            disk = self._open()
            self._identity, self._before = disk.identity, disk.written_in
            self.append((), {})  # what is wrong with the disk shows now, and the ids are settled
        except Taken:
            raise
        except Unavailable as trouble:
            self._fail(trouble)

    @property
    def identity(self) -> str:
        """Tells this device's spool from every other; the same as long as its file lives."""
        return self._identity

    @property
    def before(self) -> str | None:
        """How the agent before this one ended, in words; None: in order, or nobody knows."""
        if self._before in ("", self._boot):
            return "the one before did not end in order" if self._before else None
        return "the device went down without a shutdown (power cut, reset or crash)"

    @property
    def fault(self) -> str | None:
        """What is wrong with the spool now, in a sentence with what to do, or None."""
        return self._fault or self._mended

    @property
    def waiting(self) -> int:
        """Records that were not acknowledged, as far as they can be read now."""
        return sum(spool.waiting for spool in self._spools())

    @property
    def lost(self) -> int:
        """Records dropped unacknowledged since the file was made."""
        left = self._place.lost if self._disk is None else 0
        return left + sum(spool.lost for spool in self._spools())

    def ids(self) -> list[str]:
        """Every spool id, oldest first."""
        return list(dict.fromkeys(name for spool in self._spools() for name in spool.ids()))

    def newest(self, spool: str) -> int:
        """The highest seq ever given under an id; 0 if there is none, or no such id."""
        return max(self._each(lambda one: one.newest(spool)), default=0)

    def oldest(self, spool: str) -> int:
        """The lowest seq that waits under an id; one more than the newest if none does."""
        known = self._each(lambda one: one.oldest(spool) if spool in one.ids() else None)
        return min((seq for seq in known if seq is not None), default=1)

    def after(self, spool: str, seq: int, limit: int) -> list[Record]:
        """The next records that wait under an id, in order."""
        found = self._each(lambda one: one.after(spool, seq, limit))
        records = {record.seq: record for part in found for record in part}
        return [records[number] for number in sorted(records)][:limit]

    def acknowledge(self, spool: str, seq: int) -> int:
        """Everything of this id up to seq may go. Returns how many records that are."""
        return sum(self._each(lambda one: one.acknowledge(spool, seq)))

    def forget(self, spool: str, seq: int) -> bool:
        """One record may go. Whether it was there."""
        return any(self._each(lambda one: one.forget(spool, seq)))

    def discard(self, spool: str, seq: int) -> None:
        """Give up one record: it counts as lost."""
        self._each(lambda one: one.discard(spool, seq))

    def note(self, name: str) -> bytes | None:
        """What an append wrote last under this name."""
        found = self._each(lambda one: one.note(name))
        return next((content for content in reversed(found) if content is not None), None)

    def append(
        self, entries: Sequence[tuple[Kind, bytes]], notes: Mapping[str, bytes]
    ) -> list[Record]:
        """Keep records and replace notes, all or nothing. Those that found room, with their seq."""
        for _ in range(2):  # a damaged file is mended once
            if self._disk is None or self._memory is not None:
                break
            try:
                return self._disk.append(entries, notes)
            except Trouble as trouble:
                self._look_into(trouble)
        memory = self._memory or self._fail(Unavailable("the spool's file was damaged again"))
        return memory.append(entries, notes)

    def tick(self) -> None:
        """To be called about once a second: tries the disk again, and writes down what was
        acknowledged long ago."""
        now_s = self._clock.uptime_s()
        if now_s - self._mended_s >= TOLD_S:
            self._mended = None
        if self._memory is not None:
            if now_s - self._retried_s >= RETRY_S:
                self._retry()
        elif self._disk is not None:
            if not self._place.is_there():
                self._look_into(Unavailable("the spool's file was taken away"))
            elif self._disk.unwritten == 0:
                self._written_s = now_s
            elif now_s - self._written_s >= UNWRITTEN_S:
                self.append((), {})

    def close(self) -> None:
        """Write down everything that the disk takes, and close in order."""
        if self._memory is not None:
            self._retry()
        if self._disk is not None:
            try:
                self._disk.close()
            except Trouble as trouble:
                log.warning("spool: not closed in order: %s", trouble)
        if self._memory is not None:
            if self._memory.waiting:
                log.warning("spool: %d records in memory are lost", self._memory.waiting)
            self._memory.abandon()
        self._place.close()

    def _spools(self) -> list[Spool]:
        return [spool for spool in (self._disk, self._memory) if spool is not None]

    def _each(self, ask: Callable[[Spool], Answer]) -> list[Answer]:
        """The answers of the file, then of memory. A file in trouble gives none."""
        answers = []
        for spool in self._spools():
            try:
                answers.append(ask(spool))
            except Trouble as trouble:
                self._look_into(trouble)
        return answers

    def _open(self) -> Spool:
        """Raises Unavailable. A damaged file is mended."""
        self._disk = self._place.open(self._identity)
        if (mended := self._place.mended()) is not None:
            log.warning("spool: %s", mended)
            self._mended, self._mended_s = mended, self._clock.uptime_s()
        return self._disk

    def _look_into(self, trouble: Trouble) -> None:
        """After the file has raised: mend it at once if it is damaged, or go on in memory."""
        if isinstance(trouble, Refused) and self._disk is not None:
            self._leave()
            try:
                self._open()
            except Trouble as other:
                trouble = other
            else:
                return
        self._fail(trouble)

    def _fail(self, trouble: Trouble) -> Spool:
        """Go on in memory. The file stays open: a full disk can still be read."""
        fault = f"{trouble}; {IN_MEMORY}"
        if fault != self._fault:
            log.warning("spool: %s", fault)
        self._fault = fault
        self._retried_s = self._clock.uptime_s()
        if self._memory is None:
            self._memory = Spool(
                None, self._memory_limits, self._clock.uptime_s, self._boot, self._identity
            )
        return self._memory

    def _retry(self) -> None:
        """Try the disk, first as it is open, then by opening it again."""
        if not self._place.is_there():
            self._leave()
        for _ in range(2):
            try:
                if self._disk is None:
                    self._open()
                self._bring_back()
                return
            except Trouble as trouble:
                self._fail(trouble)
                if isinstance(trouble, Full):
                    return  # it can still be read
                self._leave()

    def _leave(self) -> None:
        if self._disk is not None:
            self._place.leave(self._disk)
            self._disk = None

    def _bring_back(self) -> None:
        """Move what is in memory to the disk. Raises Trouble: then the rest is still in memory."""
        disk, memory = self._disk, self._memory
        if disk is None or memory is None:
            return
        for spool in memory.ids():
            for last in move(disk, _all_of(memory, spool), memory.newest(spool)):
                memory.acknowledge(spool, last.seq)
        disk.take_over(memory.lost, memory.notes())
        memory.abandon()
        self._memory = self._fault = None


def _all_of(memory: Spool, spool: str) -> Iterator[Record]:
    seq = 0
    while records := memory.after(spool, seq, 16):
        yield from records
        seq = records[-1].seq
