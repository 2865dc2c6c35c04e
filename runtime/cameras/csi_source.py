"""What a camera on the ribbon cable is to `runtime.cameras.csi`, whoever's board it is on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from runtime.cameras.csi_uri import Wish
from runtime.frames import Frame, Layout, Losses


class Lost(Exception):
    """The camera gives no frames any more. Its words are for people."""


class Count:
    """Numbers the frames of a camera by their stamps, since the boards' software has no numbers
    that last: a gap of so many periods is as many frames that never came."""

    def __init__(self) -> None:
        self.seq = -1
        self._last_ns: int | None = None

    def pause(self) -> None:
        """The camera is started anew: the gap until its next frame is no loss."""
        self._last_ns = None

    def take(self, captured_ns: int, period_ns: float) -> int | None:
        """How many frames are missing before this one, which then is `seq`. None: it is no newer
        than the last."""
        missing = 0
        if self._last_ns is not None:
            if captured_ns <= self._last_ns:
                return None
            missing = max(0, round((captured_ns - self._last_ns) / period_ns) - 1)
        self._last_ns = captured_ns
        self.seq += missing + 1
        return missing


class Source(Protocol):
    """A camera that is open and captures. Its methods are of one thread."""

    layout: Layout  # of the next frame

    def read(self, timeout: float) -> Frame | None:
        """The newest frame. None after `timeout` seconds. Raises Lost."""

    def has_room(self) -> bool:
        """Whether another frame can be lent before one comes home."""

    def fit(self, size: tuple[int, int]) -> None:
        """Scale to this size from now on. Raises Lost or Trouble."""

    def close(self) -> None:
        """End capture, in a second or two. Memory on loan stays what it is until it is home."""


Open = Callable[[Wish, tuple[int, int], int, Count, Losses], Source]
"""Opens the camera of a wish, scaled to a size, with so many buffers more that other processes can
map. Raises Unavailable, or Refused for what this camera cannot do."""


def ends_within(seconds: float, work: Callable[[], object]) -> bool:
    """Do what a vendor's library may never return from, on a thread that is left alone then. Raises
    what `work` raised, if that was in time."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="vendor", daemon=True)
    thread.start()
    thread.join(seconds)
    if raised:
        raise raised[0]
    return not thread.is_alive()
