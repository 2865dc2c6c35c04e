"""A camera that shows real handwritten digits and knows the truth about every frame.

`synthetic://640x480@30?digits=1&format=RGB3&seed=0&hold=1&padding=0`. With @fps it is live: frame
n is due at start + n / fps and a late reader gets the newest. Without, every read is a new frame.
"""

from __future__ import annotations

import mmap
import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from runtime.cameras.painter import Canvas, Painter
from runtime.cameras.scene import Scene, held_out
from runtime.frames import BYTES_PER_PIXEL, Aim, Frame, Layout, Losses
from runtime.tasks import Box
from wire.troubles import Refused

BUFFERS = 4
SIZE = re.compile(r"(\d{1,5})x(\d{1,5})(?:@(\d+(?:\.\d+)?))?")
SIDES = range(32, 8193)
NUMBERS = {
    "digits": range(1, 13),
    "seed": range(2**31),
    "hold": range(1, 10_001),
    "padding": range(4097),
}


@dataclass(frozen=True)
class Options:
    """What the URI asks for. fps: None means as fast as it is read."""

    layout: Layout
    fps: float | None
    digits: int
    seed: int
    hold: int


@dataclass
class Buffer:
    """A camera buffer: its memory, and the same memory as something to draw on."""

    memory: mmap.mmap
    canvas: Canvas
    seq: int = -1  # of the frame that is drawn in it


class SyntheticCamera:
    """Lends drawn frames. clock: nanoseconds, monotonic. sleep: seconds."""

    def __init__(
        self, options: Options, clock: Callable[[], int], sleep: Callable[[float], None]
    ) -> None:
        self.layout = options.layout
        self.losses = Losses()
        self.absent: str | None = None
        self.aim: Aim | None = None
        self._fps = options.fps
        self._clock = clock
        self._sleep = sleep
        samples = held_out()
        size = (options.layout.width, options.layout.height)
        self._scene = Scene(samples, size, options.digits, options.seed, options.hold)
        self._painter = Painter(options.layout, samples, options.seed)
        self._free: deque[Buffer] = deque()
        self._next = 0
        self._start_ns = 0

    def start(self) -> None:
        self._free = deque(self._buffer() for _ in range(BUFFERS))
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
        memory = mmap.mmap(-1, self.layout.nbytes)
        return Buffer(memory, self._painter.canvas(np.frombuffer(memory, np.uint8)))


def make(uri: str) -> SyntheticCamera:
    """The camera that a `synthetic://` URI asks for. Raises Refused with what is allowed."""
    return SyntheticCamera(parse(uri), time.monotonic_ns, time.sleep)


def parse(uri: str) -> Options:
    """Read the URI. Raises Refused with what is allowed."""
    parts = urlsplit(uri)
    size = SIZE.fullmatch(parts.netloc)
    if size is None or parts.path not in ("", "/"):
        raise Refused(f"{uri!r}: write synthetic://WIDTHxHEIGHT or synthetic://WIDTHxHEIGHT@FPS")
    width, height, fps = int(size[1]), int(size[2]), float(size[3]) if size[3] else None
    if width not in SIDES or height not in SIDES:
        raise Refused(f"{uri!r}: width and height must lie in {SIDES[0]} to {SIDES[-1]}")
    if fps is not None and not 0.1 <= fps <= 1000:
        raise Refused(f"{uri!r}: frames per second must lie in 0.1 to 1000")
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    format = given.pop("format", "RGB3")
    if format not in BYTES_PER_PIXEL:
        raise Refused(f"{uri!r}: there is no format {format!r}: use {', '.join(BYTES_PER_PIXEL)}")
    if format in ("YUYV", "NV12") and (width % 2 or height % 2):
        raise Refused(f"{uri!r}: {format} needs an even width and height")
    numbers = {"digits": 1, "seed": 0, "hold": 1, "padding": 0}
    for name, text in given.items():
        numbers[name] = _number(uri, name, text)
    stride = width * BYTES_PER_PIXEL[format] + numbers["padding"]
    return Options(
        Layout(format, width, height, stride),
        fps,
        numbers["digits"],
        numbers["seed"],
        numbers["hold"],
    )


def _number(uri: str, name: str, text: str) -> int:
    if name not in NUMBERS:
        raise Refused(f"{uri!r}: there is no option {name!r}: use format, {', '.join(NUMBERS)}")
    allowed = NUMBERS[name]
    if not text.isdecimal() or int(text) not in allowed:
        raise Refused(f"{uri!r}: {name} must be a number from {allowed[0]} to {allowed[-1]}")
    return int(text)
