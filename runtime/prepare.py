"""The one pass over the pixels: from camera memory straight into engine memory.

Compiled once per (layout, model) into the fewest kernels, with all memory allocated beforehand.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from models.manifest import Input
from runtime.engines import Tensor
from runtime.frames import ROW, Aim, Frame, Layout, Part, Pixels, Rect
from runtime.geometry import place
from runtime.pixels import Scratch, Step, compile_picture, limited_luma
from runtime.tasks import View
from wire.troubles import Refused

Prepare = Callable[[Frame, Tensor], View]
Store = Callable[[], object]
Table = npt.NDArray[Any]

HALF_STEP = 0.501  # of a quantised code, and room for the rounding of scales


def make_prepare(wanted: Input) -> Prepare:
    """A function that writes a frame into an input tensor and says which part of it is shown.

    The tensor: shape (1, height, width, channels) or (1, channels, height, width) as `wanted` says,
    of its dtype, C-contiguous. Everything is compiled at the first frame of a layout.
    """
    return _Compiled(wanted)


def aim_of(wanted: Input) -> Aim:
    """What a camera that decodes needs to know of the model."""
    if wanted.fit == "crop" and wanted.resize is not None:
        return Aim(wanted.resize, wanted.resize, cover=True)
    return Aim(wanted.width, wanted.height, cover=wanted.fit != "letterbox")


class _Compiled:
    def __init__(self, wanted: Input) -> None:
        self._wanted = wanted
        self._layout: Layout | None = None
        self._part: Part | None = None
        self._out: Tensor | None = None
        self._target: Rect | None = None  # what is not padding in `_out`
        self._scratch = Scratch()
        self._padding = _padding(wanted)
        self._tables: dict[bool, Table] = {}  # by whether grey values are limited luma
        self._step: Step
        self._view: View

    def __call__(self, frame: Frame, out: Tensor) -> View:
        if frame.layout is not self._layout or out is not self._out or frame.part is not self._part:
            self._compile(frame.layout, frame.part, out)
        self._step(frame.pixels)
        return self._view

    def _compile(self, layout: Layout, part: Part | None, out: Tensor) -> None:
        if layout.format == ROW:
            raise Refused("the model takes pictures, and this camera gives rows of numbers")
        if layout != self._layout or part != self._part or out is not self._out:
            placement = place(self._wanted, layout, None if part is None else part.region)
            self._view = placement.view
            if out is not self._out or placement.target != self._target:
                out[...] = self._padding
            region = _region(self._wanted, out, *placement.target.box)
            self._scratch.rewind()
            picture, store = _store(self._wanted, region, self._table(layout), self._scratch)
            fill = compile_picture(self._wanted, layout, placement, picture, self._scratch)
            self._step = fill if store is None else _both(fill, store)
            self._target = placement.target
        self._layout, self._part, self._out = layout, part, out

    def _table(self, layout: Layout) -> Table:
        limited = limited_luma(layout, self._wanted)
        if limited not in self._tables:
            self._tables[limited] = stored_values(self._wanted, _codes(limited))
        return self._tables[limited]


def _both(fill: Step, store: Store) -> Step:
    def step(pixels: Pixels) -> None:
        fill(pixels)
        store()

    return step


def _region(wanted: Input, out: Tensor, rows: slice, columns: slice) -> Tensor:
    """The part of the tensor that shows the picture: (h, w, 3), (3, h, w) or grey (h, w)."""
    if wanted.colour == "grey":
        picture: Tensor = out.reshape(wanted.height, wanted.width)
    else:
        picture = out[0]
    planar = picture.ndim == 3 and wanted.layout == "NCHW"
    region: Tensor = picture[:, rows, columns] if planar else picture[rows, columns]
    return region


def _codes(limited: bool) -> npt.NDArray[np.float64]:
    """The pixel value 0 to 255 that each of the 256 byte codes stands for."""
    codes = np.arange(256, dtype=np.float64)
    return np.clip((codes - 16) * 255 / 219, 0, 255) if limited else codes


def stored_values(wanted: Input, pixels: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """What the tensor holds for pixel values, per channel: shape (n, channels)."""
    real = _unrounded(wanted, pixels)
    if wanted.dtype == "float32":
        return real.astype(np.float32)
    limits = np.iinfo(wanted.dtype)
    # Training frameworks often put pixel values half way between two codes (zero point -1, scale
    # 1 / 127.5). The code that is the pixel itself, or the pixel - 128, is then as near as any,
    # and it is what costs least.
    for shift in (0, 128):
        plain = np.broadcast_to(pixels[:, None] - shift, real.shape)
        fits = limits.min <= plain.min() and plain.max() <= limits.max
        if fits and (plain == np.rint(plain)).all() and np.abs(plain - real).max() < HALF_STEP:
            return plain.astype(wanted.dtype)
    return np.clip(np.rint(real), limits.min, limits.max).astype(wanted.dtype)


def _unrounded(wanted: Input, pixels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    mean = np.broadcast_to(np.asarray(wanted.mean, np.float64), wanted.channels)
    std = np.broadcast_to(np.asarray(wanted.std, np.float64), wanted.channels)
    real: npt.NDArray[np.float64] = (pixels[:, None] - mean) / std
    return real if wanted.scale is None else real / wanted.scale + (wanted.zero_point or 0)


def _padding(wanted: Input) -> npt.NDArray[Any]:
    values: npt.NDArray[Any] = stored_values(wanted, np.array([float(wanted.padding)]))[0]
    return values if wanted.layout == "NHWC" else values.reshape(-1, 1, 1)


def _store(
    wanted: Input, region: Tensor, table: Table, scratch: Scratch
) -> tuple[Pixels, Store | None]:
    """The uint8 picture to fill, and the step that turns it into what the region must hold."""
    planar = wanted.layout == "NCHW" and wanted.channels == 3
    if not planar:
        if wanted.dtype != "float32":
            bytes_in_place = region.view(np.uint8)
            return bytes_in_place, _bytes_step(table, bytes_in_place)
        picture = scratch.take(*region.shape)
        return picture, _floats_step(table, picture, region)
    picture = scratch.take(*region.shape[1:], 3)
    if wanted.dtype != "float32":
        planes = list(region.view(np.uint8))
        recode = [_bytes_step(table[:, c : c + 1], plane) for c, plane in enumerate(planes)]
        return picture, _split(picture, planes, recode)
    planes = [scratch.take(*region.shape[1:]) for _ in range(3)]
    widen: list[Store | None] = [
        _floats_step(table[:, c : c + 1], plane, region[c]) for c, plane in enumerate(planes)
    ]
    return picture, _split(picture, planes, widen)


def _split(picture: Pixels, planes: list[Pixels], steps: list[Store | None]) -> Store:
    needed = [step for step in steps if step is not None]

    def store() -> None:
        cv2.split(picture, planes)
        for step in needed:
            step()

    return store


def _bytes_step(table: npt.NDArray[Any], picture: Pixels) -> Store | None:
    """Recode a picture in place by a table (256, channels) of one-byte values."""
    table = table.view(np.uint8)
    codes = np.arange(256, dtype=np.uint8)
    if (table == codes[:, None]).all():
        return None
    if (table == (codes ^ 0x80)[:, None]).all():
        return partial(np.bitwise_xor, picture, np.uint8(0x80), out=picture)
    return partial(cv2.LUT, picture, _lookup(table), picture)


def _floats_step(table: npt.NDArray[Any], picture: Pixels, region: Tensor) -> Store:
    """Write a table's float values of a uint8 picture into a region of the tensor."""
    first = table[:, 0].astype(np.float64)
    slope = np.float32((first[255] - first[0]) / 255)
    start = np.float32(first[0])
    line = first[0] + np.arange(256) * float(slope)
    straight = np.abs(table - line[:, None]).max() <= 1e-6 * np.abs(line).max()
    if straight and start == 0:
        return partial(np.multiply, picture, slope, out=region)
    if straight:

        def scale_and_shift() -> None:
            np.multiply(picture, slope, out=region)
            np.add(region, start, out=region)

        return scale_and_shift
    return partial(cv2.LUT, picture, _lookup(table), region)


def _lookup(table: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The table as cv2.LUT wants it: one for all channels, or one per channel."""
    if (table == table[:, :1]).all():
        return np.ascontiguousarray(table[:, 0].reshape(1, 256))
    return np.ascontiguousarray(table.reshape(256, 1, -1))
