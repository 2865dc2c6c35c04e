"""Masks and skeletons are drawn where they belong, and stay inside of the picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.draw import colour_of, draw
from runtime.draw_shapes import LEAST_POINT_SCORE
from runtime.frames import Pixels
from runtime.masks import encode
from runtime.tasks import Found, Instance, Mask, Point, Pose, Region, Vector
from tests.unit.test_draw import ground

LEFT_HALF = Mask((1, 2), (0, 1, 1))


def tinted(picture: Pixels, value: int = 128) -> Any:
    return (picture != value).any(axis=2)


def test_a_mask_colours_its_cells_and_no_others() -> None:
    """The left half of a box of 320 x 240 pixels of the source, which is twice as large."""
    picture = ground(640, 480)
    draw(picture, (Region(2, "", 0.9, 0.1, 400, 300, 320, 240, LEFT_HALF),), (1280, 960))
    where = tinted(picture)
    where[:120] = False  # the ranking is there
    assert where[150:270, 200:280].all()
    where[148:272, 198:282] = False  # the line around it is two pixels wide
    assert not where.any()


@pytest.mark.parametrize(("x", "y"), [(-160, 0), (480, 0), (0, -120), (0, 360)])
def test_a_mask_that_is_cut_at_the_edge_stays_in_its_place(x: float, y: float) -> None:
    """Four cells, of which one belongs; half of the box is out of the picture."""
    cell = np.zeros((4, 4), np.bool_)
    cell[2, 1] = True  # column 2, row 1
    picture = ground(640, 480)
    draw(picture, (Region(0, "", 0.9, 0.1, x, y, 320, 240, encode(cell)),), (640, 480))
    where = tinted(picture)
    left, top = int(x) + 160, int(y) + 60
    where[:56, :200] = False  # the ranking
    assert where[max(0, top) : max(0, top + 60), max(0, left) : max(0, left + 80)].all()
    where[max(0, top - 2) : max(0, top + 62), max(0, left - 2) : max(0, left + 82)] = False
    assert not where.any()


def test_an_instance_has_its_box_and_its_label_too() -> None:
    picture, box_alone = ground(640, 480), ground(640, 480)
    one = Instance(1, "cat", 0.9, 100, 100, 200, 200, mask=Mask((2, 2), (0, 4)))
    draw(picture, (one,), (640, 480))
    draw(box_alone, (Instance(1, "cat", 0.9, 100, 100, 200, 200),), (640, 480))
    inside = np.s_[120:280, 120:280]
    assert tinted(picture[inside]).all() and not tinted(box_alone[inside]).any()
    assert (picture[80:95, 100:160] == box_alone[80:95, 100:160]).all()  # the plate


def test_a_skeleton_joins_what_can_be_seen() -> None:
    low = LEAST_POINT_SCORE - 0.01
    points = (Point("a", 100, 100, 0.9), Point("b", 300, 100, 0.9), Point("c", 300, 300, low))
    pose = Pose(4, "", 0.9, 90, 90, 220, 220, points=points, skeleton=((0, 1), (1, 2), (0, 99)))
    picture = ground(640, 480)
    draw(picture, (pose,), (640, 480))
    assert (picture[100, 200] == colour_of(4)).all()  # half way from a to b
    assert (picture[200, 300] == 128).all() and (picture[300, 295] == 128).all()  # c is not seen


def test_a_vector_is_said_in_words() -> None:
    picture = ground(640, 480)
    draw(picture, (Vector("embedding", 3.2, (0.5,) * 128),), (640, 480))
    assert tinted(picture)[:60].any() and not tinted(picture)[60:].any()


NUMBERS = st.floats(width=32) | st.floats(-2000, 2000)
COUNTS = st.lists(st.integers(-3, 20), max_size=9).map(tuple)
MASKS = st.builds(
    Mask, st.tuples(st.integers(-1, 4), st.integers(-1, 4)), COUNTS
) | st.sampled_from([LEFT_HALF, Mask((2, 2), (0, 4)), Mask((3, 1), (1, 1, 1))])
SIDES = (NUMBERS, NUMBERS, NUMBERS, NUMBERS)
LABEL = st.sampled_from(["", "cat", "\ud800", "\x1b[31m"])
POINTS = st.lists(st.builds(Point, LABEL, NUMBERS, NUMBERS, NUMBERS), max_size=4).map(tuple)
BONES = st.lists(st.tuples(st.integers(-5, 9), st.integers(-5, 9)), max_size=5).map(tuple)
FOUND = st.one_of(
    st.lists(
        st.builds(Instance, st.integers(-5, 99), LABEL, NUMBERS, *SIDES, mask=st.none() | MASKS),
        max_size=4,
    ),
    st.lists(st.builds(Region, st.integers(-5, 99), LABEL, NUMBERS, NUMBERS, *SIDES, MASKS),
             max_size=4),
    st.lists(
        st.builds(Pose, st.integers(-5, 99), LABEL, NUMBERS, *SIDES, points=POINTS, skeleton=BONES),
        max_size=3,
    ),
    st.lists(st.builds(Vector, LABEL, NUMBERS, st.just((1.0,))), max_size=2),
).map(tuple)  # fmt: skip


@settings(max_examples=60)
@given(FOUND, st.integers(1, 400), st.integers(1, 300))
def test_nothing_is_drawn_outside_and_nothing_raises(found: Found, width: int, height: int) -> None:
    sheet = ground(width + 40, height + 40)
    draw(sheet[20 : 20 + height, 20 : 20 + width], found, (640, 480))
    sheet[20 : 20 + height, 20 : 20 + width] = 128
    assert (sheet == 128).all()
