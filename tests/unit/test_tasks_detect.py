"""Boxes: against plain loops over the same tensors, through every way a frame is fitted."""

from __future__ import annotations

import math
import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models.manifest import Decoding, Input, Manifest
from runtime.engines import TensorSpec
from runtime.frames import packed
from runtime.geometry import place
from runtime.tasks import Box, View
from runtime.tasks.detect import make_decode
from wire.troubles import Refused

PLAIN = View(320, 240, 0, 0, 1, 1)  # the tensor is the frame
LABELS = ("cat", "dog")
Array = np.ndarray[Any, Any]
SSD = ("boxes", "classes", "scores", "count")
SSD_TF2 = ("scores", "boxes", "count", "classes")


def manifest_of(head: str, width: int = 320, height: int = 240, **decoding: Any) -> Manifest:
    return Manifest(
        1, "m", "1", "detect", "tflite", "m.tflite", Input(width, height, "rgb", "NHWC", "uint8"),
        decoding=Decoding(head=head, **decoding),  # type: ignore[arg-type]
    )  # fmt: skip


def specs_of(outputs: tuple[Array, ...], **names: str) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(names.get(f"name{i}", f"out{i}"), each.shape, each.dtype.name)
        for i, each in enumerate(outputs)
    )


def decode(manifest: Manifest, outputs: tuple[Array, ...], view: View = PLAIN) -> Any:
    return make_decode(manifest, specs_of(outputs), LABELS)(outputs, view)


def ssd_outputs(
    boxes: Array, classes: Array, scores: Array, count: float, order: tuple[str, ...] = SSD
) -> tuple[Array, ...]:
    parts = {
        "boxes": np.asarray(boxes, np.float32).reshape(1, -1, 4),
        "classes": np.asarray(classes, np.float32)[None],
        "scores": np.asarray(scores, np.float32)[None],
        "count": np.array([count], np.float32),
    }
    return tuple(parts[name] for name in order)


def naive_suppression(
    boxes: list[tuple[float, ...]], kinds: list[int], scores: list[float], overlap: float
) -> list[int]:
    """Every box against every better one that was kept."""
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if all(kinds[j] != kinds[i] or shared(boxes[i], boxes[j]) <= overlap for j in kept):
            kept.append(i)
    return kept


def shared(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    tall = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - wide * tall
    return wide * tall / both if both > 0 else 0.0


def rows(found: tuple[Box, ...]) -> list[tuple[float, ...]]:
    return [(b.index, b.score, b.x, b.y, b.x + b.width, b.y + b.height) for b in found]


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.sampled_from([SSD, SSD_TF2]), st.integers(0, 14))
def test_ssd_against_a_plain_loop(seed: int, order: tuple[str, ...], count: int) -> None:
    chance = np.random.default_rng(seed)
    n, least, most = 10, 0.3, 6
    corners = np.sort(chance.random((n, 2, 2)), axis=1).reshape(n, 4)  # top, left, bottom, right
    classes, scores = chance.integers(0, 3, n), np.sort(chance.random(n).astype(np.float32))[::-1]
    outputs = ssd_outputs(corners, classes, scores, count, order)
    found = decode(manifest_of("ssd", min_score=least, max_boxes=most), outputs)
    expected = [
        (classes[i], scores[i], left * 320, top * 240, right * 320, bottom * 240)
        for i, (top, left, bottom, right) in enumerate(corners)
        if i < count and scores[i] >= least
    ][:most]
    assert rows(found) == [pytest.approx(row, abs=1e-3) for row in expected]
    assert [box.label for box in found] == [("cat", "dog", "2")[box.index] for box in found]


def test_ssd_keeps_the_best_also_where_they_are_not_sorted() -> None:
    boxes = np.tile([0.0, 0.0, 0.5, 0.5], (3, 1))
    found = decode(
        manifest_of("ssd", max_boxes=2), ssd_outputs(boxes, [0, 1, 0], [0.2, 0.9, 0.5], 3)
    )
    assert [box.score for box in found] == pytest.approx([0.9, 0.5])


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.booleans())
def test_fcos_against_a_plain_loop(seed: int, boxes_first: bool) -> None:
    chance = np.random.default_rng(seed)
    tall, wide, classes, least, overlap, most = 6, 8, 3, 0.5, 0.4, 12
    scores = chance.random((1, tall, wide, classes)).astype(np.float32)
    edges = chance.uniform(0.1, 3, (1, tall, wide, 4)).astype(np.float32)
    outputs = (edges, scores) if boxes_first else (scores, edges)
    made = manifest_of("fcos", min_score=least, max_overlap=overlap, max_boxes=most)
    found = decode(made, outputs)
    boxes, kinds, values = [], [], []
    for y in range(tall):
        for x in range(wide):
            for kind in range(classes):
                if scores[0, y, x, kind] >= least:
                    left, top, right, bottom = edges[0, y, x].tolist()
                    boxes.append(((x + 0.5 - left) * 40, (y + 0.5 - top) * 40,
                                  (x + 0.5 + right) * 40, (y + 0.5 + bottom) * 40))  # fmt: skip
                    kinds.append(kind)
                    values.append(float(scores[0, y, x, kind]))
    kept = naive_suppression(boxes, kinds, values, overlap)[:most]
    expected = [
        (kinds[i], values[i], max(boxes[i][0], 0), max(boxes[i][1], 0),
         min(boxes[i][2], 320), min(boxes[i][3], 240))
        for i in kept
    ]  # fmt: skip
    assert rows(found) == [pytest.approx(row, abs=1e-2) for row in expected]


def test_boxes_of_other_classes_do_not_suppress_each_other() -> None:
    scores = np.zeros((1, 1, 2, 2), np.float32)
    scores[0, 0, 0] = 0.9, 0.8  # both classes in one cell
    scores[0, 0, 1, 0] = 0.7  # and the same box again from the cell beside it
    edges = np.array([[[[0.5, 0.5, 1.5, 0.5], [1.5, 0.5, 0.5, 0.5]]]], np.float32)
    found = decode(manifest_of("fcos", min_score=0.1), (scores, edges))
    assert [(box.label, box.score) for box in found] == [
        ("cat", pytest.approx(0.9)), ("dog", pytest.approx(0.8))]  # fmt: skip


def test_fcos_compares_no_more_than_the_best_thousand() -> None:
    """Without a threshold each class of each cell is a candidate: 2 s a frame at 80 x 80 x 80."""
    chance = np.random.default_rng(4)
    outputs = (chance.random((1, 40, 40, 80), np.float32), chance.random((1, 40, 40, 4)) * 0.1)
    made = manifest_of("fcos")
    tracemalloc.start()
    try:
        found = decode(made, outputs)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    best = np.sort(outputs[0], axis=None)[::-1][:100]
    assert [box.score for box in found] == pytest.approx(best.tolist())
    assert most < 8_000_000


def test_fcos_tells_scores_from_boxes_by_name_where_both_have_four() -> None:
    scores, edges = np.zeros((1, 1, 1, 4), np.float32), np.full((1, 1, 1, 4), 0.5, np.float32)
    scores[..., 2] = 0.8
    specs = (TensorSpec("boxes", (1, 1, 1, 4), "float32"), TensorSpec("s", (1, 1, 1, 4), "float32"))
    (found,) = make_decode(manifest_of("fcos", min_score=0.6), specs, ())((edges, scores), PLAIN)
    assert (found.index, found.x, found.width, found.height) == (2, 0, 320, 240)


def test_quantised_outputs_of_fcos_are_real_values() -> None:
    scores = np.full((1, 1, 1, 1), 102, np.uint8)
    edges = np.full((1, 1, 1, 4), 10, np.int8)
    specs = (TensorSpec("s", scores.shape, "uint8", 1 / 128, 0),
             TensorSpec("b", edges.shape, "int8", 0.01, -10))  # fmt: skip
    decoder = make_decode(manifest_of("fcos", min_score=0.6), specs, ())
    (found,) = decoder((scores, edges), PLAIN)
    assert found.score == pytest.approx(102 / 128)
    assert (found.x, found.width) == (pytest.approx(0.3 * 320), pytest.approx(0.4 * 320))


@pytest.mark.parametrize("fit", ["letterbox", "crop", "stretch"])
@pytest.mark.parametrize("shrunk", [1, 2, 4])
@pytest.mark.parametrize("format", ["RGB3", "YUYV"])
@pytest.mark.parametrize("size", [(640, 480), (480, 640), (1280, 720)])
def test_a_box_lands_where_it_was_in_the_frame(
    fit: Any, shrunk: int, format: Any, size: tuple[int, int]
) -> None:
    """A camera may have shrunk the frame (a JPEG decoded at 1/4); boxes are in its full pixels."""
    layout = packed(format, size[0] // shrunk, size[1] // shrunk)
    layout = layout if shrunk == 1 else replace(layout, shrunk_from=size)
    made = manifest_of("ssd", 320, 320)
    wanted = Input(320, 320, "rgb", "NHWC", "uint8", fit=fit)
    placement = place(wanted, layout)
    # a box around known pixels of the frame, first by hand into the tensor
    truth = (size[0] * 0.4, size[1] * 0.35, size[0] * 0.6, size[1] * 0.55)
    source, target = placement.source, placement.target

    def into(value: float, start: int, length: int, first: int, across: int) -> float:
        return (first + (value / shrunk - start) * across / length) / 320

    across = (source.x, source.width, target.x, target.width)
    down = (source.y, source.height, target.y, target.height)
    left, right = into(truth[0], *across), into(truth[2], *across)
    top, bottom = into(truth[1], *down), into(truth[3], *down)
    outputs = ssd_outputs(np.array([top, left, bottom, right]), np.array([0]), np.array([0.9]), 1)
    (found,) = decode(made, outputs, placement.view)
    assert rows((found,))[0][2:] == pytest.approx(truth, abs=0.05)


def test_what_lies_in_the_margins_is_cut_off_or_gone() -> None:
    view = place(Input(320, 320, "rgb", "NHWC", "uint8"), packed("RGB3", 640, 480)).view
    boxes = np.array([(0, 0.25, 0.1, 0.5), (0, 0.25, 0.5, 1.5)])  # margins: the upper eighth
    found = decode(manifest_of("ssd", 320, 320), ssd_outputs(boxes, [0, 0], [0.9, 0.8], 2), view)
    assert rows(found) == [(0, pytest.approx(0.8), 160, 0, 640, 240)]


GARBAGE = st.floats(width=32) | st.sampled_from([math.nan, math.inf, -math.inf, 3e38, -3e38, 0.0])


@settings(max_examples=150)
@given(arrays.arrays(np.float32, (4, 4), elements=GARBAGE),
       arrays.arrays(np.float32, 4, elements=GARBAGE),
       arrays.arrays(np.float32, 4, elements=GARBAGE), GARBAGE)  # fmt: skip
def test_ssd_finds_only_boxes_in_any_garbage(
    boxes: Array, classes: Array, scores: Array, count: float
) -> None:
    check_boxes(decode(manifest_of("ssd"), ssd_outputs(boxes, classes, scores, count)))


@settings(max_examples=150)
@given(arrays.arrays(np.float32, (1, 2, 2, 2), elements=GARBAGE),
       arrays.arrays(np.float32, (1, 2, 2, 4), elements=GARBAGE))  # fmt: skip
def test_fcos_finds_only_boxes_in_any_garbage(scores: Array, edges: Array) -> None:
    check_boxes(decode(manifest_of("fcos", min_score=0.1), (scores, edges)))


def check_boxes(found: tuple[Box, ...]) -> None:
    for box in found:
        assert box.width > 0 and box.height > 0 and box.index >= 0
        assert 0 <= box.x < box.x + box.width <= 320 + 1e-6
        assert 0 <= box.y < box.y + box.height <= 240 + 1e-6
        assert math.isfinite(box.score)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("part", ["box", "class", "score", "count"])
def test_one_number_that_is_none_spoils_one_box_only(part: str, bad: float) -> None:
    boxes, classes, scores = np.tile([0.1, 0.1, 0.5, 0.5], (2, 1)), np.zeros(2), np.full(2, 0.9)
    if part != "count":
        {"box": boxes[0], "class": classes, "score": scores}[part][0] = bad
    found = decode(
        manifest_of("ssd"), ssd_outputs(boxes, classes, scores, bad if part == "count" else 2)
    )
    expected = 1 if part != "count" else 2 if bad == math.inf else 0
    assert [box.score for box in found] == [pytest.approx(0.9)] * expected


def test_huge_boxes_do_not_hide_those_of_other_classes() -> None:
    scores, edges = np.full((1, 1, 1, 2), 0.9, np.float32), np.full((1, 1, 1, 4), 1e12, np.float32)
    found = decode(manifest_of("fcos", min_score=0.1), (scores, edges))
    assert [box.label for box in found] == ["cat", "dog"]


def test_a_thousand_candidates_are_enough_and_the_best_win() -> None:
    chance = np.random.default_rng(5)
    scores = chance.random((1, 40, 50, 1)).astype(np.float32)
    edges = np.full((1, 40, 50, 4), 0.4, np.float32)  # none overlap
    found = decode(manifest_of("fcos", min_score=0.01, max_boxes=30), (scores, edges))
    best = np.sort(scores.ravel())[::-1][:30]
    assert [box.score for box in found] == pytest.approx(best.tolist())


F = np.float32


@pytest.mark.parametrize(
    ("head", "shapes", "why"),
    [
        ("ssd", [(1, 5, 4), (1, 5), (1, 5)], "needs 4 outputs, this model has 3"),
        ("ssd", [(1, 5, 5), (1, 5), (1, 5), (1,)], "needs boxes"),
        ("ssd", [(1, 5, 4), (1, 6), (1, 5), (1,)], "needs boxes"),
        ("ssd", [(1, 5, 4), (1, 5), (1, 5), (2,)], "needs boxes"),
        ("ssd", [(1, 0, 4), (1, 0), (1, 0), (1,)], "needs boxes"),
        ("ssd", [(), (), (), ()], "needs boxes"),
        ("ssd", [(1, 5), (1, 5), (1, 5), (1,)], "needs boxes"),
        ("fcos", [(1, 4, 4, 3)], "needs 2 outputs"),
        ("fcos", [(1, 4, 4, 3), (1, 4)], "needs 2 outputs of rank 4"),
        ("fcos", [(1, 4, 4, 3), (1, 4, 5, 4)], "differ in grid"),
        ("fcos", [(1, 4, 4, 3), (1, 4, 4, 5)], "4 values per cell"),
        ("fcos", [(2, 4, 4, 3), (2, 4, 4, 4)], "rows, columns"),
        ("fcos", [(1, 0, 4, 3), (1, 0, 4, 4)], "rows, columns"),
    ],
)
def test_outputs_that_do_not_fit_the_head_are_refused(
    head: str, shapes: list[tuple[int, ...]], why: str
) -> None:
    specs = tuple(TensorSpec(f"t{i}", shape, "float32") for i, shape in enumerate(shapes))
    with pytest.raises(Refused, match=why):
        make_decode(manifest_of(head), specs, ())


def test_quantised_ssd_is_refused() -> None:
    shapes = [(1, 5, 4), (1, 5), (1, 5), (1,)]
    specs = tuple(TensorSpec(f"t{i}", shape, "uint8", 0.1, 0) for i, shape in enumerate(shapes))
    with pytest.raises(Refused, match="needs float outputs"):
        make_decode(manifest_of("ssd"), specs, ())


@pytest.mark.parametrize("head", ["ssd", "fcos"])
def test_outputs_that_change_size_are_refused(head: str) -> None:
    if head == "ssd":
        opened = ssd_outputs(np.zeros((5, 4)), np.zeros(5), np.zeros(5), 0)
        later = ssd_outputs(np.zeros((7, 4)), np.zeros(7), np.zeros(7), 0)
    else:
        opened = (np.zeros((1, 4, 4, 2), F), np.zeros((1, 4, 4, 4), F))
        later = (np.zeros((1, 5, 4, 2), F), np.zeros((1, 5, 4, 4), F))
    decoder = make_decode(manifest_of(head), specs_of(opened), ())
    with pytest.raises(Refused, match="changes its size"):
        decoder(later, PLAIN)
