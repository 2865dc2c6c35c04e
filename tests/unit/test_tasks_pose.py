"""Keypoints: against plain loops over the same outputs, through every way a frame is fitted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models.manifest import Input
from runtime.engines import TensorSpec
from runtime.tasks import Found, Pose, View
from runtime.tasks.pose import make_decode, point_count
from runtime.tasks.pose_heatmaps import between
from tests.naive import Array, cut, into_source, manifest_of, view_of
from wire.troubles import Refused

WIDE, HIGH = 192, 128
NAMES = ("nose", "hand", "foot")
SKELETON = ((0, 1), (0, 2))
SIZES = ((640, 480), (120, 200), (97, 61))
FITS = ("letterbox", "crop", "stretch")
PLAIN = View(WIDE, HIGH, 0, 0, 1, 1)  # the tensor is the frame


def input_of(fit: Any = "letterbox", layout: Any = "NHWC") -> Input:
    return Input(WIDE, HIGH, "rgb", layout, "float32", fit=fit)


def decode(
    wanted: Input, output: Array, view: View, *, scale: float | None = None, **decoding: Any
) -> Any:
    named = {"keypoints": NAMES, "skeleton": SKELETON} | decoding
    spec = TensorSpec("out", output.shape, output.dtype.name, scale, 0 if scale else None)
    found: Found = make_decode(manifest_of("pose", wanted, **named), (spec,), ("body",))(
        (output,), view
    )
    return found


def check_points(pose: Pose, expected: list[tuple[float, float, float]], view: View) -> None:
    """expected: x, y in tensor pixels, and the score."""
    assert [point.name for point in pose.points] == list(NAMES)[: len(pose.points)]
    assert pose.skeleton == SKELETON
    for point, (x, y, score) in zip(pose.points, expected, strict=True):
        assert (point.x, point.y) == pytest.approx(into_source(view, x, y), abs=1e-3)
        assert point.score == pytest.approx(min(max(score, 0.0), 1.0), abs=1e-6)


def box_around(expected: list[tuple[float, float, float]], view: View) -> tuple[float, ...]:
    seen = [each for each in expected if each[2] >= 0.3]
    seen = seen if len(seen) >= 2 else expected
    left, top = into_source(view, min(e[0] for e in seen), min(e[1] for e in seen))
    right, bottom = into_source(view, max(e[0] for e in seen), max(e[1] for e in seen))
    wide, high = view.source_width, view.source_height
    return cut(left, wide), cut(top, high), cut(right, wide), cut(bottom, high)


def corners(pose: Pose) -> tuple[float, ...]:
    return pose.x, pose.y, pose.x + pose.width, pose.y + pose.height


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.sampled_from(FITS), st.sampled_from(SIZES),
       st.sampled_from(["float32", "uint8"]))  # fmt: skip
def test_movenet_against_plain_loops(
    seed: int, fit: str, size: tuple[int, int], dtype: str
) -> None:
    chance = np.random.default_rng(seed)
    wanted = input_of(fit)
    view = view_of(wanted, *size)
    if dtype == "uint8":
        output = chance.integers(0, 256, (1, 1, 3, 3)).astype(np.uint8)
        real, scale = output[0, 0] / 255.0, 1 / 255.0
    else:
        output = chance.uniform(-0.05, 1.05, (1, 1, 3, 3)).astype(np.float32)
        real, scale = output[0, 0].astype(np.float64), None
    expected = [(x * WIDE, y * HIGH, score) for y, x, score in real.tolist()]
    found = decode(wanted, output, view, head="movenet", min_score=0.2003, scale=scale)
    mean = sum(cut(score, 1) for _, _, score in expected) / 3
    box = box_around(expected, view)
    if mean < 0.2003 or box[0] >= box[2] or box[1] >= box[3]:
        assert found == ()
        return
    (pose,) = found
    assert (pose.label, pose.score) == ("body", pytest.approx(mean, abs=1e-6))
    assert corners(pose) == pytest.approx(box, abs=1e-3)
    check_points(pose, expected, view)


def test_several_bodies_come_best_first_as_many_as_are_wanted() -> None:
    """As MoveNet's MultiPose gives them: y, x, score of each point, then a box and its score."""
    chance = np.random.default_rng(1)
    output = chance.uniform(0.1, 0.9, (1, 6, 3 * 3 + 5)).astype(np.float32)
    output[0, :, -1] = 0.2, 0.9, 0.4, 0.8, 0.1, 0.7
    output[0, :, -5:-1] = 0.25, 0.125, 0.75, 0.5  # top, left, bottom, right
    found = decode(input_of(), output, PLAIN, head="movenet", min_score=0.3, max_boxes=3)
    assert [pose.score for pose in found] == pytest.approx([0.9, 0.8, 0.7])
    for pose, row in zip(found, (1, 3, 5), strict=True):
        assert corners(pose) == pytest.approx((24, 32, 96, 96))
        triples = output[0, row, :9].reshape(3, 3).tolist()
        check_points(pose, [(x * WIDE, y * HIGH, score) for y, x, score in triples], PLAIN)


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.booleans(), st.sampled_from([2, 3]), st.sampled_from(FITS),
       st.sampled_from(SIZES), st.sampled_from(["pixels", "shares"]))  # fmt: skip
def test_yolov8_against_plain_loops(
    seed: int, in_columns: bool, each: int, fit: str, size: tuple[int, int], boxes: str
) -> None:
    chance = np.random.default_rng(seed)
    wanted = input_of(fit)
    view = view_of(wanted, *size)
    n = 24 * 16 + 12 * 8 + 6 * 4
    rows = np.zeros((n, 5 + 3 * each), np.float32)
    for place in range(8):  # a lattice of boxes that are far apart
        row = rows[place * 60]
        row[:4] = 24 + 48 * (place % 4), 32 + 64 * (place // 4), *chance.uniform(8, 46, 2)
        row[4] = chance.uniform(0, 1)
        points = row[5:].reshape(3, each)
        points[:, 0], points[:, 1] = chance.uniform(0, WIDE, 3), chance.uniform(0, HIGH, 3)
        points[:, 2:] = chance.uniform(0, 1, (3, each - 2))
    stored = rows.copy()
    if boxes == "shares":
        stored[:, :4] /= WIDE, HIGH, WIDE, HIGH
        stored[:, 5::each] /= WIDE
        stored[:, 6::each] /= HIGH
    output = np.ascontiguousarray(stored.T if in_columns else stored)[None]
    found = decode(wanted, output, view, head="yolov8", min_score=0.4, boxes=boxes)
    best = [int(i) for i in np.argsort(-rows[:, 4]) if rows[i, 4] >= 0.4]
    expected = []
    for i in best:
        x, y, wide, high = rows[i, :4].tolist()
        left, top = into_source(view, x - wide / 2, y - high / 2)
        right, bottom = into_source(view, x + wide / 2, y + high / 2)
        across, down = view.source_width, view.source_height
        box = (cut(left, across), cut(top, down), cut(right, across), cut(bottom, down))
        if box[2] > box[0] and box[3] > box[1]:
            expected.append((i, box))
    assert len(found) == len(expected)
    for pose, (i, box) in zip(found, expected, strict=True):
        score = float(rows[i, 4])
        assert pose.score == pytest.approx(score) and corners(pose) == pytest.approx(box, abs=1e-2)
        points = rows[i, 5:].reshape(3, each).tolist()
        wanted_points = [(p[0], p[1], p[2] if each == 3 else score) for p in points]
        for point, (x, y, sure) in zip(pose.points, wanted_points, strict=True):
            assert (point.x, point.y) == pytest.approx(into_source(view, x, y), abs=1e-2)
            assert point.score == pytest.approx(sure)


def blurred(x: float, y: float, sigma: float, height: float = 1.0) -> Array:
    """(32, 48) of 4 x 4 pixels each: a Gaussian around x, y, in cells from the first one's edge."""
    rows, columns = np.mgrid[0:32, 0:48] + 0.5
    values: Array = height * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    return values


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.sampled_from(["NHWC", "NCHW"]), st.sampled_from(FITS),
       st.sampled_from(SIZES))  # fmt: skip
def test_blurred_points_are_found_between_the_cells(
    seed: int, layout: str, fit: str, size: tuple[int, int]
) -> None:
    chance = np.random.default_rng(seed)
    wanted = input_of(fit, layout)
    view = view_of(wanted, *size)
    truth = [(chance.uniform(2, 46), chance.uniform(2, 30)) for _ in NAMES]
    maps = np.stack([blurred(x, y, chance.uniform(0.8, 3)) for x, y in truth]).astype(np.float32)
    output = np.ascontiguousarray(maps if layout == "NCHW" else maps.transpose(1, 2, 0))[None]
    found = decode(wanted, output, view, head="heatmaps")
    for pose in found:
        for point, (x, y), one in zip(pose.points, truth, maps, strict=True):
            assert (point.x, point.y) == pytest.approx(
                into_source(view, 4 * x, 4 * y), abs=0.02 * 4 * max(view.step_x, view.step_y)
            )
            assert point.score == pytest.approx(float(one.max()))
    expected = box_around([(4 * x, 4 * y, 1.0) for x, y in truth], view)
    assert len(found) == (expected[2] > expected[0] and expected[3] > expected[1])


def test_quantised_heat_maps_are_a_quarter_of_a_cell_off_at_most() -> None:
    stored = np.rint(blurred(17.3, 11.8, 2.0) * 250).astype(np.uint8)
    (pose,) = decode(
        input_of(), np.stack([stored] * 3, axis=2)[None], PLAIN, head="heatmaps", scale=1 / 250
    ) or (None,)
    assert pose is None  # three points in one place have no box
    others = np.rint(blurred(30.5, 20.1, 2.0) * 250).astype(np.uint8)
    output = np.stack([stored, others, others], axis=2)[None]
    (pose,) = decode(input_of(), output, PLAIN, head="heatmaps", scale=1 / 250)
    assert (pose.points[0].x, pose.points[0].y) == pytest.approx((17.3 * 4, 11.8 * 4), abs=1)


def test_a_peak_at_the_edge_or_beside_what_is_not_above_0() -> None:
    maps = np.full((3, 32, 48), -1.0, np.float32)
    maps[2, 0, 0] = 0.85
    maps[1, 31, 47] = 0.8
    maps[2, 10, 20], maps[2, 10, 21] = 0.9, 0.5
    maps[0, 15:18, 15:18] = 0.95  # flat: its first cell is taken, and the middle of the next ones
    output = np.ascontiguousarray(maps.transpose(1, 2, 0))[None]
    (pose,) = decode(input_of(), output, PLAIN, head="heatmaps")
    assert (pose.points[1].x, pose.points[1].y) == (190, 126)
    assert (pose.points[0].x, pose.points[0].y) == (64, 64)  # between two cells of one height
    assert 82 < pose.points[2].x < 84 and pose.points[2].y == 42


def test_a_map_of_one_value_has_its_point_in_a_cell() -> None:
    output = np.full((1, 32, 48, 3), 0.5, np.float32)
    output[0, 20, 30, 1] = 0.6
    (pose,) = decode(input_of(), output, PLAIN, head="heatmaps")
    assert [(p.x, p.y) for p in pose.points] == [(2, 2), (122, 82), (2, 2)]


@pytest.mark.parametrize("before", [0.0, 1.0, -1.0, 3e38, -3e38, math.nan, math.inf])
@pytest.mark.parametrize("after", [0.0, 1.0, -1.0, 3e38, math.nan, -math.inf])
@pytest.mark.parametrize("middle", [0.0, 1.0, -1.0, 3e38, math.inf])
def test_a_parabola_goes_nowhere_else(before: float, middle: float, after: float) -> None:
    if not (before > middle or after > middle):  # it is the highest
        assert -0.5 <= between(before, middle, after) <= 0.5


GARBAGE = st.floats(width=32) | st.sampled_from([math.nan, math.inf, -math.inf, 3e38, -3e38, 0.0])


@settings(max_examples=100)
@given(arrays.arrays(np.float32, (3, 14), elements=GARBAGE))
def test_garbage_finds_only_poses(values: Array) -> None:
    outputs = (
        ("movenet", values[None, :1, :9].reshape(1, 1, 3, 3)),
        ("movenet", values[None]),
        ("yolov8", values[None]),
        ("heatmaps", np.tile(values[:, :6].reshape(1, 1, 6, 3), (1, 4, 1, 1))),
    )
    for head, output in outputs:
        for pose in decode(input_of(), np.ascontiguousarray(output), PLAIN, head=head):
            assert 0 <= pose.x < pose.x + pose.width <= WIDE + 1e-6
            assert all(map(math.isfinite, (pose.score, *(p.x for p in pose.points))))
            assert all(0 <= p.score <= 1 and math.isfinite(p.y) for p in pose.points)


@pytest.mark.parametrize(
    ("head", "shapes", "why"),
    [
        ("movenet", [(1, 1, 3, 2)], "points, 3"),
        ("movenet", [(1, 2, 3, 3)], "points, 3"),
        ("movenet", [(1, 6, 13)], "points, 3"),
        ("movenet", [(1, 1, 3, 3), (1, 1, 3, 3)], "needs one output"),
        ("heatmaps", [(1, 8, 9, 3)], "as wide and high"),
        ("yolov8", [(1, 20, 504)], "5 \\+ 3 points"),
        ("yolov8", [(1, 14, 5, 4)], "5 \\+ 3 points"),
    ],
)
def test_outputs_that_do_not_fit_are_refused(
    head: str, shapes: list[tuple[int, ...]], why: str
) -> None:
    specs = tuple(TensorSpec(f"t{i}", shape, "float32") for i, shape in enumerate(shapes))
    made = manifest_of("pose", input_of(), head=head, keypoints=NAMES)
    with pytest.raises(Refused, match=why):
        make_decode(made, specs, ())
    with pytest.raises(Refused, match=why):
        point_count(made, specs)


def test_points_are_counted_without_names_too() -> None:
    for head, shape, count in (
        ("movenet", (1, 1, 17, 3), 17), ("movenet", (1, 6, 56), 17),
        ("yolov8", (1, 56, 504), 17), ("yolov8", (1, 504, 5 + 2 * 4), 4),
        ("heatmaps", (1, 32, 48, 14), 14),
    ):  # fmt: skip
        made = manifest_of("pose", input_of(), head=head)
        assert point_count(made, (TensorSpec("t", shape, "float32"),)) == count
