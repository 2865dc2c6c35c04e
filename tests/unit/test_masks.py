"""Masks: COCO's run lengths there and back, and how much two of them overlap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from runtime.masks import LATTICE, encode, grid_of, is_sound, overlap
from runtime.tasks import Mask
from tests.naive import Array, cells_of


@dataclass(frozen=True)
class Lying:
    """A mask over a box."""

    x: float
    y: float
    width: float
    height: float
    mask: Mask | None


def mask_of(*rows: str) -> Mask:
    grid = np.array([[cell == "#" for cell in row] for row in rows])
    return encode(np.ascontiguousarray(grid.T))


@given(arrays.arrays(np.bool_, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_run_lengths_against_plain_loops(grid: Array) -> None:
    mask = encode(np.ascontiguousarray(grid.T))
    assert mask.size == grid.shape and cells_of(mask) == grid.tolist()
    assert (grid_of(mask) == grid).all() and is_sound(mask)
    assert all(count > 0 for count in mask.counts[1:])  # the first alone may be 0
    assert all(type(count) is int for count in (*mask.counts, *mask.size))


def test_the_example_of_coco() -> None:
    """Column by column, cells outside first."""
    assert mask_of(".#", "##") == Mask((2, 2), (1, 3))
    assert mask_of("#.", "..") == Mask((2, 2), (0, 1, 3))
    assert mask_of("...") == Mask((1, 3), (3,))


@pytest.mark.parametrize(
    "mask",
    [Mask((0, 0), ()), Mask((2, 2), (1, 2)), Mask((2, 2), (5,)), Mask((2, 2), (-1, 5)),
     Mask((-2, -2), (4,)), Mask((1 << 20, 1 << 20), (1 << 40,)), Mask((2, 2), (0, 0, 1 << 70))],
)  # fmt: skip
def test_what_no_grid_can_be_made_of_is_not_sound(mask: Mask) -> None:
    assert not is_sound(mask)
    assert overlap(Lying(0, 0, 9, 9, mask), Lying(0, 0, 9, 9, mask_of("#"))) == 0


sides = st.floats(-50, 50), st.floats(-50, 50), st.floats(1, 60), st.floats(1, 60)
grids = arrays.arrays(np.bool_, st.tuples(st.integers(1, 5), st.integers(1, 5)))


@given(*sides, *sides, grids, grids)
def test_an_overlap_against_plain_loops(
    x: float, y: float, wide: float, high: float, x2: float, y2: float, wide2: float, high2: float,
    grid: Array, grid2: Array,
) -> None:  # fmt: skip
    one = Lying(x, y, wide, high, encode(np.ascontiguousarray(grid.T)))
    other = Lying(x2, y2, wide2, high2, encode(np.ascontiguousarray(grid2.T)))
    left, top = min(x, x2), min(y, y2)
    right, bottom = max(x + wide, x2 + wide2), max(y + high, y2 + high2)
    both = either = 0
    for i in range(0, LATTICE, 4):
        for j in range(0, LATTICE, 4):
            at_x = left + (i + 0.5) / LATTICE * (right - left)
            at_y = top + (j + 0.5) / LATTICE * (bottom - top)
            a, b = (belongs(each, at_x, at_y) for each in (one, other))
            both, either = both + (a and b), either + (a or b)
    if either > 200:  # a sixteenth of the points: the share is near
        assert overlap(one, other) == pytest.approx(both / either, abs=0.12)
    assert overlap(one, other) == overlap(other, one)
    assert overlap(one, one) == 1


def belongs(one: Lying, x: float, y: float) -> bool:
    assert one.mask is not None
    cells = cells_of(one.mask)
    column = int((x - one.x) // (one.width / len(cells[0])))
    row = int((y - one.y) // (one.height / len(cells)))
    return 0 <= column < len(cells[0]) and 0 <= row < len(cells) and cells[row][column]


def test_empty_masks_are_the_same_and_none_is_empty() -> None:
    empty, nothing = Lying(0, 0, 4, 4, mask_of("..")), Lying(0, 0, 4, 4, None)
    assert overlap(empty, nothing) == overlap(nothing, nothing) == 1
    assert overlap(empty, Lying(0, 0, 4, 4, mask_of("##"))) == 0


def test_a_half_of_a_whole_is_a_half() -> None:
    whole, half = Lying(10, 20, 40, 8, mask_of("#")), Lying(10, 20, 40, 8, mask_of("#."))
    assert overlap(whole, half) == pytest.approx(0.5)
