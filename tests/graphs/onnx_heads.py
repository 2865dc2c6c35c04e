"""The zoo's detector with its outputs written in other heads' formats: its own tensors, exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from runtime.locating import ZOO

Array = np.ndarray[Any, Any]
SOURCE = ZOO / "digits-detect" / "onnx" / "digits-detect.onnx"
WIDE, TALL, STRIDE, CLASSES = 160, 120, 8, 10
COLUMNS, ROWS = WIDE // STRIDE, TALL // STRIDE
CELLS = COLUMNS * ROWS
REST = 10 * 7 + 5 * 3  # cells of the strides 16 and 32, which this model has not

# (left, top, right, bottom) as (centre x, centre y, width, height)
TO_CENTRES = np.array(
    [[0.5, 0, -1, 0], [0, 0.5, 0, -1], [0.5, 0, 1, 0], [0, 0.5, 0, 1]], np.float32
)
MIDDLES = np.stack(
    (np.arange(CELLS) % COLUMNS + 0.5, np.arange(CELLS) // COLUMNS + 0.5), axis=1
).astype(np.float32)


class Rewriting:
    """Appends nodes to the detector's graph. corners: in pixels; scores: both (1, n, _)."""

    def __init__(self) -> None:
        self.model = onnx.load(SOURCE)
        self._count = 0
        scores, boxes = (each.name for each in self.model.graph.output)
        rows = self.constant(np.array([1, CELLS, -1], np.int64))
        self.scores = self.node("Reshape", scores, rows)
        edges = self.node("Reshape", boxes, rows)
        outward = self.constant(np.array([-STRIDE, -STRIDE, STRIDE, STRIDE], np.float32))
        middles = self.constant(np.tile(MIDDLES * STRIDE, 2)[None])
        self.corners = self.node("Add", self.node("Mul", edges, outward), middles)

    def constant(self, value: Any) -> str:
        self._count += 1
        name = f"heads/constant{self._count}"
        self.model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        self._count += 1
        name = f"heads/{kind}{self._count}"
        self.model.graph.node.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def times(self, name: str, by: Any) -> str:
        return self.node("Mul", name, self.constant(np.asarray(by, np.float32)))

    def centres(self) -> str:
        return self.node("MatMul", self.corners, self.constant(TO_CENTRES))

    def joined(self, *names: str, axis: int = 2) -> str:
        return self.node("Concat", *names, axis=axis)

    def same(self, value: float, rows: int, width: int) -> str:
        return self.constant(np.full((1, rows, width), value, np.float32))

    def write(
        self, path: Path, outputs: Iterable[tuple[str, tuple[int, ...]]],
        dtype: int = TensorProto.FLOAT,
    ) -> Path:  # fmt: skip
        del self.model.graph.output[:]
        for name, shape in outputs:
            value = helper.make_tensor_value_info(name, dtype, shape)
            self.model.graph.output.append(value)
        onnx.checker.check_model(self.model)
        onnx.save(self.model, path)
        return path


def yolov8(path: Path) -> Path:
    to = Rewriting()
    rows = to.joined(to.centres(), to.scores)
    turned = to.node("Transpose", rows, perm=[0, 2, 1])
    return to.write(path, [(turned, (1, 4 + CLASSES, CELLS))])


def yolov8_rows_in_shares(path: Path) -> Path:
    to = Rewriting()
    shares = to.times(to.centres(), [1 / WIDE, 1 / TALL, 1 / WIDE, 1 / TALL])
    return to.write(path, [(to.joined(shares, to.scores), (1, CELLS, 4 + CLASSES))])


def yolov8_int8(path: Path) -> Path:
    """Boxes and scores in one int8 tensor, of 1/255 from -128 on: as full-integer exports are."""
    to = Rewriting()
    shares = to.times(to.centres(), [1 / WIDE, 1 / TALL, 1 / WIDE, 1 / TALL])
    rows = to.joined(shares, to.scores)
    scale, zero = to.constant(np.float32(1 / 255)), to.constant(np.int8(-128))
    stored = to.node("QuantizeLinear", rows, scale, zero)
    turned = to.node("Transpose", stored, perm=[0, 2, 1])
    return to.write(path, [(turned, (1, 4 + CLASSES, CELLS))], TensorProto.INT8)


def yolov5(path: Path) -> Path:
    """Objectness is the root of the best score, and classes are what is left of theirs."""
    to = Rewriting()
    best = to.node("ReduceMax", to.scores, axes=[2], keepdims=1)
    objectness = to.node("Sqrt", to.node("Max", best, to.same(1e-9, 1, 1)))
    rows = to.joined(to.centres(), objectness, to.node("Div", to.scores, objectness))
    return to.write(path, [(rows, (1, CELLS, 5 + CLASSES))])


def yolox(path: Path) -> Path:
    """Grid values at stride 8; the cells of strides 16 and 32 have seen nothing."""
    to = Rewriting()
    cells = to.times(to.centres(), 1 / STRIDE)
    centre, size = (
        to.node("Slice", cells, *(to.constant(np.array([at], np.int64)) for at in (a, a + 2, 2)))
        for a in (0, 2)
    )
    corner = to.constant((MIDDLES - 0.5)[None])
    boxes = to.joined(to.node("Sub", centre, corner), to.node("Log", size))
    rows = to.joined(boxes, to.same(1, CELLS, 1), to.scores)
    whole = to.joined(rows, to.same(0, REST, 5 + CLASSES), axis=1)
    return to.write(path, [(whole, (1, CELLS + REST, 5 + CLASSES))])


def ssd_raw(path: Path) -> Path:
    """Offsets from square anchors of a quarter of the height, y first; "nothing" comes first."""
    to = Rewriting()
    shares = to.times(to.centres(), [1 / WIDE, 1 / TALL, 1 / WIDE, 1 / TALL])
    centre, size = (
        to.node("Slice", shares, *(to.constant(np.array([at], np.int64)) for at in (a, a + 2, 2)))
        for a in (0, 2)
    )
    anchor = np.array([0.25 * TALL / WIDE, 0.25], np.float32)
    middles = to.constant((MIDDLES / np.array([COLUMNS, ROWS], np.float32))[None])
    away = to.node("Div", to.node("Sub", centre, middles), to.constant(anchor * np.float32(0.1)))
    grown = to.times(to.node("Log", to.times(size, 1 / anchor)), 5)
    order = to.constant(np.array([1, 0, 3, 2], np.int64))
    boxes = to.node("Gather", to.joined(away, grown), order, axis=2)
    odds = to.node("Div", to.scores, to.node("Sub", to.same(1, 1, 1), to.scores))
    scores = to.joined(to.same(9, CELLS, 1), to.node("Log", odds))
    return to.write(path, [(boxes, (1, CELLS, 4)), (scores, (1, CELLS, 1 + CLASSES))])


def corners(path: Path) -> Path:
    to = Rewriting()
    return to.write(path, [(to.scores, (1, CELLS, CLASSES)), (to.corners, (1, CELLS, 4))])


ANCHORS = {
    "strides": [8], "aspect_ratios": [1.0], "min_scale": 0.25, "max_scale": 0.25,
    "interpolated_scale_aspect_ratio": 0.0, "reduce_boxes_in_lowest_layer": False,
}  # fmt: skip
AS: dict[str, tuple[Callable[[Path], Path], dict[str, Any]]] = {
    "yolov8": (yolov8, {"head": "yolov8"}),
    "yolov8 in rows": (yolov8_rows_in_shares, {"head": "yolov8", "boxes": "shares"}),
    "yolov5": (yolov5, {"head": "yolov5"}),
    "yolox": (yolox, {"head": "yolox"}),
    "ssd-raw": (
        ssd_raw,
        {"head": "ssd-raw", "activation": "sigmoid", "background": "first", "anchors": ANCHORS},
    ),
    "corners": (corners, {"head": "ssd-raw", "boxes": "pixels"}),
}
