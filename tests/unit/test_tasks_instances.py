"""Objects with outlines: against plain loops over the same rows and prototypes."""

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
from runtime.tasks import Instance, View
from runtime.tasks.segment import class_count, make_decode
from tests.naive import Array, bilinear, cells_of, cut, into_source, manifest_of, view_of
from wire.troubles import Refused

WIDE, HIGH = 192, 128  # of the input; prototypes have a cell for 4 x 4 pixels
CLASSES, MIXED = 2, 5
LABELS = ("cat", "dog")
SIZES = ((640, 480), (120, 200), (97, 61))


def input_of(layout: Any = "NCHW", fit: Any = "letterbox") -> Input:
    return Input(WIDE, HIGH, "rgb", layout, "float32", fit=fit)


def soft(chance: np.random.Generator) -> Array:
    """(MIXED, 32, 48) prototypes that change slowly from cell to cell, as real ones do."""
    rows, columns = np.mgrid[0:32, 0:48] / 16
    waves = [
        np.sin(chance.uniform(1, 3) * rows + chance.uniform(0, 6))
        + np.cos(chance.uniform(1, 3) * columns + chance.uniform(0, 6))
        for _ in range(MIXED)
    ]
    return np.stack(waves).astype(np.float32)


def rows_of(chance: np.random.Generator, count: int) -> Array:
    """(count, 4 + classes + MIXED): far apart, so that nothing suppresses anything."""
    rows = np.zeros((count, 4 + CLASSES + MIXED), np.float32)
    for place, row in enumerate(rows):
        row[0] = (12, 72, 120, 180)[place % 4]  # 4 x 2 boxes, some of them beyond the picture
        row[1] = 32 + 64 * (place // 4 % 2)
        row[2:4] = chance.uniform(8, 46), chance.uniform(8, 60)
        row[4 + chance.integers(CLASSES)] = chance.uniform(0, 1)
    rows[:, 4 + CLASSES :] = chance.normal(size=(count, MIXED))
    return rows


def specs_of(outputs: tuple[Array, ...], scale: float | None = None) -> tuple[TensorSpec, ...]:
    zero_point = 2 if scale else None
    return tuple(
        TensorSpec(f"t{i}", each.shape, each.dtype.name, scale, zero_point)
        for i, each in enumerate(outputs)
    )


def check(found: Instance, row: Array, prototypes: Array, view: View) -> None:
    centre_x, centre_y, wide, high = map(float, row[:4])
    left, top = into_source(view, centre_x - wide / 2, centre_y - high / 2)
    right, bottom = into_source(view, centre_x + wide / 2, centre_y + high / 2)
    box = (cut(left, view.source_width), cut(top, view.source_height),
           cut(right, view.source_width), cut(bottom, view.source_height))  # fmt: skip
    corners = (found.x, found.y, found.x + found.width, found.y + found.height)
    assert corners == pytest.approx(box, abs=1e-3)
    values = np.tensordot(row[4 + CLASSES :].astype(np.float64), prototypes, axes=1)
    if found.mask is None:
        rows, columns, cells = 20, 20, [[False] * 20 for _ in range(20)]
    else:
        (rows, columns), cells = found.mask.size, cells_of(found.mask)
        assert rows == min(128, math.ceil(found.height / max(view.step_y, 1)))
        assert columns == min(128, math.ceil(found.width / max(view.step_x, 1)))
    for down in range(rows):
        for across in range(columns):
            x = found.x + (across + 0.5) * found.width / columns
            y = found.y + (down + 0.5) * found.height / rows
            tensor_x, tensor_y = (x - view.x0) / view.step_x, (y - view.y0) / view.step_y
            value = bilinear(values, tensor_x / 4, tensor_y / 4)
            if abs(value) > 0.05:  # OpenCV interpolates in 32nds of a cell
                assert cells[down][across] == (value > 0), (across, down, value)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.booleans(), st.booleans(), st.booleans(),
       st.sampled_from(["letterbox", "crop", "stretch"]), st.sampled_from(SIZES))  # fmt: skip
def test_masks_against_plain_loops(
    seed: int, rows_first: bool, in_columns: bool, in_planes: bool, fit: str, size: tuple[int, int]
) -> None:
    chance = np.random.default_rng(seed)
    rows, prototypes = rows_of(chance, 8), soft(chance)
    wanted = input_of("NCHW" if in_planes else "NHWC", fit)
    view = view_of(wanted, *size)
    first = np.ascontiguousarray(rows.T if in_columns else rows)[None]
    second = np.ascontiguousarray(prototypes if in_planes else prototypes.transpose(1, 2, 0))[None]
    outputs = (first, second) if rows_first else (second, first)
    made = manifest_of("segment", wanted, head="yolov8", min_score=0.3)
    found: Any = make_decode(made, specs_of(outputs), LABELS)(outputs, view)
    scores = rows[:, 4 : 4 + CLASSES].max(axis=1)
    expected = [int(i) for i in np.argsort(-scores) if scores[i] >= 0.3]
    in_frame = [i for i in expected if lies_in(rows[i], view)]
    assert [each.score for each in found] == pytest.approx([float(scores[i]) for i in in_frame])
    for each, i in zip(found, in_frame, strict=True):
        assert each.index == int(rows[i, 4 : 4 + CLASSES].argmax())
        assert each.label == LABELS[each.index]
        check(each, rows[i], prototypes, view)


def lies_in(row: Array, view: View) -> bool:
    left, top = into_source(view, float(row[0] - row[2] / 2), float(row[1] - row[3] / 2))
    right, bottom = into_source(view, float(row[0] + row[2] / 2), float(row[1] + row[3] / 2))
    wide, high = view.source_width, view.source_height
    return cut(right, wide) > cut(left, wide) and cut(bottom, high) > cut(top, high)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_quantised_outputs_and_boxes_in_shares(layout: str) -> None:
    """As TFLite has them: one scale for all of a row, so boxes are shares of the input."""
    chance = np.random.default_rng(4)
    rows, prototypes = rows_of(chance, 8), soft(chance)
    rows[:, 4] = 0.9
    stored_rows = rows.copy()
    stored_rows[:, 0:4] /= WIDE, HIGH, WIDE, HIGH
    scale = 1 / 32

    def stored(real: Array) -> Array:
        rounded: Array = np.clip(np.rint(real / scale) + 2, -128, 127).astype(np.int8)
        return rounded

    lying = prototypes if layout == "NCHW" else prototypes.transpose(1, 2, 0)
    outputs = (stored(stored_rows)[None], np.ascontiguousarray(stored(lying))[None])
    made = manifest_of("segment", input_of(layout), head="yolov8", min_score=0.5, boxes="shares")
    view = view_of(input_of(layout), WIDE, HIGH)
    found: Any = make_decode(made, specs_of(outputs, scale), LABELS)(outputs, view)
    assert len(found) == 8
    real_rows = (outputs[0][0].astype(np.float32) - 2) * np.float32(scale)
    real_rows[:, :4] *= WIDE, HIGH, WIDE, HIGH
    real = (stored(prototypes).astype(np.float32) - 2) * np.float32(scale)
    by_place = {(round(row[0]), round(row[1])): row for row in real_rows}
    for each in found:
        near = min(by_place, key=lambda at: abs(at[0] - each.x - each.width / 2)
                   + abs(at[1] - each.y - each.height / 2))  # fmt: skip
        check(each, by_place[near], real, view)


def test_a_disc_is_found_where_it_is_painted() -> None:
    """One prototype that is above 0 inside of a circle: its outline comes out in source pixels."""
    rows, columns = np.mgrid[0:32, 0:48]
    radius, at = 8.0, (20.0, 14.0)  # in cells
    prototypes = np.zeros((MIXED, 32, 48), np.float32)
    prototypes[0] = radius - np.hypot(columns + 0.5 - at[0], rows + 0.5 - at[1])
    row = np.zeros((1, 4 + CLASSES + MIXED, 6), np.float32)
    row[0, :, 3] = [80, 56, 80, 80, 0, 0.9, 1, 0, 0, 0, 0]
    outputs = (row, prototypes[None])
    made = manifest_of("segment", input_of(), head="yolov8", min_score=0.5)
    view = view_of(input_of(), 960, 640)  # 5 times as large
    (found,) = make_decode(made, specs_of(outputs), LABELS)(outputs, view)
    assert isinstance(found, Instance) and found.mask is not None
    area = (
        sum(map(sum, cells_of(found.mask)))
        * found.width
        * found.height
        / math.prod(found.mask.size)
    )
    assert area == pytest.approx(math.pi * (radius * 4 * 5) ** 2, rel=0.02)


def test_an_object_without_a_cell_has_no_mask() -> None:
    rows = np.zeros((1, 4 + CLASSES + MIXED, 1), np.float32)
    rows[0, :6, 0] = 60, 60, 40, 40, 0.9, 0
    outputs = (rows, np.full((1, MIXED, 32, 48), -1, np.float32))
    made = manifest_of("segment", input_of(), head="yolov8", min_score=0.5)
    (found,) = make_decode(made, specs_of(outputs), LABELS)(outputs, view_of(input_of(), 64, 64))
    assert isinstance(found, Instance) and found.mask is None


GARBAGE = st.floats(width=32) | st.sampled_from([math.nan, math.inf, -math.inf, 3e38, -3e38, 0.0])


@settings(max_examples=100, deadline=None)
@given(arrays.arrays(np.float32, (1, 4 + CLASSES + MIXED, 3), elements=GARBAGE),
       arrays.arrays(np.float32, MIXED, elements=GARBAGE))  # fmt: skip
def test_garbage_finds_only_boxes_with_sound_masks(rows: Array, values: Array) -> None:
    prototypes = np.broadcast_to(values[:, None, None], (MIXED, 32, 48)).copy()[None]
    made = manifest_of("segment", input_of(), head="yolov8", min_score=0.1)
    found: Any = make_decode(made, specs_of((rows, prototypes)), LABELS)(
        (rows, prototypes), view_of(input_of(), 640, 480)
    )
    for each in found:
        assert 0 <= each.x < each.x + each.width <= 640 + 1e-6
        assert each.mask is None or sum(each.mask.counts) == math.prod(each.mask.size)


@pytest.mark.parametrize(
    ("shapes", "why"),
    [
        ([(1, 11, 8)], "needs two outputs"),
        ([(1, 11, 8), (1, 11, 8)], "needs two outputs"),
        ([(1, 5, 32, 48), (1, 5, 32, 48)], "needs two outputs"),
        ([(1, 8, 9), (1, 5, 32, 48)], "4 \\+ classes \\+ 5"),
        ([(1, 11, 504), (1, 5, 32, 32)], "as wide and high"),
        ([(2, 11, 504), (1, 5, 32, 48)], "4 \\+ classes \\+ 5"),
    ],
)
def test_outputs_that_do_not_fit_are_refused(shapes: list[tuple[int, ...]], why: str) -> None:
    specs = tuple(TensorSpec(f"t{i}", shape, "float32") for i, shape in enumerate(shapes))
    made = manifest_of("segment", input_of(), head="yolov8")
    with pytest.raises(Refused, match=why):
        make_decode(made, specs, ())


def test_the_classes_are_counted_without_labels_too() -> None:
    n = 24 * 16 + 12 * 8 + 6 * 4
    for shape in ((1, 4 + 80 + MIXED, n), (1, n, 4 + 80 + MIXED)):
        specs = (TensorSpec("r", shape, "float32"), TensorSpec("p", (1, MIXED, 32, 48), "float32"))
        assert class_count(manifest_of("segment", input_of(), head="yolov8"), specs, ()) == 80
