"""Heads "yolov5", "yolov8" and "yolox": one output with a row for each place of a grid.

yolov5 (also v6, v7): (1, n, 5 + classes): centre x, centre y, width, height, objectness, classes;
a score is objectness x class. yolov8 (also v5u, v9, v11, v12): (1, 4 + classes, n) without
objectness. Each may lie the other way round. Boxes are in pixels of the input, or in shares of it,
as TFLite exports have them. yolox (Ge et al. 2021, arXiv:2107.08430): as yolov5, but by default
grid values: (x, y) + cell, and e^(width, height), both times the stride of the cell; the grids of
strides 8, 16, 32 (and 64) stand one after the other. The best class of a row is its only candidate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from models.detection import boxes_of
from models.manifest import Decoding, Input, Manifest
from runtime.engines import TensorSpec
from runtime.tasks import Decode, Found, Tensor, View
from runtime.tasks.boxes import Floats, around, best_boxes
from runtime.tasks.candidates import BestClass, BestProduct, Places, Rows, real
from runtime.tasks.scores import check_size
from wire.troubles import Refused

AHEAD = {"yolov5": 5, "yolov8": 4, "yolox": 5}  # values before those of the classes
STRIDES = ((8, 16, 32), (8, 16, 32, 64))

ToPixels = Callable[[Floats, Places], Floats]


def make_head(manifest: Manifest, gives: tuple[TensorSpec, ...], labels: tuple[str, ...]) -> Decode:
    """Raises Refused if the outputs do not fit."""
    lie = _lie(manifest, gives, labels)
    spec, decoding = gives[0], manifest.decoding
    finder = _finder(spec, lie, decoding)
    to_pixels = _to_pixels(manifest, lie)

    def decode(outputs: tuple[Tensor, ...], view: View) -> Found:
        check_size(spec, outputs[0])
        with np.errstate(all="ignore"):
            seen = finder.find(outputs[0])
            if seen.places.size == 0:
                return ()
            corners = around(to_pixels(real(spec, seen.rows[:, :4]), seen.places))
            return best_boxes(corners, seen.kinds, seen.scores, decoding, view, labels)

    return decode


def class_count(manifest: Manifest, gives: Sequence[TensorSpec], labels: tuple[str, ...]) -> int:
    """How many classes the output tells apart. Raises Refused if it does not fit the head."""
    return _lie(manifest, gives, labels).width - AHEAD[manifest.decoding.head]


def cells(eats: Input, strides: tuple[int, ...]) -> int:
    """How many cells the grids of these strides have together."""
    return sum((eats.width // stride) * (eats.height // stride) for stride in strides)


def _finder(spec: TensorSpec, lie: Rows, decoding: Decoding) -> BestClass | BestProduct:
    ahead = AHEAD[decoding.head]
    classes = slice(ahead, lie.width)
    if ahead == 4:
        return BestClass(spec, lie, classes, decoding.min_score, decoding.activation)
    return BestProduct(spec, lie, 4, classes, decoding.min_score, decoding.activation)


def _to_pixels(manifest: Manifest, lie: Rows) -> ToPixels:
    """From what the model gives to centres and sizes in pixels of the tensor, for a few rows."""
    eats, kind = manifest.input, boxes_of(manifest.decoding)
    if kind == "grid":
        return _from_grid(eats, lie.n)
    unit = (eats.width, eats.height) if kind == "shares" else (1, 1)
    scale = np.array(unit * 2, np.float32)
    return lambda values, places: values * scale


def _from_grid(eats: Input, n: int) -> ToPixels:
    corners, steps = grid_of(eats, n)

    def to_pixels(values: Floats, places: Places) -> Floats:
        np.add(values[:, :2], corners[places], out=values[:, :2])
        np.exp(values[:, 2:], out=values[:, 2:])
        return np.multiply(values, steps[places], out=values)

    return to_pixels


def grid_of(eats: Input, n: int) -> tuple[Floats, Floats]:
    """Column and row of each of the n cells (n, 2), and its stride (n, 1).

    Raises Refused if the usual strides do not make n cells.
    """
    strides = next((each for each in STRIDES if cells(eats, each) == n), None)
    if strides is None:
        raise Refused(
            f"the yolox head needs n = {cells(eats, STRIDES[0])} cells of strides 8, 16 and 32 for "
            f"an input of {eats.width}x{eats.height}; this model gives {n}"
        )
    corner, stride = [], []
    for each in strides:
        wide, tall = eats.width // each, eats.height // each
        place = np.arange(wide * tall)
        corner.append(np.stack((place % wide, place // wide), axis=1))
        stride.append(np.full((wide * tall, 1), each))
    return np.concatenate(corner).astype(np.float32), np.concatenate(stride).astype(np.float32)


def _lie(manifest: Manifest, gives: Sequence[TensorSpec], labels: tuple[str, ...]) -> Rows:
    """Which way the output lies. Raises Refused if it is none of this head's."""
    head = manifest.decoding.head
    ahead = AHEAD[head]
    shapes = [each.shape for each in gives]
    if len(shapes) != 1 or len(shapes[0]) != 3 or shapes[0][0] != 1 or 0 in shapes[0]:
        raise _misfit(head, shapes)
    if gives[0].dtype == "bool":
        raise Refused(f"the {head} head needs numbers: {gives[0].name!r} is bool")
    _, first, second = shapes[0]
    in_columns = _in_columns(manifest, first, second, labels)
    n, width = (second, first) if in_columns else (first, second)
    if width <= ahead:
        raise _misfit(head, shapes)
    return Rows(n, width, in_columns)


def _misfit(head: str, shapes: list[tuple[int, ...]]) -> Refused:
    ahead = AHEAD[head]
    usual, other = f"(1, n, {ahead} + classes)", f"(1, {ahead} + classes, n)"
    if head == "yolov8":
        usual, other = other, usual
    return Refused(
        f"the {head} head needs one output {usual} or {other}; this model gives "
        f"{', '.join(map(str, shapes))}"
    )


def _in_columns(manifest: Manifest, first: int, second: int, labels: tuple[str, ...]) -> bool:
    """Whether an output (1, first, second) is (1, width, n): as the labels say, or the number of
    cells, or else by the longer side; where both are as long, as the head is usually exported."""
    head = manifest.decoding.head
    width = AHEAD[head] + len(labels)
    grids = {per_cell * cells(manifest.input, each) for each in STRIDES for per_cell in (1, 3)}
    if labels and (first == width) != (second == width):
        return first == width
    if (first in grids) != (second in grids):
        return second in grids
    return first < second if first != second else head == "yolov8"
