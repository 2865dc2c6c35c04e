"""Masks and keypoints of golden answers as SVG paths, whatever a file says."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.serve.acting.golden import samples_of
from fleet.serve.acting.golden_shapes import Mask, Point, mask_path, pose_path
from runtime.tasks import Instance, Pose, Region, Vector
from runtime.tasks import Mask as Found
from runtime.tasks import Point as Seen
from tests.unit.test_golden_pages import ZOO, stored

PATH = re.compile(r"(M-?[\d.]+ -?[\d.]+(h-?[\d.]+(v-?[\d.]+h-?[\d.]+z)?|L-?[\d.]+ -?[\d.]+))*")


def test_a_mask_is_a_rectangle_for_each_run_of_a_column() -> None:
    """Of two columns of three cells: the last of the first one, and two of the second."""
    assert mask_path(Mask((3, 2), (2, 3, 1)), 10, 20, 8, 30) == (
        "M10.0 40.0h4.0v10.0h-4.0zM14.0 20.0h4.0v20.0h-4.0z"
    )
    assert mask_path(Mask((2, 2), (4,)), 0, 0, 1, 1) == ""


@pytest.mark.parametrize(
    "mask",
    [
        Mask((0, 1), ()),
        Mask((2, 2), (1, 2)),
        Mask((2, 2), (-1, 5)),
        Mask((9999, 9999), (9999**2,)),
        Mask((1, 1), (0,) * 9999),
    ],
)
def test_what_is_no_mask_is_not_shown(mask: Mask) -> None:
    assert mask_path(mask, 0, 0, 1, 1) is None


def test_bones_join_what_can_be_seen() -> None:
    points = (Point(1, 2, 0.9), Point(3, 4, 0.9), Point(5, 6, 0.1))
    assert pose_path(points, ((0, 1), (1, 2), (0, 9), (-1, 0))) == (
        "M1.0 2.0h0M3.0 4.0h0M1.0 2.0L3.0 4.0"
    )
    assert pose_path((), ()) is None and pose_path(points * 100, ()) is None


NUMBERS = st.floats()
SMALL = st.tuples(st.integers(-1, 5), st.integers(-1, 5))


@given(st.lists(st.integers(-2, 9), max_size=9), SMALL, NUMBERS, NUMBERS, NUMBERS, st.lists(SMALL))
def test_a_path_holds_numbers_alone(
    counts: list[int], size: tuple[int, int], a: float, b: float, c: float, bones: Any
) -> None:
    path = mask_path(Mask(size, tuple(counts)), a, b, abs(c), abs(a))
    assert path is None or PATH.fullmatch(path)
    path = pose_path((Point(a, b, c), Point(c, a, 1)), bones)
    assert path is None or PATH.fullmatch(path)


def test_answers_of_every_task_are_shown(tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(ZOO / "digits" / "tflite", model)
    mask = Found((2, 2), (1, 3))
    answers: tuple[Any, ...] = (
        Region(1, "road", None, 0.25, 0, 0, 24, 24, mask),
        Instance(1, "cat", 0.9, 0, 0, 24, 24, mask=mask),
        Pose(
            0,
            "body",
            0.8,
            1,
            2,
            20,
            30,
            points=(Seen("a", 2, 3, 0.9), Seen("b", 9, 9, 0.9)),
            skeleton=((0, 1),),
        ),
        Vector("out", 2.5, (0.5, 1.5)),
    )
    for number, each in enumerate(answers, 1):
        (model / f"golden-{number}.json").write_bytes(msgspec.json.encode((each,)))
    folder, variant = stored(tmp_path, model)
    (road,), (cat,), (body,), (vector,) = (
        each.expected or () for each in samples_of(folder, variant)
    )
    assert road.label == "road in 25% of the picture" and road.score is None
    assert road.area == cat.area == "M0.0 12.0h12.0v12.0h-12.0zM12.0 0.0h12.0v24.0h-12.0z"
    assert (cat.score, cat.bones, cat.place and cat.place.width) == (0.9, None, 24)
    assert body.bones == "M2.0 3.0h0M9.0 9.0h0M2.0 3.0L9.0 9.0" and body.area is None
    assert vector.is_vector and vector.label == "out: 2 numbers, length 2.5"
