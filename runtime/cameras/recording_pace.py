"""When the pictures of a recording come: as fast as they are wanted, or when they are due."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from runtime.ahead import Slot
from runtime.cameras.recording_play import Play
from runtime.frames import Aim, Losses

Wanted = Callable[[], "Aim | None"]
Times = Callable[[int, float], float]
"""(number of a picture, its seconds in the file) -> seconds since the first when it is due."""


def as_filmed(seq: int, seconds: float) -> float:
    """At the times that the file gives."""
    return seconds


def at_rate(fps: float) -> Times:
    """So many pictures in each second."""
    return lambda seq, seconds: seq / fps


class Fast:
    """Every picture in order. captured_ns is when its decoding began."""

    def __init__(self, play: Play, aim: Wanted) -> None:
        self._play = play
        self._aim = aim

    def fill(self, slot: Slot) -> bool:
        """The next picture, or False for a broken one."""
        began_ns = time.monotonic_ns()
        self._play.step()
        slot.captured_ns = began_ns
        return self._play.decode(slot, self._aim())


class Paced:
    """Pictures at their times, like a live camera; captured_ns is when a picture was due.

    Where decoding is too slow for that, pictures whose successor is due are skipped undecoded.
    """

    def __init__(
        self, play: Play, aim: Wanted, times: Times, period_s: float, losses: Losses
    ) -> None:
        self._play = play
        self._aim = aim
        self._times = times
        self._period_ns = round(period_s * 1e9)
        self._losses = losses
        self._begin_ns: int | None = None
        self.leave = threading.Event()  # set it to end a wait

    def fill(self, slot: Slot) -> bool:
        """The next picture, at its time; False for one that is broken or skipped."""
        due_ns = round(self._times(self._play.seq + 1, self._play.step()) * 1e9)
        if self._begin_ns is None:
            self._begin_ns = time.monotonic_ns() - due_ns
        slot.captured_ns = self._begin_ns + due_ns
        if slot.captured_ns + self._period_ns < time.monotonic_ns():
            self._losses.skipped += 1
            return False
        return self._play.decode(slot, self._aim()) and self._arrived(slot.captured_ns)

    def _arrived(self, due_ns: int) -> bool:
        """Wait for a point in time. False if it is time to leave."""
        while (left_ns := due_ns - time.monotonic_ns()) > 0:
            if self.leave.wait(left_ns / 1e9):
                return False
        return True
