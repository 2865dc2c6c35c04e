"""Frames: camera memory on loan. A row of numbers from a table or a topic is lent like a picture.

A frame is borrowed, looked at and given back. Nobody owns pixels but the camera.
"""

from __future__ import annotations

import mmap
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.tasks import Box

Pixels = npt.NDArray[np.uint8]
Memory = mmap.mmap | memoryview | bytearray | Pixels

BYTES_PER_PIXEL = {"RGB3": 3, "BGR3": 3, "YUYV": 2, "GREY": 1, "NV12": 1}
ROW = "row"  # the format of rows: a float32 each where pictures have pixels


@dataclass(frozen=True)
class Layout:
    """How pixels lie in a camera buffer.

    format: V4L2 four-letter code, one of BYTES_PER_PIXEL; or ROW
    width, height: pixels in the buffer; of a row how many numbers it has, and 1
    stride: bytes per row, padding included
    shrunk_from: (width, height) of the picture before a decoder shrank it, if one did
    columns: what the numbers of a row are called, in their order, if that is known
    """

    format: str
    width: int
    height: int
    stride: int
    shrunk_from: tuple[int, int] | None = None
    columns: tuple[str, ...] = ()

    @property
    def source(self) -> tuple[int, int]:
        """(width, height) of the picture as the sensor saw it; found boxes are in its pixels."""
        return self.shrunk_from or (self.width, self.height)

    @property
    def nbytes(self) -> int:
        rows = self.height * 3 // 2 if self.format == "NV12" else self.height
        return self.stride * rows

    def shape(self, flat: Pixels) -> Pixels:
        """The same memory, seen as an image. Never copies.

        RGB3, BGR3: (height, width, 3). GREY: (height, width). YUYV: (height, width / 2, 4), a
        macropixel Y0 U Y1 V each. NV12: (height * 3 / 2, width), the Y rows and then the UV rows.
        ROW: (1, 4 * width), the bytes of its numbers.
        """
        rows = flat[: self.nbytes].reshape(-1, self.stride)
        if self.format in ("RGB3", "BGR3"):
            return rows[:, : self.width * 3].reshape(self.height, self.width, 3)
        if self.format == "YUYV":
            return rows[:, : self.width * 2].reshape(self.height, self.width // 2, 4)
        if self.format == ROW:
            return rows
        return rows[:, : self.width]


def packed(format: str, width: int, height: int) -> Layout:
    """The layout of a picture whose rows have no padding."""
    return Layout(format, width, height, width * BYTES_PER_PIXEL[format])


def row_layout(count: int, columns: tuple[str, ...] = ()) -> Layout:
    """The layout of a row of so many numbers."""
    return Layout(ROW, count, 1, 4 * count, columns=columns)


@dataclass(frozen=True)
class Aim:
    """The smallest picture that still gives the model every pixel it can use.

    A camera that decodes compressed pictures may deliver any size that is not smaller. One that
    gives rows gives those of `columns`, in that order, or without names `width` numbers.
    columns: None: the model takes pictures.
    """

    width: int
    height: int
    cover: bool  # True: both sides must be reached (stretch, crop). False: one (letterbox)
    columns: tuple[str, ...] | None = None

    def least(self, width: int, height: int) -> tuple[int, int]:
        """The least (width, height) to which a picture of this size may be shrunk."""
        pick = max if self.cover else min
        scale = min(1.0, pick(self.width / width, self.height / height))
        return round(width * scale), round(height * scale)


@dataclass
class Losses:
    """Frames that gave no result, by reason. Counters only grow."""

    skipped: int = 0  # overtaken by a newer frame before anybody read them
    driver: int = 0  # the driver's own sequence numbers say that they never reached us
    decode: int = 0  # compressed pictures that could not be decoded
    refused: int = 0  # came with the driver's error flag, or with a wrong size


@dataclass(frozen=True)
class Rect:
    """A rectangle in whole pixels."""

    x: int
    y: int
    width: int
    height: int

    @property
    def box(self) -> tuple[slice, slice]:
        """As an index into (rows, columns)."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)


@dataclass(frozen=True)
class Part:
    """What of a frame the model is to look at: box, which another model found, in source pixels;
    region: that with some margin, in pixels of the buffer."""

    box: Box
    region: Rect


class Frame:
    """One captured image (or row of numbers), valid until it is released.

    seq: the driver's counter. captured_ns: CLOCK_MONOTONIC, stamped by the driver. memory: what was
    lent, None after it was given back; who shares a camera knows its buffers by them. part: None:
    the model looks at all of it.
    """

    __slots__ = (
        "_give_back", "_pixels", "_watch", "captured_ns", "layout", "memory", "part", "seq",
    )  # fmt: skip

    def __init__(
        self,
        seq: int,
        captured_ns: int,
        layout: Layout,
        memory: Memory,
        give_back: Callable[[], None],
    ) -> None:
        # by way of a memoryview: views of an array would otherwise name that array, not `flat`
        flat = np.frombuffer(memoryview(memory), np.uint8)  # type: ignore[arg-type]
        self.seq = seq
        self.captured_ns = captured_ns
        self.layout = layout
        self.memory: Memory | None = memory
        self.part: Part | None = None
        self._pixels: Pixels | None = layout.shape(flat)
        self._watch = weakref.ref(flat)  # every view of this frame keeps `flat` alive
        self._give_back = give_back

    @property
    def pixels(self) -> Pixels:
        """The picture in the camera's own memory, shaped as `Layout.shape` says."""
        if self._pixels is None:
            raise RuntimeError(f"frame {self.seq} was already given back")
        return self._pixels

    def release(self) -> None:
        """Return the buffer. Raises RuntimeError if somebody still holds a view of it."""
        if self._pixels is None:
            return
        self._pixels = self.memory = None
        self._give_back()
        if self._watch() is not None:
            raise RuntimeError(f"a view of frame {self.seq} outlived its loan")

    def __enter__(self) -> Frame:
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *_: Any) -> None:
        try:
            self.release()
        except RuntimeError:
            if exc_type is None:  # a traceback keeps views alive: never mask the real error
                raise
