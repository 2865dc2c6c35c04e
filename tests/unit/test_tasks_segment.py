"""Regions: against plain loops over the same maps, through every way a frame is fitted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.manifest import Input
from runtime.engines import TensorSpec
from runtime.tasks import Region, View
from runtime.tasks.grid import grid_of
from runtime.tasks.segment import class_count, make_decode
from tests.naive import Array, cells_of, cut, into_source, manifest_of, softmax, view_of
from wire.troubles import Refused

CELL = 8  # tensor pixels
LABELS = ("sky", "road", "cat", "dog")
FITS = ("letterbox", "crop", "stretch")
SIZES = ((640, 480), (360, 640), (97, 61))


def input_of(rows: int, columns: int, layout: Any = "NHWC", fit: Any = "letterbox") -> Input:
    return Input(columns * CELL, rows * CELL, "rgb", layout, "float32", fit=fit)


def spec_of(stored: Array, scale: float | None = None, zero_point: int | None = None) -> TensorSpec:
    return TensorSpec("map", stored.shape, stored.dtype.name, scale, zero_point)


def plain_regions(
    winners: list[list[int | None]], view: View, least_share: float
) -> dict[int, tuple[float, list[tuple[int, int]]]]:
    """Of each class its share, and its cells, as (row, column)."""
    shown = 0
    found: dict[int, list[tuple[int, int]]] = {}
    for row, line in enumerate(winners):
        for column, winner in enumerate(line):
            x, y = into_source(view, (column + 0.5) * CELL, (row + 0.5) * CELL)
            if not (0 <= x < view.source_width and 0 <= y < view.source_height):
                continue
            shown += 1
            if winner is not None:
                found.setdefault(winner, []).append((row, column))
    return {
        kind: (len(cells) / shown, cells)
        for kind, cells in found.items()
        if len(cells) >= max(1, least_share * shown)
    }


def check(found: tuple[Region, ...], expected: Any, view: View) -> None:
    assert {each.index for each in found} == set(expected)
    shares = [each.share for each in found]
    assert shares == sorted(shares, reverse=True)
    for region in found:
        share, cells = expected[region.index]
        assert region.share == pytest.approx(share)
        assert region.label == LABELS[region.index]
        top, left = min(row for row, _ in cells), min(column for _, column in cells)
        bottom, right = 1 + max(row for row, _ in cells), 1 + max(column for _, column in cells)
        x, y = into_source(view, left * CELL, top * CELL)
        end_x, end_y = into_source(view, right * CELL, bottom * CELL)
        wide, high = view.source_width, view.source_height
        box = (cut(x, wide), cut(y, high), cut(end_x, wide), cut(end_y, high))
        corners = (region.x, region.y, region.x + region.width, region.y + region.height)
        assert corners == pytest.approx(box, abs=1e-6)
        assert region.mask.size == (bottom - top, right - left)
        assert cells_of(region.mask) == [
            [(row, column) in cells for column in range(left, right)] for row in range(top, bottom)
        ]


@settings(max_examples=80)
@given(
    st.integers(0, 10_000), st.sampled_from(["float32", "float16", "float64", "int8", "uint8"]),
    st.sampled_from(["NHWC", "NCHW"]), st.sampled_from(FITS), st.sampled_from(SIZES),
    st.sampled_from(["probabilities", "logits"]),
)  # fmt: skip
def test_a_map_of_scores_against_plain_loops(
    seed: int, dtype: str, layout: str, fit: str, size: tuple[int, int], head: str
) -> None:
    chance = np.random.default_rng(seed)
    rows, columns, classes = 9, 13, 4
    wanted = input_of(rows, columns, layout, fit)
    view = view_of(wanted, *size)
    scale, zero_point = (0.05, 3) if dtype.endswith("int8") else (None, None)
    if scale:
        stored = chance.integers(0, 127, (rows, columns, classes)).astype(dtype)
    else:
        stored = chance.random((rows, columns, classes)).astype(dtype)
    real = (stored.astype(np.float64) - (zero_point or 0)) * (scale or 1.0)
    winners: list[list[int | None]] = [
        [max(range(classes), key=lambda k: cell[k]) for cell in line] for line in real.tolist()
    ]
    lying = stored if layout == "NHWC" else stored.transpose(2, 0, 1)
    output = np.ascontiguousarray(lying)[None]
    made = manifest_of("segment", wanted, head=head, min_share=0.05)
    decode = make_decode(made, (spec_of(output, scale, zero_point),), LABELS)
    found: Any = decode((output,), view)
    expected = plain_regions(winners, view, 0.05)
    check(found, expected, view)
    for region in found:
        sure = [
            (softmax(real[cell].tolist()) if head == "logits" else real[cell])[region.index]
            for cell in expected[region.index][1]
        ]
        assert region.score == pytest.approx(sum(sure) / len(sure), abs=1e-3)
    again: Any = decode((output,), view)  # the memory is used again
    assert again == found


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from(["uint8", "int32", "int64", "uint16"]),
       st.booleans(), st.sampled_from(SIZES))  # fmt: skip
def test_a_map_of_class_numbers_against_plain_loops(
    seed: int, dtype: str, has_depth: bool, size: tuple[int, int]
) -> None:
    chance = np.random.default_rng(seed)
    numbers = chance.choice([0, 1, 2, 3, 255], (7, 10)).astype(dtype)
    if dtype.startswith("int"):
        numbers[0, :3] = -1, 256, 2**31 - 1  # no class: nothing may come of them
    winners = [
        [number if 0 <= number <= 3 else None for number in line] for line in numbers.tolist()
    ]
    output = numbers[None, :, :, None] if has_depth else numbers[None]
    wanted = input_of(7, 10, fit="crop")
    view = view_of(wanted, *size)
    made = manifest_of("segment", wanted, head="classes", min_share=0.0)
    found: Any = make_decode(made, (spec_of(output),), LABELS)((output,), view)
    check(found, plain_regions(winners, view, 0), view)
    assert all(region.score is None for region in found)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from(["probabilities", "logits"]),
       st.sampled_from([0.0, 0.3, 0.8]), st.sampled_from(["float32", "int8"]))  # fmt: skip
def test_a_map_of_one_class_against_plain_loops(
    seed: int, head: str, least: float, dtype: str
) -> None:
    chance = np.random.default_rng(seed)
    scale = 1 / 32 if dtype == "int8" else None
    if scale:
        output = chance.integers(-128, 128, (1, 6, 8, 1)).astype(np.int8)
        real = output[0, :, :, 0].astype(np.float64) * scale
    else:
        output = chance.normal(size=(1, 6, 8, 1)).astype(np.float32)
        real = output[0, :, :, 0].astype(np.float64)
    scores = 1 / (1 + np.exp(-real)) if head == "logits" else real
    winners = [[0 if s >= (least or 0.5) else None for s in line] for line in scores.tolist()]
    wanted = input_of(6, 8)
    view = view_of(wanted, 64, 48)
    made = manifest_of("segment", wanted, head=head, min_score=least)
    zero_point = 0 if scale else None
    found: Any = make_decode(made, (spec_of(output, scale, zero_point),), LABELS)((output,), view)
    check(found, plain_regions(winners, view, 0.001), view)


def test_the_background_is_no_region_and_small_ones_are_none() -> None:
    numbers = np.zeros((1, 10, 10), np.uint8)
    numbers[0, :3, :] = 1
    numbers[0, 9, 9] = 2
    wanted = input_of(10, 10)
    view = view_of(wanted, 100, 100)
    made = manifest_of("segment", wanted, head="classes", background="first", min_share=0.02)
    (found,) = make_decode(made, (spec_of(numbers),), LABELS)((numbers,), view)
    assert isinstance(found, Region) and (found.label, found.share) == ("road", 0.3)
    scores = np.eye(3, dtype=np.float32)[numbers]
    made = manifest_of("segment", wanted, head="probabilities", background="last", min_share=0.0)
    regions: Any = make_decode(made, (spec_of(scores),), ())((scores,), view)
    assert [(each.index, each.share) for each in regions] == [(0, 0.69), (1, 0.3)]


def test_regions_that_the_model_is_not_sure_of_are_left_out() -> None:
    scores = np.zeros((1, 4, 4, 2), np.float32)
    scores[0, :2] = 0.4, 0.6
    scores[0, 2:] = 0.9, 0.1
    wanted = input_of(4, 4)
    made = manifest_of("segment", wanted, head="probabilities", min_score=0.7)
    found: Any = make_decode(made, (spec_of(scores),), ())((scores,), view_of(wanted, 32, 32))
    assert [(each.index, each.score) for each in found] == [(0, pytest.approx(0.9))]


def test_a_mask_is_no_finer_than_the_manifest_wants() -> None:
    """Cells of 4 x 4 become one, which belongs where its middle does."""
    numbers = np.zeros((1, 16, 16), np.uint8)
    numbers[0, :, :8] = 1
    numbers[0, 0:4, 8:11] = 1  # the middle of a coarser cell, too
    numbers[0, 4:8, 8] = 1  # a quarter of the one below
    numbers[0, 15, 15] = 1  # the box is the whole picture
    wanted = input_of(16, 16)
    made = manifest_of("segment", wanted, head="classes", mask_side=4, background="first")
    (found,) = make_decode(made, (spec_of(numbers),), LABELS)((numbers,), view_of(wanted, 50, 50))
    assert isinstance(found, Region)
    assert cells_of(found.mask) == [
        [True, True, True, False], *([[True, True, False, False]] * 3)
    ]  # fmt: skip
    assert found.share == pytest.approx((16 * 8 + 12 + 4 + 1) / 256)


def test_more_than_254_classes_and_more_than_a_processor_turns_around() -> None:
    """Both ways to find the winner, and numbers of two bytes."""
    for classes, layout in ((300, "NCHW"), (300, "NHWC"), (65, "NHWC"), (255, "NCHW")):
        chance = np.random.default_rng(classes)
        scores = chance.random((5, 6, classes), np.float32)
        scores[2, 3, classes - 1] = 2.0
        output = scores if layout == "NHWC" else scores.transpose(2, 0, 1)
        output = np.ascontiguousarray(output)[None]
        wanted = input_of(5, 6, layout)
        made = manifest_of("segment", wanted, head="probabilities")
        found: Any = make_decode(made, (spec_of(output),), ())((output,), view_of(wanted, 60, 50))
        winners = scores.argmax(axis=2)
        assert {each.index for each in found} == set(winners.ravel().tolist())
        assert classes - 1 in {each.index for each in found}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_scores_that_are_no_numbers_are_seen_as_such(bad: float) -> None:
    scores = np.full((1, 6, 6, 3), bad, np.float32)
    wanted = input_of(6, 6)
    made = manifest_of("segment", wanted, head="logits")
    found: Any = make_decode(made, (spec_of(scores),), ())((scores,), view_of(wanted, 64, 64))
    assert all(region.score is None or math.isnan(region.score) for region in found)


def test_logits_may_be_large() -> None:
    scores = np.zeros((1, 6, 6, 2), np.float32)
    scores[..., 1] = 1000
    wanted = input_of(6, 6)
    made = manifest_of("segment", wanted, head="logits")
    (found,) = make_decode(made, (spec_of(scores),), ())((scores,), view_of(wanted, 64, 64))
    assert isinstance(found, Region) and found.score == 1


@pytest.mark.parametrize(
    ("start", "cells"),
    [(0.0, (0, 8)), (-4.1, (1, 8)), (-3.9, (0, 8)), (4.1, (0, 7)), (3.9, (0, 8))],
)
def test_a_cell_is_seen_where_its_middle_is(start: float, cells: tuple[int, int]) -> None:
    grid = grid_of(TensorSpec("t", (1, 8, 8), "uint8"), input_of(8, 8), "it")
    across = grid.seen(View(64, 64, start, 0, 1, 1))
    down = grid.seen(View(64, 64, 0, start, 1, 1))
    assert (across.left, across.right) == (down.top, down.bottom) == cells
    assert (across.top, across.bottom) == (0, 8)


def test_a_frame_of_which_no_cell_shows_anything_has_no_regions() -> None:
    wanted = input_of(1, 64, fit="letterbox")
    numbers = np.zeros((1, 1, 64), np.uint8)
    made = manifest_of("segment", wanted, head="classes")
    decode = make_decode(made, (spec_of(numbers),), ())
    assert decode((numbers,), View(10, 10, -1000, -1000, 0.1, 0.1)) == ()


@pytest.mark.parametrize(
    ("head", "dtype", "shape", "why"),
    [
        ("logits", "float32", (1, 6, 8), "as wide and high"),
        ("logits", "float32", (2, 8, 8, 3), "rows, columns, n"),
        ("logits", "float32", (1, 0, 8, 3), "rows, columns, n"),
        ("logits", "float32", (1, 3), "rows, columns, n"),
        ("classes", "float32", (1, 8, 8), "whole numbers"),
        ("classes", "int32", (1, 8, 8, 3), "whole numbers"),
        ("probabilities", "float32", (1, 16, 8, 3), "as wide and high as its 64x64 input"),
    ],
)
def test_outputs_that_do_not_fit_are_refused(
    head: str, dtype: str, shape: tuple[int, ...], why: str
) -> None:
    made = manifest_of("segment", input_of(8, 8), head=head)
    with pytest.raises(Refused, match=why):
        make_decode(made, (TensorSpec("t", shape, dtype),), ())
    with pytest.raises(Refused, match=why):
        class_count(made, (TensorSpec("t", shape, dtype),), ())


@pytest.mark.parametrize("background", ["first", "last"])
def test_a_map_of_one_class_has_no_other_for_the_background(background: str) -> None:
    """It would never find anything."""
    made = manifest_of("segment", input_of(8, 8), head="probabilities", background=background)
    spec = TensorSpec("t", (1, 8, 8, 1), "float32")
    for make in (make_decode, class_count):
        with pytest.raises(Refused, match="one class has none for the background"):
            make(made, (spec,), ())


def test_a_map_of_yes_and_no() -> None:
    belongs = np.zeros((1, 8, 8), bool)
    belongs[0, :4] = True
    made = manifest_of("segment", input_of(8, 8), head="probabilities")
    (found,) = make_decode(made, (spec_of(belongs),), ())((belongs,), view_of(input_of(8, 8), 8, 8))
    assert isinstance(found, Region) and (found.share, found.score) == (0.5, 1)


def test_two_outputs_are_refused_and_one_that_changes_its_size() -> None:
    made = manifest_of("segment", input_of(8, 8), head="logits")
    spec = TensorSpec("t", (1, 8, 8, 3), "float32")
    with pytest.raises(Refused, match="needs one output, this model has 2"):
        make_decode(made, (spec, spec), ())
    decode = make_decode(made, (spec,), ())
    with pytest.raises(Refused, match="changes its size"):
        decode((np.zeros((1, 9, 9, 3), np.float32),), view_of(input_of(8, 8), 64, 64))
