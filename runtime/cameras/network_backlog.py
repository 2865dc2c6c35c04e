"""Compressed pictures on their way to the decoder: bounded, and never late.

A picture that builds on others cannot be left out alone. Who falls behind goes on with the newest
whole picture (a key frame), and what lies before it is counted as skipped.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from runtime.frames import Losses

LATEST_S = 0.3  # a decoder that is further behind jumps to the next key frame
MOST_WAITING = 64
MOST_BYTES = 1 << 24  # of one compressed picture
SPARE = 32  # more than come while a busy machine looks elsewhere
ROOM = 1 << 15


@dataclass(frozen=True)
class Stream:
    """How pictures are compressed. codec: h264, hevc or mjpeg. parameters: what a decoder must
    know beforehand (parameter sets with start codes), as far as it was told."""

    codec: str
    parameters: bytes = b""


JPEG = Stream("mjpeg")


class Unit:
    """One compressed picture, in memory that is used again.

    number: the camera's pictures are counted, lost ones too. is_key: needs no other picture.
    """

    __slots__ = ("captured_ns", "is_kept", "is_key", "memory", "number", "put_ns", "size", "stream")

    def __init__(self, *, is_kept: bool = False) -> None:
        self.is_kept = is_kept
        self.memory = bytearray(ROOM)
        self.stream = JPEG
        self.begin()

    def begin(self) -> None:
        """Forget what is in it."""
        self.size = self.number = self.captured_ns = self.put_ns = 0
        self.is_key = False

    def add(self, content: bytes | memoryview) -> bool:
        """Append bytes. False: that would be too much for a picture."""
        there = self.room(len(content))
        if there is None:
            return False
        there[:] = content
        return True

    def room(self, count: int) -> memoryview | None:
        """Memory for the next `count` bytes, which count as added; None: too many."""
        at, end = self.size, self.size + count
        if end > MOST_BYTES:
            return None
        if end > len(self.memory):  # grown by replacing: somebody may still look at the old one
            larger = bytearray(max(2 * len(self.memory), end))
            larger[:at] = self.memory[:at]
            self.memory = larger
        self.size = end
        return memoryview(self.memory)[at:end]

    @property
    def content(self) -> memoryview:
        return memoryview(self.memory)[: self.size]


class Backlog:
    """From the receiving thread to the decoding one. Counts what is lost on the way.

    number: of the last picture that was put or lost.
    """

    def __init__(self, losses: Losses, number: int) -> None:
        self.number = number
        self._losses = losses
        self._condition = threading.Condition()
        self._waiting: list[Unit] = []  # a few, as a rule
        self._spare = [Unit(is_kept=True) for _ in range(SPARE)]
        self._needs_key = True
        self._error: Exception | None = None
        self._is_closed = False

    def fresh(self) -> Unit:
        """An empty unit to fill."""
        try:
            return self._spare.pop()
        except IndexError:
            return Unit()

    def put(self, unit: Unit) -> None:
        """Hand over a whole picture. It is skipped if what it builds on was."""
        with self._condition:
            self.number += 1
            unit.number, unit.put_ns = self.number, time.monotonic_ns()
            if unit.is_key:
                self._make_way()
                self._needs_key = False
            elif self._needs_key or self._is_late():
                self._skip()
                self._losses.skipped += 1
                self.give_back(unit)
                return
            self._waiting.append(unit)
            self._condition.notify()

    def lost(self, count: int = 1) -> None:
        """So many pictures never reached us, or not whole; what builds on them is no use."""
        with self._condition:
            self.number += count
            self._losses.driver += count
            self._needs_key = True

    def interrupt(self) -> None:
        """What waits is no use, for the connection has ended or what it builds on is broken: go on
        with the next key frame."""
        with self._condition:
            self._skip()

    def take(self, timeout: float) -> Unit | None:
        """The oldest that waits, or None after `timeout` seconds. Raises what fail() was told."""
        with self._condition:
            self._condition.wait_for(self._is_ready, timeout)
            if self._error is not None:
                raise self._error
            return self._waiting.pop(0) if self._waiting else None

    def give_back(self, unit: Unit) -> None:
        """It is done with. One that only a burst needed is let go."""
        unit.begin()
        if unit.is_kept:
            self._spare.append(unit)

    def fail(self, error: Exception) -> None:
        """Let take() raise this."""
        with self._condition:
            self._error = error
            self._condition.notify()

    def close(self) -> None:
        """Wake up who waits."""
        with self._condition:
            self._is_closed = True
            self._condition.notify()

    def _is_ready(self) -> bool:
        return bool(self._waiting) or self._error is not None or self._is_closed

    def _is_late(self) -> bool:
        if not self._waiting:
            return False
        waited_s = (time.monotonic_ns() - self._waiting[0].put_ns) / 1e9
        return waited_s > LATEST_S or len(self._waiting) >= MOST_WAITING

    def _make_way(self) -> None:
        """For a key frame: nothing before it is needed any more."""
        if len(self._waiting) > 1 or (self._waiting and self._waiting[0].is_key):
            self._skip()

    def _skip(self) -> None:
        self._losses.skipped += len(self._waiting)
        while self._waiting:
            self.give_back(self._waiting.pop())
        self._needs_key = True
