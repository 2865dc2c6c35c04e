"""Which records of a spool are stored: every record counts once, in whatever order they come."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from fleet.registry.words import Gap
from wire.troubles import Refused

MOST_BEYOND = 256  # stretches: the live records and a backlog make two, each outage one more
MOST_OPEN = 64
LATE = 1000  # numbers before the first one that came: they may still be on their way to us

Beyond = list[tuple[int, int]]  # first and last
Open = list[tuple[int, int, float]]  # and when that was seen


class Spool(Struct):
    """floor: every number up to it is stored or will not come. beyond: what is stored above it.
    open: what is below it and never came: it is taken if it comes in spite of that, as it may where
    several take records at the same time. began: the first number that was meant for us."""

    floor: int
    began: int
    beyond: Beyond
    open: Open

    def take(self, seq: int, oldest: int, at_s: float) -> bool:
        """Whether the record is new. oldest: that the device still has. Raises Refused where there
        are too many gaps: what fills them must come first."""
        oldest = min(oldest, seq)
        if oldest - 1 > self.floor:
            self._raise_to(oldest - 1, at_s)
        if seq <= self.floor:
            return self._take_open(seq)
        return self._take_beyond(seq)

    def gaps(self, name: str) -> Iterator[Gap]:
        for first, last, at_s in self.open:
            if last >= self.began:
                yield Gap(name, max(first, self.began), last, at_s)

    @property
    def lost(self) -> int:
        """How many records never came."""
        if not self.open or self.open[-1][1] < self.began:
            return 0
        return sum(gap.last - gap.first + 1 for gap in self.gaps(""))

    def _raise_to(self, floor: int, at_s: float) -> None:
        """What is not stored up to there the device does not have any more."""
        first = self.floor + 1
        for begin, end in self.beyond:
            if begin > floor:
                break
            if begin > first:
                self.open.append((first, begin - 1, at_s))
            first = end + 1
        if first <= floor:
            self.open.append((first, floor, at_s))
        del self.open[:-MOST_OPEN]
        self.beyond = [(max(begin, floor + 1), end) for begin, end in self.beyond if end > floor]
        self.floor = floor
        self._step_up()

    def _step_up(self) -> None:
        while self.beyond and self.beyond[0][0] == self.floor + 1:
            self.floor = self.beyond.pop(0)[1]

    def _take_open(self, seq: int) -> bool:
        for place, (first, last, at_s) in enumerate(self.open):
            if first <= seq <= last:
                rest = [(first, seq - 1, at_s), (seq + 1, last, at_s)]
                self.open[place : place + 1] = [each for each in rest if each[0] <= each[1]]
                return True
        return False

    def _take_beyond(self, seq: int) -> bool:
        if seq == self.floor + 1:
            self.floor = seq
            self._step_up()
            return True
        place = bisect_right(self.beyond, (seq, seq))
        before = self.beyond[place - 1] if place else None
        after = self.beyond[place] if place < len(self.beyond) else None
        if (before is not None and seq <= before[1]) or (after is not None and after[0] == seq):
            return False
        joins_before = before is not None and before[1] == seq - 1
        joins_after = after is not None and after[0] == seq + 1
        first = before[0] if before is not None and joins_before else seq
        last = after[1] if after is not None and joins_after else seq
        if len(self.beyond) >= MOST_BEYOND and not joins_before and not joins_after:
            raise Refused("too many gaps between the records of this spool: older ones first")
        self.beyond[place - joins_before : place + joins_after] = [(first, last)]
        return True


def new_spool(oldest: int, at_s: float) -> Spool:
    """One of which the first record comes now."""
    late = (max(0, oldest - LATE), oldest - 1, at_s)
    return Spool(oldest - 1, oldest, [], [late] if oldest > 0 else [])


_ranges = msgspec.msgpack.Encoder()
_beyond = msgspec.msgpack.Decoder(Beyond)
_open = msgspec.msgpack.Decoder(Open)
NOTHING = _ranges.encode([])


def to_row(spool: Spool) -> tuple[int, int, bytes, bytes]:
    """floor, began, beyond, open"""
    return (
        spool.floor,
        spool.began,
        _ranges.encode(spool.beyond) if spool.beyond else NOTHING,
        _ranges.encode(spool.open) if spool.open else NOTHING,
    )


def from_row(floor: int, began: int, beyond: bytes, open_: bytes) -> Spool:
    return Spool(
        floor,
        began,
        [] if beyond == NOTHING else _beyond.decode(beyond),
        [] if open_ == NOTHING else _open.decode(open_),
    )
