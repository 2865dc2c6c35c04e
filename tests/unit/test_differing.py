"""Answers that differ by more than they may, each kind of thing by its own measure."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from models.manifest import Golden
from runtime.differing import SIGMA, cosine, differs, similarity
from runtime.tasks import Box, Class, Instance, Mask, Point, Pose, Region, Stats, Vector

SAMPLE = Golden("a.png", "a.json")  # tolerance 0.1, overlap 0.6, cosine 0.95
FULL, LEFT, RIGHT = Mask((2, 2), (0, 4)), Mask((2, 2), (0, 2, 2)), Mask((2, 2), (2, 2))
SKY = Region(0, "sky", 0.9, 0.5, 0, 0, 100, 50, FULL)
CAT = Instance(3, "cat", 0.9, 10, 10, 40, 40, mask=FULL)
BODY = Pose(
    0, "body", 0.9, 0, 0, 100, 400,
    points=(Point("nose", 50, 20, 0.9), Point("foot", 50, 390, 0.8), Point("ear", 3, 3, 0.1)),
)  # fmt: skip
FIRST = Class(0, "a", 0.9)
VECTOR = Vector("out", 2.0, (0.6, 0.8, 0.0))


def moved(pose: Pose, by: float) -> Pose:
    return replace(pose, points=tuple(replace(p, x=p.x + by) for p in pose.points))


def sized(region: Region, share: float) -> Region:
    return replace(region, share=share)


@pytest.mark.parametrize(
    "one",
    [SKY, CAT, BODY, VECTOR, FIRST, Box(0, "a", 1, 1, 1, 1, 1), Stats("out", (1,), 0, 1, 0.5)],
)
def test_an_answer_agrees_with_itself_and_not_with_nothing(one: Any) -> None:
    assert differs((one,), (one,), SAMPLE) is None
    assert differs((one,), (), SAMPLE)
    assert differs((), (one,), SAMPLE)
    assert differs((), (), SAMPLE) is None


@pytest.mark.parametrize("one", [SKY, CAT, BODY, VECTOR, FIRST])
@pytest.mark.parametrize("other", [SKY, CAT, BODY, VECTOR, FIRST])
def test_things_of_two_kinds_never_agree(one: Any, other: Any) -> None:
    assert (differs((one,), (other,), SAMPLE) is None) == (one is other)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ((sized(SKY, 0.58),), None),
        ((sized(SKY, 0.61),), "expected in 50% of the picture, found in 61%"),
        ((replace(SKY, mask=LEFT),), "overlaps the expected region by 0.50"),
        ((replace(SKY, width=70.0),), None),  # 0.7 of it
        ((replace(SKY, width=50.0),), "overlaps the expected region by 0.50"),
        ((replace(SKY, score=0.1),), None),  # how sure is not compared: some models do not say
        ((SKY, sized(replace(SKY, index=1, label="sea"), 0.09)), None),
        ((SKY, sized(replace(SKY, index=1, label="sea"), 0.11)), "found sea in 11%"),
    ],
)
def test_regions(found: Any, why: str | None) -> None:
    said = differs((SKY,), found, SAMPLE)
    assert said is None if why is None else said is not None and why in said


def test_a_region_below_the_tolerance_may_be_missing() -> None:
    assert differs((sized(SKY, 0.1),), (), SAMPLE) is None
    assert differs((sized(SKY, 0.12),), (), SAMPLE) == (
        "expected sky in 12% of the picture: not found"
    )


@pytest.mark.parametrize(
    ("found", "same"),
    [
        (CAT, True),
        (replace(CAT, mask=LEFT), False),
        (replace(CAT, mask=None), False),
        (replace(CAT, x=15.0), True),
        (replace(CAT, x=25.0), False),
        (replace(CAT, score=0.7), False),
        (replace(CAT, index=4), False),
        (Box(3, "cat", 0.9, 10, 10, 40, 40), False),
    ],
)
def test_instances(found: Any, same: bool) -> None:
    assert (differs((CAT,), (found,), SAMPLE) is None) == same


def test_the_masks_of_neighbours_are_not_mixed_up() -> None:
    left, right = replace(CAT, mask=LEFT), replace(CAT, mask=RIGHT)
    assert differs((left, right), (right, left), SAMPLE) is None
    assert differs((left, right), (left, left), SAMPLE)


def test_keypoints_are_as_similar_as_coco_says() -> None:
    """exp(-d^2 / (2 s^2 k^2)) with s = 200, the root of the area, and k = 2 SIGMA: 20 pixels."""
    assert similarity(BODY, BODY) == 1
    assert similarity(BODY, moved(BODY, 20)) == pytest.approx(math.exp(-0.5))
    assert 200 * 2 * SIGMA == 20
    one = replace(BODY, points=(replace(BODY.points[0], y=40.0), *BODY.points[1:]))
    assert similarity(BODY, one) == pytest.approx((math.exp(-0.5) + 1) / 2)
    hidden = replace(BODY, points=(*BODY.points[:2], replace(BODY.points[2], x=900.0)))
    assert similarity(BODY, hidden) == 1  # that point was not seen before either
    assert similarity(BODY, replace(BODY, points=BODY.points[:2])) == 0
    assert similarity(BODY, moved(BODY, 1e200)) < 1e-300


def test_poses() -> None:
    assert differs((BODY,), (moved(BODY, 19),), SAMPLE) is None
    assert differs((BODY,), (moved(BODY, 22),), SAMPLE) == "expected body at 0,0: not found there"
    unseen = replace(BODY, points=tuple(replace(p, score=0.1) for p in BODY.points))
    assert differs((unseen,), (replace(unseen, x=5.0),), SAMPLE) is None  # then the boxes are
    assert differs((unseen,), (replace(unseen, x=90.0),), SAMPLE)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (Vector("out", 2.0, (0.8, 0.6, 0.0)), None),  # 0.96
        (Vector("out", 2.0, (0.9, 0.5, 0.0)), "cosine with the expected vector is 0.913"),
        (Vector("out", 2.0, (0.6, 0.8)), "expected 3 numbers, found 2"),
        (Vector("out", 2.15, (0.6, 0.8, 0.0)), None),
        (Vector("out", 2.3, (0.6, 0.8, 0.0)), "expected length 2, found 2.3"),
        (Vector("out", 2.0, (math.nan, 0.8, 0.0)), "cosine with the expected vector is 0.000"),
        (Vector("out", 2.0, (0.0, 0.0, 0.0)), "cosine with the expected vector is 0.000"),
    ],
)
def test_vectors(found: Vector, why: str | None) -> None:
    said = differs((VECTOR,), (found,), SAMPLE)
    assert said is None if why is None else said is not None and why in said


def test_a_cosine_of_huge_numbers_is_none() -> None:
    assert cosine((1.0, 0.0), (0.0, 1.0)) == 0 and cosine((2.0,), (-3.0,)) == -1
    assert math.isnan(cosine((1e308, 1e308), (1e308, 1e308)))
