"""The newest request that a Raspberry Pi's camera has completed: older ones go back at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from runtime.cameras.csi_source import Count
from runtime.frames import Losses


@dataclass(frozen=True)
class Arrived:
    """request: picamera2's CompletedRequest, of which one reference is ours."""

    request: Any
    seq: int
    captured_ns: int


class Newest:
    """Takes requests on picamera2's thread, hands them over on the reader's.

    period_ns: between two frames, where their own metadata does not say.
    """

    def __init__(self, count: Count, losses: Losses, period_ns: float) -> None:
        self._count = count
        self._losses = losses
        self._period_ns = period_ns
        self._changed = threading.Condition()
        self._waiting: Arrived | None = None
        self._broken: Exception | None = None
        self._life = 0

    def begin(self) -> Callable[[Any], None]:
        """What picamera2 shall call with each request, until end()."""
        self._count.pause()
        life = self._life

        def arrive(request: Any) -> None:
            try:
                self._arrive(request, life)
            except Exception as error:  # would end picamera2's thread: the reader gets to know it
                with self._changed:
                    self._broken = error
                    self._changed.notify()

        return arrive

    def take(self, timeout: float) -> Arrived | None:
        """The newest, or None after so many seconds. Its reference is the caller's now."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._broken, timeout)
            if self._broken is not None:
                raise self._broken
            arrived, self._waiting = self._waiting, None
            return arrived

    def end(self) -> None:
        """Give back what waits, and take no more."""
        with self._changed:
            self._life += 1
            arrived, self._waiting = self._waiting, None
        if arrived is not None:
            arrived.request.release()

    def _arrive(self, request: Any, life: int) -> None:
        known = request.get_metadata()
        captured_ns = monotonic(known["SensorTimestamp"])
        period_ns = known.get("FrameDuration", 0) * 1000 or self._period_ns
        with self._changed:
            if life != self._life:
                return
            missing = self._count.take(captured_ns, period_ns)
            if missing is None:
                self._losses.refused += 1
                return
            self._losses.driver += missing
            request.acquire()
            overtaken = self._waiting
            self._waiting = Arrived(request, self._count.seq, captured_ns)
            self._losses.skipped += overtaken is not None
            self._changed.notify()
        if overtaken is not None:
            overtaken.request.release()


def monotonic(stamp_ns: int) -> int:
    """libcamera's stamps are CLOCK_BOOTTIME by its documentation, the kernel's own are
    CLOCK_MONOTONIC, and both are the same until the board has slept. A stamp from the future is
    taken for the former."""
    now_ns = time.monotonic_ns()
    if stamp_ns <= now_ns:
        return stamp_ns
    return stamp_ns - (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - now_ns)
