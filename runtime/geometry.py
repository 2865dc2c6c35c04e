"""Where the picture goes: which part of the frame fills which part of the input tensor."""

from __future__ import annotations

from dataclasses import dataclass

from models.manifest import Input
from runtime.frames import Layout
from runtime.tasks import View

CHROMA_IN_PAIRS = ("YUYV", "NV12")  # two pixels (NV12: two rows as well) share their colour


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
class Placement:
    """`source` (of the camera buffer) is scaled onto `target` (of the tensor)."""

    source: Rect
    target: Rect
    view: View

    @property
    def same_size(self) -> bool:
        return (self.source.width, self.source.height) == (self.target.width, self.target.height)


def place(wanted: Input, layout: Layout) -> Placement:
    """How a frame of this layout is brought to the size that the model wants."""
    unit = 2 if layout.format in CHROMA_IN_PAIRS else 1
    source = Rect(0, 0, layout.width, layout.height)
    target = Rect(0, 0, wanted.width, wanted.height)
    if wanted.fit == "letterbox":
        target = _centred(target, layout.width, layout.height, unit)
    elif wanted.fit == "crop":
        source = _centred(source, wanted.width, wanted.height, unit)
    return Placement(source, target, _view(source, target, layout))


def _centred(inside: Rect, width: int, height: int, unit: int) -> Rect:
    """The largest centred rectangle of the aspect width : height, in multiples of `unit`."""
    scale = min(inside.width / width, inside.height / height)
    fitted = min(inside.width, _nearest(width * scale, unit))
    tall = min(inside.height, _nearest(height * scale, unit))
    x = (inside.width - fitted) // 2 // unit * unit
    y = (inside.height - tall) // 2 // unit * unit
    return Rect(x, y, fitted, tall)


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
