"""Where the picture goes: which part of the frame fills which part of the input tensor."""

from __future__ import annotations

from dataclasses import dataclass

from models.manifest import Input
from runtime.frames import Layout, Rect
from runtime.tasks import Box, View

SLIM = 8  # a region that is so much longer than wide would be scaled to megabytes, for its middle
CHROMA_IN_PAIRS = ("YUYV", "NV12")  # two pixels (NV12: two rows as well) share their colour


@dataclass(frozen=True)
class Placement:
    """`source` (of the camera buffer) is scaled onto `target` (of the tensor).

    scaled, cut: where they are set, the source is scaled to this (width, height) instead, and the
    target takes this part of it.
    """

    source: Rect
    target: Rect
    view: View
    scaled: tuple[int, int] | None = None
    cut: Rect | None = None

    @property
    def same_size(self) -> bool:
        return (self.source.width, self.source.height) == (self.target.width, self.target.height)


def unit_of(layout: Layout) -> int:
    """Pixels that share their colour cannot be taken apart: what sides are multiples of."""
    return 2 if layout.format in CHROMA_IN_PAIRS else 1


def place(wanted: Input, layout: Layout, region: Rect | None = None) -> Placement:
    """How a frame of this layout, or a region of it in multiples of `unit_of`, is brought to the
    size that the model wants."""
    unit = unit_of(layout)
    source = region or Rect(0, 0, layout.width, layout.height)
    target = Rect(0, 0, wanted.width, wanted.height)
    slim = max(source.width, source.height) > SLIM * min(source.width, source.height)
    if wanted.resize is not None and wanted.fit == "crop" and not slim:
        return _cut(wanted, wanted.resize, source, layout)
    if wanted.fit == "letterbox":
        target = _centred(target, source.width, source.height, unit)
    elif wanted.fit == "crop":
        source = _centred(source, wanted.width, wanted.height, unit)
    return Placement(source, target, _view(source, target, layout))


def _cut(wanted: Input, resize: int, source: Rect, layout: Layout) -> Placement:
    """As torchvision's Resize and CenterCrop: the same roundings, or the picture were shifted by
    half a pixel."""
    shorter = min(source.width, source.height)
    wide = max(wanted.width, source.width * resize // shorter)
    tall = max(wanted.height, source.height * resize // shorter)
    x, y = round((wide - wanted.width) / 2), round((tall - wanted.height) / 2)
    view = _view(source, Rect(-x, -y, wide, tall), layout)
    target = Rect(0, 0, wanted.width, wanted.height)
    cut = Rect(x, y, wanted.width, wanted.height)
    return Placement(source, target, view, (wide, tall), cut)


def _centred(inside: Rect, width: int, height: int, unit: int) -> Rect:
    """The largest centred rectangle of the aspect width : height, in multiples of `unit`."""
    scale = min(inside.width / width, inside.height / height)
    fitted = min(inside.width, _nearest(width * scale, unit))
    tall = min(inside.height, _nearest(height * scale, unit))
    x = (inside.width - fitted) // 2 // unit * unit
    y = (inside.height - tall) // 2 // unit * unit
    return Rect(inside.x + x, inside.y + y, fitted, tall)


def region_around(box: Box, margin: float, layout: Layout) -> Rect:
    """The pixels of the buffer that show a box and, on each side, `margin` times its width or
    height more; as far as there are any. Never empty."""
    unit = unit_of(layout)
    shrink_x = layout.width / layout.source[0]
    shrink_y = layout.height / layout.source[1]
    x, width = _span(box.x, box.width, margin, shrink_x, layout.width, unit)
    y, height = _span(box.y, box.height, margin, shrink_y, layout.height, unit)
    return Rect(x, y, width, height)


def _span(
    first: float, length: float, margin: float, shrink: float, most: int, unit: int
) -> tuple[int, int]:
    low = (first - margin * length) * shrink
    high = (first + (1 + margin) * length) * shrink
    start = min(max(0, int(low // unit) * unit), most - unit)
    end = max(start + unit, min(most, int(-(-high // unit)) * unit))
    return start, end - start


def _nearest(length: float, unit: int) -> int:
    return max(unit, round(length / unit) * unit)


def _view(source: Rect, target: Rect, layout: Layout) -> View:
    full_width, full_height = layout.source
    grow_x, grow_y = full_width / layout.width, full_height / layout.height
    step_x = source.width / target.width * grow_x
    step_y = source.height / target.height * grow_y
    return View(
        full_width,
        full_height,
        source.x * grow_x - target.x * step_x,
        source.y * grow_y - target.y * step_y,
        step_x,
        step_y,
    )
