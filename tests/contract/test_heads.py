"""What every head promises: what plain loops find, in the source's pixels, and no garbage."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.manifest import Input, Manifest
from runtime.frames import packed
from runtime.geometry import place
from runtime.tasks import Box, View
from runtime.tasks.anchors import by_rule
from runtime.tasks.detect import class_count, make_decode
from tests.detect_by_the_book import found_by_the_book
from tests.heads import CELLS, HEADS, RULE, RULE_BOXES, TALL, WIDE, Head, quantised, specs_of
from wire.troubles import Refused

Array = np.ndarray[Any, Any]
PLAIN = View(WIDE, TALL, 0, 0, 1, 1)
LABELS = ("cat", "dog", "owl")
VIEWS = {
    "as it is": PLAIN,
    "letterboxed": place(Input(WIDE, TALL, "rgb", "NHWC", "uint8"), packed("RGB3", 640, 480)).view,
    "cropped": place(
        Input(WIDE, TALL, "rgb", "NHWC", "uint8", fit="crop"), packed("RGB3", 480, 640)
    ).view,
}


@pytest.fixture(params=HEADS)
def head(request: pytest.FixtureRequest) -> Head:
    return HEADS[request.param]


def anchors() -> list[tuple[float, ...]]:
    return [tuple(row) for row in by_rule(RULE, HEADS["ssd-raw"].manifest().input).tolist()]


def rows(found: Any) -> list[tuple[float, ...]]:
    return [(b.index, b.score, b.x, b.y, b.x + b.width, b.y + b.height) for b in found]


def close(expected: list[tuple[float, ...]], within: float = 2e-3) -> list[Any]:
    return [pytest.approx(row, abs=within, rel=1e-4) for row in expected]


@settings(max_examples=6)
@given(
    seed=st.integers(0, 10_000),
    view=st.sampled_from(list(VIEWS)),
    nms=st.sampled_from(["class-aware", "class-agnostic"]),
    most=st.sampled_from([3, 100]),
    least=st.sampled_from([0.01, 0.3, 0.62]),
)
@pytest.mark.parametrize("name", HEADS)
def test_what_plain_loops_find(
    name: str, seed: int, view: str, nms: str, most: int, least: float
) -> None:
    head = HEADS[name]
    manifest = head.manifest(min_score=least, max_overlap=0.4, max_boxes=most, nms=nms)
    real = head.outputs(np.random.default_rng(seed))
    given = head.given(real)
    found: Any = make_decode(manifest, specs_of(given), LABELS)(given, VIEWS[view])
    expected = found_by_the_book(manifest, real, VIEWS[view], anchors())
    assert rows(found) == close(expected)
    assert [box.label for box in found] == [LABELS[box.index] for box in found]


@settings(max_examples=6)
@given(seed=st.integers(0, 10_000), dtype=st.sampled_from(["int8", "uint8", "int16"]))
@pytest.mark.parametrize("name", [n for n in HEADS if "shares" in n or "ssd" in n or n == "yolox"])
def test_what_plain_loops_find_in_quantised_outputs(name: str, seed: int, dtype: str) -> None:
    """Scores of few values are often equal: then the first row comes first."""
    head = HEADS[name]
    scale = 1 / 128 if "shares" in name else 1 / 32
    if "pixels" in name or "yolov10" in name:
        dtype, scale = "int16", 1 / 128  # eight bits do not reach a class, or a pixel
    stored, specs, real = quantised(
        head.given(head.outputs(np.random.default_rng(seed))), dtype, scale
    )
    softmax = head.said.get("activation") == "softmax"  # equal ones may differ in the last bit
    overlap = 1.0 if softmax else 0.4
    manifest = head.manifest(min_score=0.3, max_overlap=overlap, max_boxes=1000)
    found = rows(make_decode(manifest, specs, LABELS)(stored, PLAIN))
    turned_back = tuple(head.turn(each) for each in real)
    expected = found_by_the_book(manifest, turned_back, PLAIN, anchors())
    if softmax:
        found, expected = (
            sorted(found, key=lambda row: row[2:]),
            sorted(expected, key=lambda row: row[2:]),
        )
    assert found == close(expected)


def test_nothing_good_enough_is_nothing(head: Head) -> None:
    outputs = head.given(tuple(np.zeros_like(each) for each in head.outputs(chance())))
    for least in (1.0, 0.9):
        decode = make_decode(head.manifest(min_score=least), specs_of(outputs), LABELS)
        assert decode(outputs, PLAIN) == ()


def chance() -> np.random.Generator:
    return np.random.default_rng(7)


GARBAGE = (np.nan, np.inf, -np.inf, 3e38, -3e38, 0.0, 1e12, -1.0, 0.9)


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000), share=st.sampled_from([0.1, 0.5, 1.0]))
@pytest.mark.parametrize("name", HEADS)
def test_only_boxes_are_found_in_any_garbage(name: str, seed: int, share: float) -> None:
    head, by_chance = HEADS[name], np.random.default_rng(seed)
    outputs = head.outputs(by_chance)
    for each in outputs:
        spoilt: Array = np.asarray(by_chance.random(each.shape) < share)
        each[spoilt] = by_chance.choice(GARBAGE, int(spoilt.sum()))
    given = head.given(outputs)
    for box in make_decode(head.manifest(min_score=0.2), specs_of(given), LABELS)(given, PLAIN):
        assert isinstance(box, Box) and box.index >= 0
        assert box.width > 0 and box.height > 0 and np.isfinite(box.score)
        assert 0 <= box.x < box.x + box.width <= WIDE + 1e-6
        assert 0 <= box.y < box.y + box.height <= TALL + 1e-6


@pytest.mark.parametrize(
    ("of", "bad"), [("box", np.nan), ("box", np.inf), ("box", -np.inf), ("score", np.nan)]
)
def test_one_number_that_is_none_spoils_its_row_only(head: Head, of: str, bad: float) -> None:
    manifest = head.manifest(min_score=0.3, max_overlap=1.0, max_boxes=1000)  # none hides another
    real = head.outputs(chance())
    found = set(rows(found_in(manifest, head.given(real))))
    lost = set()
    for row in range(real[0].shape[1]):
        outputs = tuple(each.copy() for each in real)
        outputs[0 if of == "box" else -1][0, row, 1 if of == "box" else -2] = bad
        left = set(rows(found_in(manifest, head.given(outputs))))
        assert left <= found
        assert len(found - left) <= 3  # one row can be of three classes
        lost |= found - left
    assert lost == found


def found_in(manifest: Manifest, outputs: tuple[Array, ...]) -> Any:
    return make_decode(manifest, specs_of(outputs), LABELS)(outputs, PLAIN)


@pytest.mark.parametrize("name", ["yolov8 in rows", "yolov10", "ssd-raw, corners in pixels"])
def test_a_box_that_is_none_takes_nobodys_place(name: str) -> None:
    """The best one reaches to infinity."""
    real = [10, 10, 20, 20]
    outputs: tuple[Array, ...]
    if name.startswith("ssd"):
        boxes, scores = [[10, 10, np.inf, 20], real], [[0.9, 0, 0], [0, 0.8, 0]]
        outputs = (np.array([boxes], np.float32), np.array([scores], np.float32))
    elif name == "yolov10":
        outputs = (np.array([[[10, 10, np.inf, 20, 0.9, 0], [*real, 0.8, 1]]], np.float32),)
    else:
        rows = np.zeros((1, CELLS, 7), np.float32)
        rows[0, :2] = [[10, 10, np.inf, 20, 0.9, 0, 0], [*real, 0, 0.8, 0]]
        outputs = (rows,)
    (box,) = found_in(HEADS[name].manifest(min_score=0.3, max_boxes=1), outputs)
    assert (box.index, round(box.score, 3)) == (1, 0.8)


@pytest.mark.parametrize("name", ["yolov8", "yolov8 in rows", "yolox decoded", "ssd-raw, corners"])
def test_of_thousands_that_are_good_enough_the_best_are_found(name: str) -> None:
    n, most = 5000, 30
    by_chance = np.random.default_rng(5)
    scores = by_chance.permutation(np.linspace(0.3, 0.99, n)).astype(np.float32)
    places = np.arange(n)
    left, top = (places % 100) * 0.009, (places // 100) * 0.015  # side by side: none overlap
    corners = np.stack((left, top, left + 0.004, top + 0.01), axis=1).astype(np.float32)
    others = np.zeros((n, 2), np.float32)
    rows: tuple[Array, ...]
    if name == "ssd-raw, corners":
        rows = (corners[None], np.concatenate((scores[:, None], others), axis=1)[None])
    else:
        sizes = corners[:, 2:] - corners[:, :2]
        one = [np.ones((n, 1), np.float32)] * (name == "yolox decoded")
        columns = (corners[:, :2] + sizes / 2, sizes, *one, scores[:, None], others)
        rows = (np.concatenate(columns, axis=1)[None],)
    head = HEADS[name]
    found = found_in(
        head.manifest(boxes="shares", min_score=0.2, max_boxes=most),
        head.given(tuple(each.astype(np.float32) for each in rows)),
    )
    assert [box.score for box in found] == pytest.approx(sorted(scores.tolist())[: -most - 1 : -1])


def test_a_huge_box_does_not_blur_those_of_other_classes() -> None:
    rows = np.zeros((1, CELLS, 7), np.float32)
    rows[0, 0] = 48, 32, 1e30, 1e30, 0.9, 0, 0
    rows[0, 1] = 20, 20, 10, 10, 0, 0.8, 0
    rows[0, 2] = 20, 20, 10, 11, 0, 0.7, 0  # the same again
    rows[0, 3] = 40, 20, 10, 11, 0, 0.6, 0
    found = found_in(HEADS["yolov8 in rows"].manifest(min_score=0.1), (rows,))
    assert [(box.index, round(box.score, 3)) for box in found] == [(0, 0.9), (1, 0.8), (1, 0.6)]


@pytest.mark.parametrize(("name", "in_columns"), [("yolov8", True), ("yolov5", False)])
def test_an_output_as_wide_as_long_lies_as_the_head_is_exported(
    name: str, in_columns: bool
) -> None:
    ahead = 4 if in_columns else 5
    rows = np.zeros((CELLS, CELLS), np.float32)
    rows[9, :4] = 48, 32, 20, 20
    rows[9, 4] = 0.9
    rows[9, ahead + 100] = 0.95
    output = np.ascontiguousarray(rows.T if in_columns else rows)[None]
    (box,) = make_decode(HEADS[name].manifest(min_score=0.5), specs_of((output,)), ())(
        (output,), PLAIN
    )
    assert isinstance(box, Box)
    assert (box.index, box.x) == (100, 38)


def test_a_softmax_is_worked_out_wherever_it_may_be_enough() -> None:
    """0.9047 of a softmax over two: 2.25 above the other, where 2.197 are needed."""
    outputs = tuple(np.zeros((1, RULE_BOXES, width), np.float32) for width in (4, 4))
    outputs[1][0, 5] = 0, 2.25, -30, -30
    outputs[1][0, 6] = 0, 2.19, -30, -30
    (box,) = found_in(HEADS["ssd-raw of torch"].manifest(min_score=0.9), outputs)
    assert (box.index, round(box.score, 4)) == (0, 0.9047)


def test_found_boxes_own_their_numbers(head: Head) -> None:
    outputs = head.given(head.outputs(chance()))
    decode = make_decode(head.manifest(min_score=0.3), specs_of(outputs), LABELS)
    found: Any = decode(outputs, PLAIN)
    before = rows(found)
    for each in outputs:
        each.fill(0)
    decode(outputs, PLAIN)
    assert found and rows(found) == before
    assert all(type(number) is float for box in found for number in (box.score, box.x, box.width))


def test_outputs_that_change_their_size_are_refused(head: Head) -> None:
    outputs = head.given(head.outputs(chance()))
    decode = make_decode(head.manifest(), specs_of(outputs), LABELS)
    with pytest.raises(Refused, match="changes its size"):
        decode(tuple(each[:, 1:] for each in outputs), PLAIN)


def test_classes_are_counted(head: Head) -> None:
    specs = specs_of(head.given(head.outputs(chance())))
    count = class_count(head.manifest(), specs, ())
    assert count == (None if head.name == "yolov10" else 3)


def test_outputs_of_another_head_are_refused_with_what_is_needed(head: Head) -> None:
    for shapes in ([(1, 7)], [(1, 9, 9, 9)], [(2, 84, 10)], [(1, 0, 84)], [(1, 5, 5)] * 3, []):
        specs = specs_of(tuple(np.zeros(shape, np.float32) for shape in shapes))
        with pytest.raises(Refused, match=f"the {head.name} head needs .*this model gives"):
            make_decode(head.manifest(), specs, ())


def test_outputs_of_no_numbers_are_refused(head: Head) -> None:
    outputs = head.given(head.outputs(chance()))
    specs = specs_of(tuple(each.astype(bool) for each in outputs))
    with pytest.raises(Refused, match=f"the {head.name} head needs numbers: 'out0' is bool"):
        make_decode(head.manifest(), specs, ())


@pytest.mark.parametrize("least", [0.0, 0.4])
@pytest.mark.parametrize("in_columns", [True, False])
@pytest.mark.parametrize("name", ["yolov8", "yolov5"])
def test_a_frame_takes_little_memory(name: str, in_columns: bool, least: float) -> None:
    """Of 8,400 x 84 floats, 2.8 MB: no more than what the best 1,000 rows hold, twice."""
    values = np.random.default_rng(3).random((1, 8400, 84), np.float32)
    output = np.ascontiguousarray(values.transpose(0, 2, 1)) if in_columns else values
    made = HEADS[name].manifest(min_score=least)
    decode = make_decode(made, specs_of((output,)), ())
    decode((output,), PLAIN)
    tracemalloc.start()
    try:
        decode((output,), PLAIN)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 2 * 1000 * 84 * 4 + 8400 * 40 + 400_000
