"""Masks as run lengths: made of grids, made grids again, and how much two of them overlap."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from runtime.tasks import Mask

Array = npt.NDArray[Any]
LARGEST_SIDE = 1024  # of a grid; the manifest allows no finer one
LATTICE = 200  # points across and down by which two masks are compared


class Outlined(Protocol):
    """What lies in a box and has a mask there: an Instance or a Region."""

    @property
    def x(self) -> float: ...
    @property
    def y(self) -> float: ...
    @property
    def width(self) -> float: ...
    @property
    def height(self) -> float: ...
    @property
    def mask(self) -> Mask | None: ...


def encode(columns: Array) -> Mask:
    """The mask of a grid that is given column by column: (columns, rows), contiguous, bool or
    uint8. Neither side is 0."""
    cells = columns.reshape(-1)
    ends = np.flatnonzero(cells[1:] != cells[:-1])  # where a run has its last cell
    lasts = [-1, *ends.tolist(), cells.size - 1]
    counts = [last - before for before, last in pairwise(lasts)]
    if cells[0]:
        counts.insert(0, 0)
    return Mask((columns.shape[1], columns.shape[0]), tuple(counts))


def is_sound(mask: Mask) -> bool:
    """Whether it can be made a grid: one that came out of a file may hold anything."""
    rows, columns = mask.size
    sides = 1 <= rows <= LARGEST_SIDE and 1 <= columns <= LARGEST_SIDE
    lengths = all(0 <= count <= LARGEST_SIDE**2 for count in mask.counts)
    return sides and lengths and sum(mask.counts) == rows * columns


def grid_of(mask: Mask) -> npt.NDArray[np.bool_]:
    """The cells, (rows, columns). The mask must be sound."""
    rows, columns = mask.size
    belongs = np.arange(len(mask.counts)) % 2 == 1
    cells: npt.NDArray[np.bool_] = np.repeat(belongs, mask.counts).reshape(columns, rows).T
    return cells


def overlap(one: Outlined, other: Outlined) -> float:
    """Intersection over union of two masks where they lie, 0 to 1, on a lattice of points over
    both. Two empty ones are the same: 1."""
    left, top = min(one.x, other.x), min(one.y, other.y)
    right = max(one.x + one.width, other.x + other.width)
    bottom = max(one.y + one.height, other.y + other.height)
    middles = (np.arange(LATTICE) + 0.5) / LATTICE
    with np.errstate(all="ignore"):  # an answer in a file may lie anywhere
        across, down = left + middles * (right - left), top + middles * (bottom - top)
    mine, theirs = sampled(one, across, down), sampled(other, across, down)
    either = int(np.count_nonzero(mine | theirs))
    return int(np.count_nonzero(mine & theirs)) / either if either else 1.0


def sampled(one: Outlined, across: Array, down: Array) -> npt.NDArray[np.bool_]:
    """Which points belong to it, (down, across). Both in pixels of the source frame."""
    points = np.zeros((len(down), len(across)), np.bool_)
    if one.mask is None or not is_sound(one.mask):
        return points
    rows, columns = one.mask.size
    with np.errstate(all="ignore"):
        column = np.floor((across - one.x) / one.width * columns)
        row = np.floor((down - one.y) / one.height * rows)
    there = np.flatnonzero((column >= 0) & (column < columns))
    below = np.flatnonzero((row >= 0) & (row < rows))
    cells = grid_of(one.mask)
    chosen = np.ix_(row[below].astype(np.intp), column[there].astype(np.intp))
    points[np.ix_(below, there)] = cells[chosen]
    return points
