"""What was found as it travels: within what a message has room for, and what is missing is said."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from runtime.masks import encode
from runtime.tasks import Box, Instance, Mask, Point, Pose, Region, Vector
from runtime.things import MOST_DETAIL_BYTES, MOST_THINGS, thing, told
from wire.results import LeftOut, Thing

MASK = Mask((2, 2), (1, 3))
CAT = Instance(3, "cat", 0.9, 10, 20, 40, 50, mask=MASK)


def said(entry: Any) -> Any:
    return msgspec.to_builtins(thing(entry))


def noise(side: int = 128) -> Mask:
    grid = np.random.default_rng(0).random((side, side)) > 0.5
    return encode(grid)


def test_each_kind_in_the_words_of_the_wire() -> None:
    mask = {"size": (2, 2), "counts": (1, 3)}
    box = {"label": "cat", "index": 3, "score": 0.9, "box": (10, 20, 40, 50)}
    assert said(CAT) == {**box, "mask": mask}
    assert said(replace(CAT, mask=None)) == box
    region = Region(1, "road", None, 0.25, 0, 0, 9, 9, MASK)
    assert said(region) == {
        "label": "road", "index": 1, "box": (0, 0, 9, 9), "share": 0.25, "mask": mask,
    }  # fmt: skip
    pose = Pose(
        0,
        "body",
        0.5,
        1,
        2,
        3,
        4,
        points=(Point("nose", 1.26, -2.04, 0.12345), Point("ear", math.nan, 0, 0)),
        skeleton=((0, 1),),
    )
    assert said(pose) == {
        "label": "body", "index": 0, "score": 0.5, "box": (1, 2, 3, 4),
        "points": {"nose": (1.3, -2.0, 0.123), "ear": None},
    }  # fmt: skip
    assert said(Vector("out", 2.5, (0.123456789, -1e-9))) == {
        "label": "out", "length": 2.5, "values": (0.12346, -1e-9),
    }  # fmt: skip


def test_what_has_no_room_is_left_out_and_counted() -> None:
    found = tuple(replace(CAT, index=i, mask=noise()) for i in range(MOST_THINGS + 7))
    one = len(msgspec.json.encode(thing(found[0]).mask))
    things, left = told(found)
    whole = [each for each in things if each.mask is not None]
    assert len(things) == MOST_THINGS and [each.index for each in things] == list(
        range(MOST_THINGS)
    )
    assert whole == list(things[: len(whole)]) and len(whole) == MOST_DETAIL_BYTES // one
    assert left == LeftOut(things=7, masks=MOST_THINGS - len(whole))
    assert len(msgspec.json.encode(things)) < 48_000


def test_a_small_mask_after_a_large_one_has_its_room() -> None:
    large = replace(CAT, mask=noise(1024))
    things, left = told((large, CAT))
    assert things[0].mask is None and things[0].box is not None
    assert things[1].mask is not None and left == LeftOut(masks=1)


def test_vectors_and_points_are_left_out_alike() -> None:
    things, left = told((Vector("out", 1.0, (0.12345,) * 4000),))
    assert things == (Thing("out", length=1.0),) and left == LeftOut(values=1)
    points = tuple(Point(f"point {i}", i, i, 1) for i in range(512))
    bodies = tuple(Pose(0, "body", 0.5, 1, 2, 3, 4, points=points) for _ in range(3))
    things, left = told(bodies)
    assert left == LeftOut(points=1)
    assert [each.points is None for each in things] == [False, False, True]


def test_nothing_is_left_out_of_what_is_usual() -> None:
    """A few people, and a picture in twenty parts."""
    points = tuple(Point(f"left_shoulder_{i}", 1000.0, 1000.0, 0.5) for i in range(17))
    bodies = tuple(Pose(0, "body", 0.5, 1, 2, 3, 4, points=points) for _ in range(20))
    assert (
        told(bodies)[1]
        == told(())[1]
        == told((Vector("out", 1.0, (0.12345,) * 2048),))[1]
        == (LeftOut())
    )


numbers = st.floats(allow_nan=True, allow_infinity=True)


@given(numbers, numbers, st.text(max_size=20))
def test_what_is_told_can_always_be_read_again(a: float, b: float, name: str) -> None:
    found: tuple[Any, ...] = (
        Instance(0, name, a, b, a, b, a, mask=MASK),
        Region(0, name, a, b, a, b, a, b, MASK),
        Pose(0, name, a, b, a, b, a, points=(Point(name, a, b, a),)),
        Vector(name, a, (1.0,)),
        Box(0, name, a, b, a, b, a),
    )
    for each in found:
        (one,), left = told((each,))
        assert msgspec.json.decode(msgspec.json.encode(one), type=Thing) == one
        assert left == LeftOut()
