"""From camera memory to a small picture: scaling and colour, in the fewest passes.

Each function compiles one way for one (layout, placement) and returns a step that runs per frame
and allocates nothing. Colours follow ITU-R BT.601, limited range, as V4L2's YUYV and NV12 have it.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from models.manifest import Input
from runtime.antialias import KERNELS, compile_shrink
from runtime.frames import Layout, Pixels, Rect
from runtime.geometry import Placement

Step = Callable[[Pixels], None]

# Worker threads gain nothing at these sizes and cost the other core its peace.
cv2.setNumThreads(1)

INTERPOLATION = {
    "nearest": cv2.INTER_NEAREST,
    "nearest-exact": cv2.INTER_NEAREST_EXACT,
    "bilinear": cv2.INTER_LINEAR,
    "area": cv2.INTER_AREA,
}
RECOLOUR = {
    ("RGB3", "bgr"): cv2.COLOR_RGB2BGR,
    ("RGB3", "grey"): cv2.COLOR_RGB2GRAY,
    ("BGR3", "rgb"): cv2.COLOR_BGR2RGB,
    ("BGR3", "grey"): cv2.COLOR_BGR2GRAY,
    ("GREY", "rgb"): cv2.COLOR_GRAY2RGB,
    ("GREY", "bgr"): cv2.COLOR_GRAY2BGR,
    ("YUYV", "rgb"): cv2.COLOR_YUV2RGB_YUY2,
    ("YUYV", "bgr"): cv2.COLOR_YUV2BGR_YUY2,
    ("YUYV", "grey"): cv2.COLOR_YUV2GRAY_YUY2,
    ("NV12", "rgb"): cv2.COLOR_YUV2RGB_NV12,
    ("NV12", "bgr"): cv2.COLOR_YUV2BGR_NV12,
}


class Scratch:
    """Memory between two passes. What is compiled anew uses it again: no allocation per frame where
    each frame has another part to look at."""

    def __init__(self) -> None:
        self._blocks: list[Pixels] = []
        self._taken = 0

    def rewind(self) -> None:
        """All that was taken can be taken again."""
        self._taken = 0

    def take(self, *shape: int) -> Pixels:
        """An array of this shape, of any content."""
        size = int(np.prod(shape))
        if self._taken == len(self._blocks):
            self._blocks.append(np.empty(size, np.uint8))
        elif self._blocks[self._taken].size < size:
            self._blocks[self._taken] = np.empty(size, np.uint8)
        block = self._blocks[self._taken]
        self._taken += 1
        return block[:size].reshape(shape)


def compile_picture(
    wanted: Input, layout: Layout, placement: Placement, into: Pixels, scratch: Scratch
) -> Step:
    """A step that fills `into` (uint8, (height, width, 3), grey: (height, width)) from a frame.

    Grey made from YUYV or NV12 is their luma as it is, 16 to 235 (see `limited_luma`).
    """
    if placement.scaled is not None and placement.cut is not None:
        return _cut(wanted, layout, placement, placement.scaled, placement.cut, into, scratch)
    method = wanted.interpolation
    source, target = placement.source, placement.target
    if layout.format == "YUYV":
        if target.width % 2 or source.width % 2:
            return _odd(wanted, layout, placement, into, scratch)
        return _yuyv(source, target, method, RECOLOUR["YUYV", wanted.colour], into, scratch)
    if layout.format == "NV12":
        if wanted.colour == "grey":
            return _scaled(source, target, method, into, scratch)  # the Y rows come first
        if (target.width | target.height | source.width | source.height) % 2:
            return _odd(wanted, layout, placement, into, scratch)
        return _nv12(layout, placement, method, RECOLOUR["NV12", wanted.colour], into, scratch)
    code = RECOLOUR.get((layout.format, wanted.colour))
    if code is None:
        return _scaled(source, target, method, into, scratch)
    channels = () if layout.format == "GREY" else (3,)
    return _recoloured(placement, method, code, channels, into, scratch)


def _cut(
    wanted: Input, layout: Layout, placement: Placement, scaled: tuple[int, int], cut: Rect,
    into: Pixels, scratch: Scratch,
) -> Step:  # fmt: skip
    """Scale all of the source, and then take a part of it."""
    whole = scratch.take(scaled[1], scaled[0], *into.shape[2:])
    uncut = Placement(placement.source, Rect(0, 0, *scaled), placement.view)
    fill = compile_picture(wanted, layout, uncut, whole, scratch)
    part = whole[cut.box]

    def step(pixels: Pixels) -> None:
        fill(pixels)
        np.copyto(into, part)

    return step


def limited_luma(layout: Layout, wanted: Input) -> bool:
    """Whether the picture's grey values are luma from 16 to 235."""
    return wanted.colour == "grey" and layout.format in ("YUYV", "NV12")


def _scaled(source: Rect, target: Rect, method: str, into: Pixels, scratch: Scratch) -> Step:
    rows, columns = source.box
    size = (target.width, target.height)
    if (source.width, source.height) == size:
        return lambda pixels: np.copyto(into, pixels[rows, columns])
    if method in KERNELS:
        shrink = compile_shrink(method, (source.width, source.height), into, scratch.take)
        return lambda pixels: shrink(pixels[rows, columns])
    flag = INTERPOLATION[method]

    def step(pixels: Pixels) -> None:
        cv2.resize(pixels[rows, columns], size, into, interpolation=flag)

    return step


def _recoloured(
    placement: Placement, method: str, code: int, channels: tuple[int, ...], into: Pixels,
    scratch: Scratch,
) -> Step:  # fmt: skip
    target = placement.target
    if placement.same_size:
        rows, columns = placement.source.box

        def recolour(pixels: Pixels) -> None:
            cv2.cvtColor(pixels[rows, columns], code, into)

        return recolour
    small = scratch.take(target.height, target.width, *channels)
    scale = _scaled(placement.source, target, method, small, scratch)

    def step(pixels: Pixels) -> None:
        scale(pixels)
        cv2.cvtColor(small, code, into)

    return step


def _yuyv(
    source: Rect, target: Rect, method: str, code: int, into: Pixels, scratch: Scratch
) -> Step:
    """Scale whole macropixels Y0 U Y1 V, so that luma and chroma are never mixed up."""
    macro = scratch.take(target.height, target.width // 2, 4)
    pairs = macro.reshape(target.height, target.width, 2)
    half_source = Rect(source.x // 2, source.y, source.width // 2, source.height)
    half_target = Rect(0, 0, target.width // 2, target.height)
    if (source.width, source.height) == (target.width, target.height):
        rows, columns = half_source.box

        def convert(pixels: Pixels) -> None:
            view = pixels[rows, columns]
            cv2.cvtColor(view.reshape(view.shape[0], -1, 2), code, into)

        return convert
    scale = _scaled(half_source, half_target, method, macro, scratch)

    def step(pixels: Pixels) -> None:
        scale(pixels)
        cv2.cvtColor(pairs, code, into)

    return step


def _nv12(
    layout: Layout, placement: Placement, method: str, code: int, into: Pixels, scratch: Scratch
) -> Step:
    source, target = placement.source, placement.target
    luma = scratch.take(target.height, target.width)
    chroma = scratch.take(target.height // 2, target.width // 2, 2)
    half_source = Rect(source.x // 2, source.y // 2, source.width // 2, source.height // 2)
    half_target = Rect(0, 0, target.width // 2, target.height // 2)
    scale_luma = _scaled(source, target, method, luma, scratch)
    scale_chroma = _scaled(half_source, half_target, method, chroma, scratch)
    height, width = layout.height, layout.width

    def step(pixels: Pixels) -> None:
        scale_luma(pixels)
        scale_chroma(pixels[height:].reshape(height // 2, width // 2, 2))
        cv2.cvtColorTwoPlane(luma, chroma, code, into)

    return step


def _odd(
    wanted: Input, layout: Layout, placement: Placement, into: Pixels, scratch: Scratch
) -> Step:
    """Odd sizes split a chroma pair: convert the whole frame first, and scale that. Slower."""
    channels = () if wanted.colour == "grey" else (3,)
    full = scratch.take(layout.height, layout.width, *channels)
    code = RECOLOUR[layout.format, wanted.colour]
    scale = _scaled(placement.source, placement.target, wanted.interpolation, into, scratch)
    yuyv = layout.format == "YUYV"

    def step(pixels: Pixels) -> None:
        view = pixels.reshape(layout.height, layout.width, 2) if yuyv else pixels
        cv2.cvtColor(view, code, full)
        scale(full)

    return step
