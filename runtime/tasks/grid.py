"""Grids: outputs that hold a value, or several, for each cell of a grid over the input tensor."""

from __future__ import annotations

from dataclasses import dataclass

from models.manifest import Input
from runtime.engines import TensorSpec
from runtime.tasks import Tensor, View
from wire.troubles import Refused


@dataclass(frozen=True)
class Grid:
    """How such an output lies: (1, rows, columns, depth), or (1, depth, rows, columns) `in_planes`.

    cell_width, cell_height: of a cell, in tensor pixels.
    """

    rows: int
    columns: int
    depth: int
    in_planes: bool
    cell_width: float
    cell_height: float

    def planes(self, stored: Tensor) -> Tensor:
        """The output as (depth, cells), without a copy: strided where it does not lie in planes."""
        shape = (self.depth, -1) if self.in_planes else (-1, self.depth)
        planes: Tensor = stored.reshape(shape)
        return planes if self.in_planes else planes.T

    def seen(self, view: View) -> Seen:
        """The cells whose middles show something of the frame; the others show padding."""
        wide, high = self.cell_width * view.step_x, self.cell_height * view.step_y
        left, right = _between(view.x0, wide, view.source_width, self.columns)
        top, bottom = _between(view.y0, high, view.source_height, self.rows)
        return Seen(left, top, right, bottom, view.x0, view.y0, wide, high)


@dataclass(frozen=True)
class Seen:
    """Cells from left to right and from top to bottom, ends not included. x0, y0, wide, high: where
    the first cell of all begins in the source frame, and how large a cell is there, in pixels."""

    left: int
    top: int
    right: int
    bottom: int
    x0: float
    y0: float
    wide: float
    high: float

    @property
    def cells(self) -> tuple[slice, slice]:
        """As an index into (rows, columns)."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


def _between(start: float, step: float, length: int, count: int) -> tuple[int, int]:
    """From which to before which place the middles, start + (n + 0.5) step, are in 0 to length."""
    middles = [start + (n + 0.5) * step for n in (0, count - 1)]
    if middles[0] >= 0 and middles[1] < length:
        return 0, count
    within = [n for n in range(count) if 0 <= start + (n + 0.5) * step < length]
    return (within[0], within[-1] + 1) if within else (0, 0)


def grid_of(spec: TensorSpec, wanted: Input, what: str) -> Grid:
    """How an output of rank 3 (no depth) or 4 lies. what: for people, "the logits head".

    Of two ways in which four sides can be read it takes the one that has the input's aspect, and
    the input's own layout where both do. Raises Refused.
    """
    shape = spec.shape
    if len(shape) not in (3, 4) or shape[0] != 1 or 0 in shape:
        raise Refused(f"{what} needs an output (1, rows, columns, n), not {shape}")
    if len(shape) == 3:
        ways = [(shape[1], shape[2], 1, False)]
    else:
        ways = [(shape[1], shape[2], shape[3], False), (shape[2], shape[3], shape[1], True)]
    fitting = [way for way in ways if _has_aspect(way[0], way[1], wanted)]
    if not fitting:
        raise Refused(
            f"{what} needs a grid as wide and high as its {wanted.width}x{wanted.height} input, "
            f"not an output {shape}"
        )
    rows, columns, depth, in_planes = fitting[-1 if wanted.layout == "NCHW" else 0]
    return Grid(rows, columns, depth, in_planes, wanted.width / columns, wanted.height / rows)


def _has_aspect(rows: int, columns: int, wanted: Input) -> bool:
    """As near as whole cells come to it."""
    return abs(columns * wanted.height - rows * wanted.width) <= max(wanted.height, wanted.width)
