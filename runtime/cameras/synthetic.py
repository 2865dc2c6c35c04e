"""A camera that shows real handwritten digits and knows the truth about every frame.

`synthetic://640x480@30?digits=1&format=RGB3&seed=0&hold=1&padding=0`. With @fps it is live: frame
n is due at start + n / fps and a late reader gets the newest. Without, every read is a new frame.
With motion=walk each digit stays the same and goes to and fro across the picture.
"""

from __future__ import annotations

import mmap
import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from runtime.cameras import options
from runtime.cameras.painter import Canvas, Painter
from runtime.cameras.scene import Scene, Walkers, held_out
from runtime.frames import BYTES_PER_PIXEL, Aim, Frame, Layout, Losses
from runtime.sharing.memory import shared_memory
from runtime.tasks import Box

BUFFERS = 4
SIZE = re.compile(r"(\d{1,9})x(\d{1,9})(?:@(\d+(?:\.\d+)?))?")
SIDES = range(32, 8193)
NUMBERS = {"digits": (1, 12), "seed": (0, 999_999_999), "hold": (1, 10_000), "padding": (0, 4096)}


@dataclass(frozen=True)
class Wish:
    """What the URI asks for. fps: None means as fast as it is read."""

    layout: Layout
    fps: float | None
    digits: int
    seed: int
    hold: int
    motion: str = "roam"


@dataclass
class Buffer:
    """A camera buffer: its memory, and the same memory as something to draw on."""

    memory: mmap.mmap
    canvas: Canvas
    seq: int = -1  # of the frame that is drawn in it


class SyntheticCamera:
    """Lends drawn frames. clock: nanoseconds, monotonic. sleep: seconds."""

    def __init__(
        self, wish: Wish, clock: Callable[[], int], sleep: Callable[[float], None]
    ) -> None:
        self.layout = wish.layout
        self.losses = Losses()
        self.absent: str | None = None
        self.aim: Aim | None = None
        self.spare = 0
        self._fps = wish.fps
        self._clock = clock
        self._sleep = sleep
        samples = held_out()
        size = (wish.layout.width, wish.layout.height)
        self._scene: Scene | Walkers = (
            Walkers(samples, size, wish.digits, wish.seed)
            if wish.motion == "walk"
            else Scene(samples, size, wish.digits, wish.seed, wish.hold)
        )
        self._painter = Painter(wish.layout, samples, wish.seed)
        self._free: deque[Buffer] = deque()
        self._next = 0
        self._start_ns = 0

    def start(self) -> None:
        self._free = deque(self._buffer() for _ in range(BUFFERS + self.spare))
        self._next = 0
        self._start_ns = self._clock()

    def read(self, timeout: float) -> Frame | None:
        if not self._free:  # all on loan: perhaps another thread gives one back meanwhile
            self._sleep(timeout)
            if not self._free:
                return None
        if self._fps is None:
            buffer = self._drawn(self._next)
            return self._lend(buffer, self._clock())  # drawing stands for the exposure
        return self._read_live(self._fps, timeout)

    def stop(self) -> None:
        self._free = deque()

    def truth(self, seq: int) -> tuple[Box, ...]:
        """The digits of frame `seq`, in pixels. Any frame can be asked for, at any time."""
        return self._scene.truth(seq)

    def _read_live(self, fps: float, timeout: float) -> Frame | None:
        """The newest frame that is due, or the next one as soon as it is due."""
        newest = int((self._clock() - self._start_ns) * fps / 1e9)
        seq = max(newest, self._next)
        due_ns = self._start_ns + round(seq * 1e9 / fps)
        buffer = self._drawn(seq)  # ahead of time, as a sensor and its DMA would
        wait = (due_ns - self._clock()) / 1e9
        if wait > 0:
            self._sleep(min(wait, timeout))
        if wait > timeout:
            self._free.appendleft(buffer)
            return None
        self.losses.skipped += seq - self._next
        return self._lend(buffer, due_ns)

    def _drawn(self, seq: int) -> Buffer:
        """A free buffer that shows frame `seq`; it may have been drawn ahead already."""
        buffer = self._free.popleft()  # in turn, like a driver's queue: the oldest memory
        if buffer.seq != seq:
            self._painter.draw(buffer.canvas, self._scene.at(seq))
            buffer.seq = seq
        return buffer

    def _lend(self, buffer: Buffer, captured_ns: int) -> Frame:
        self._next = buffer.seq + 1
        free = self._free

        def give_back() -> None:
            free.append(buffer)

        return Frame(buffer.seq, captured_ns, self.layout, buffer.memory, give_back)

    def _buffer(self) -> Buffer:
        size = self.layout.nbytes
        memory = shared_memory(size) if self.spare else mmap.mmap(-1, size)
        return Buffer(memory, self._painter.canvas(np.frombuffer(memory, np.uint8)))


def make(uri: str) -> SyntheticCamera:
    """The camera that a `synthetic://` URI asks for. Raises Refused with what is allowed."""
    return SyntheticCamera(parse(uri), time.monotonic_ns, time.sleep)


def parse(uri: str) -> Wish:
    """Read the URI. Raises Refused with what is allowed."""
    address = options.parse(uri, ("format", *NUMBERS, "motion"))
    size = SIZE.fullmatch(address.place.rstrip("/"))
    if size is None:
        raise address.refused(
            "write synthetic://WIDTHxHEIGHT or synthetic://WIDTHxHEIGHT@FPS, "
            f"width and height from {SIDES[0]} to {SIDES[-1]}"
        )
    width, height, fps = int(size[1]), int(size[2]), float(size[3]) if size[3] else None
    if width not in SIDES or height not in SIDES:
        raise address.refused(f"width and height must be from {SIDES[0]} to {SIDES[-1]}")
    if fps is not None and not 0.1 <= fps <= 1000:
        raise address.refused("frames per second must be from 0.1 to 1000")
    format = address.choice("format", tuple(BYTES_PER_PIXEL), "RGB3")
    if format in ("YUYV", "NV12") and (width % 2 or height % 2):
        raise address.refused(f"{format} needs an even width and height")
    motion = address.choice("motion", ("roam", "walk"), "roam")
    if motion == "walk" and "hold" in address.given:
        raise address.refused("with motion=walk no digit ever changes: leave hold out")
    stride = width * BYTES_PER_PIXEL[format] + _whole(address, "padding", 0)
    return Wish(
        Layout(format, width, height, stride),
        fps,
        _whole(address, "digits", 1),
        _whole(address, "seed", 0),
        _whole(address, "hold", 1),
        motion,
    )


def _whole(address: options.Address, name: str, default: int) -> int:
    found = address.number(name, *NUMBERS[name])
    if found is None:
        return default
    if not found.is_integer():
        raise address.refused(f"{name}={address.given[name]!r} must be a whole number")
    return int(found)
