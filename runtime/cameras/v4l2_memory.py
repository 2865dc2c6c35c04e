"""Is the driver's memory slow to read? If so, every frame is copied out of it once, in one pass.

Some drivers map their buffers uncached, and then reading a pixel costs 5 to 30 times as much
(raspberrypi/linux#5286, OpenKinect/libfreenect2#852). A resize reads many pixels twice; a copy
reads each byte once, in the widest loads there are.
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from runtime.cameras.v4l2_stream import KEPT, Stream, Taken
from runtime.frames import Memory, Pixels

SLOW = 3.0  # times slower than common memory: from here on a copy costs less than it saves
PROBE_BYTES = 256 * 1024
ROUNDS = 5

Home = Callable[[], None]


def slowness(memory: mmap.mmap) -> float:
    """How many times longer than common memory this takes to read. Takes about 0.3 ms, or 10 ms
    where it is slow."""
    mapped = np.frombuffer(memory, np.uint8)[:PROBE_BYTES]
    common = np.ones(mapped.size, np.uint8)
    into = np.ones(mapped.size, np.uint8)
    times = [(_copying_ns(mapped, into), _copying_ns(common, into)) for _ in range(ROUNDS)]
    return min(time[0] for time in times) / max(1, min(time[1] for time in times))


def _copying_ns(source: Pixels, into: Pixels) -> int:
    began = time.perf_counter_ns()
    np.copyto(into, source)
    return time.perf_counter_ns() - began


class Room:
    """Memory for one copy."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.pixels = np.frombuffer(memory, np.uint8)
        self.pixels.fill(1)  # the first frames must not wait for the kernel to find pages


class Copies:
    """Lends copies of frames, in memory made once. The driver has its buffer back at once."""

    def __init__(self, stream: Stream, size: int, allot: Callable[[int], Memory]) -> None:
        """size: the most bytes of a frame. allot: makes memory of so many bytes."""
        self._stream = stream
        self._views = [np.frombuffer(memory, np.uint8) for memory in stream.memory if memory]
        self._free = [Room(allot(size)) for _ in range(max(1, len(self._views) - KEPT))]

    def room(self) -> bool:
        """May one more frame be lent?"""
        return bool(self._free)

    def lend(self, taken: Taken) -> tuple[Memory, Home]:
        """The picture in cached memory, and how to give it back (once)."""
        room = self._free.pop()
        size = min(taken.size, room.pixels.size)
        np.copyto(room.pixels[:size], self._views[taken.buffer][:size])
        self._stream.put(taken.buffer)
        return room.memory, partial(self._free.append, room)
