"""Which candidates are looked at, and which suppress each other: as plain loops say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.engines import TensorSpec
from runtime.tasks.candidates import least_stored
from runtime.tasks.overlap import suppress
from tests.detect_by_the_book import Seen, suppressed

# Boxes may begin far left of and above the picture: only what lies in it is shown.
low, high = st.floats(-3000, 50, width=32), st.floats(51, 120, width=32)
boxes = st.tuples(low, low, high, high, st.integers(0, 2))


@given(st.lists(boxes, min_size=1, max_size=12), st.sampled_from([0.05, 0.3, 0.5, 0.9]))
def test_a_box_is_suppressed_by_a_better_one_of_its_own_class_alone(
    given_boxes: list[tuple[float, float, float, float, int]], most: float
) -> None:
    corners = np.array([each[:4] for each in given_boxes], np.float32)
    kinds = np.array([each[4] for each in given_boxes])
    scores = np.linspace(0.9, 0.1, len(given_boxes)).astype(np.float32)
    seen = [
        Seen(kind, score, tuple(row))
        for kind, score, row in zip(kinds, scores.tolist(), corners.tolist(), strict=True)
    ]
    expected = suppressed(seen, most, class_agnostic=False)
    kept = suppress(corners, kinds, scores, most, 100)
    if not any(at_the_limit(one, other, most) for one in seen for other in seen):
        assert [seen[place] for place in kept] == expected


def at_the_limit(one: Seen, other: Seen, most: float) -> bool:
    """Where float32 may say one thing and float64 the other."""
    kept = [suppressed([one, other], most + room, True) for room in (-1e-4, 1e-4)]
    return kept[0] != kept[1]


def test_two_classes_far_beyond_the_picture_leave_each_other_alone() -> None:
    corners = np.array([(-1000, -1000, 100, 100)] * 2, np.float32)
    kept = suppress(corners, np.array([0, 1]), np.array([0.9, 0.8], np.float32), 0.5, 10)
    assert kept.tolist() == [0, 1]


@given(
    dtype=st.sampled_from(["int8", "uint8"]),
    scale=st.floats(1e-4, 2),
    zero_point=st.integers(-128, 255),
    least=st.floats(-3, 3) | st.sampled_from([math.inf, -math.inf]),
)
def test_the_lowest_stored_value_that_is_enough(
    dtype: str, scale: float, zero_point: int, least: float
) -> None:
    limits = np.iinfo(dtype)
    zero_point = min(max(zero_point, int(limits.min)), int(limits.max))
    found = least_stored(TensorSpec("s", (1,), dtype, scale, zero_point), least)
    stored = np.arange(limits.min, limits.max + 1)
    real = (stored.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
    assert (stored >= found).tolist() == (real >= np.float32(least)).tolist()


@pytest.mark.parametrize("dtype", ["int64", "uint64", "int32"])
@pytest.mark.parametrize("scale", [1e-15, 1e-9, 1.0, 1e30])
def test_it_is_found_at_once_of_any_whole_numbers(dtype: str, scale: float) -> None:
    """Their real values are rounded: many stored ones are the same. Each is looked at: never."""
    limits: Any = np.iinfo(dtype)
    found = least_stored(TensorSpec("s", (1,), dtype, scale, 0), 0.4)
    assert limits.min <= found <= limits.max + 1
    enough = np.float32(0.4)
    if found <= limits.max:
        assert np.float32(found) * np.float32(scale) >= enough
    assert not np.float32(found - 1) * np.float32(scale) >= enough
