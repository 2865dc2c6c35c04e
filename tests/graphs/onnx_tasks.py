"""Tiny .onnx models of every task, whose answer to a picture of plain colours is known.

All take "input" float32 (1, 3, height, width), RGB, 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from onnx import TensorProto

from tests.graphs.numbers import Array
from tests.graphs.onnx_file import OnnxFile

FLOAT = TensorProto.FLOAT
BACKGROUND = 0.25  # how strong a colour must be before it is one
BIAS: Array = 0.01 * np.cos(np.arange(48, dtype=np.float32))[None]  # of `vectors`: never all 0
CLASSES = ("nothing", "red", "green", "blue")


def _opened(width: int, height: int) -> OnnxFile:
    file = OnnxFile()
    file.input("input", (1, 3, height, width), FLOAT)
    return file


def _strengths(file: OnnxFile, gain: float = 1.0) -> str:
    """(1, 3, height, width): how red, green and blue each pixel is, -1 to 1 times the gain; any
    grey is 0."""
    weights = gain * (np.full((3, 3), -0.5) + 1.5 * np.eye(3))
    kernel = file.constant(weights.astype(np.float32)[:, :, None, None])
    return file.node("Conv", ["input", kernel], attributes={"kernel_shape": [1, 1]})


def regions(path: Path, width: int, height: int, head: str = "logits") -> Path:
    """The colour of each pixel: "logits" or "probabilities" (1, 4, height, width), or "classes"
    int64 (1, height, width). The first class is none."""
    file = _opened(width, height)
    gain = 20.0
    nothing = np.full((1, 1, height, width), BACKGROUND * gain, np.float32)
    parts = [file.constant(nothing), _strengths(file, gain)]
    if head == "logits":
        file.node("Concat", parts, "output", {"axis": 1})
    else:
        logits = file.node("Concat", parts, attributes={"axis": 1})
        if head == "probabilities":
            file.node("Softmax", [logits], "output", {"axis": 1})
        else:
            file.node("ArgMax", [logits], "output", {"axis": 1, "keepdims": 0})
    if head == "classes":
        file.output("output", (1, height, width), TensorProto.INT64)
    else:
        file.output("output", (1, 4, height, width), FLOAT)
    return file.save(path)


def bright(path: Path, width: int, height: int, level: float = 115.0) -> Path:
    """A map of one class, logits (1, 1, height, width): above 0 where the mean of red, green and
    blue is over a level of 255."""
    file = _opened(width, height)
    mean = file.node("ReduceMean", ["input"], attributes={"axes": [1], "keepdims": 1})
    above = file.node("Sub", [mean, file.constant(np.float32(level / 255))])
    file.node("Mul", [above, file.constant(np.float32(50))], name="output")
    file.output("output", (1, 1, height, width), FLOAT)
    return file.save(path)


def instances(path: Path, width: int, height: int, boxes: Sequence[Sequence[float]]) -> Path:
    """As YOLOv8-seg: "rows" (1, 4 + 3 + 3, n), n as many as the strides 8, 16, 32 give, and
    "prototypes" (1, 3, height / 4, width / 4). boxes: centre x and y, width, height and class (red,
    green, blue) of what is always found there, with score 0.9; its mask is where its colour is."""
    n = sum((width // stride) * (height // stride) for stride in (8, 16, 32))
    rows = np.zeros((1, 4 + 3 + 3, n), np.float32)
    for place, (x, y, wide, high, kind) in enumerate(boxes):
        rows[0, :4, place] = x, y, wide, high
        rows[0, 4 + int(kind), place] = 0.9
        rows[0, 7 + int(kind), place] = 1.0
    file = _opened(width, height)
    zero = file.node("Mul", [file.node("ReduceMean", ["input"], attributes={"keepdims": 0}),
                             file.constant(np.float32(0))])  # fmt: skip
    file.node("Add", [file.constant(rows), zero], name="rows")
    small = file.node("AveragePool", [_strengths(file)], attributes={
        "kernel_shape": [4, 4], "strides": [4, 4]})  # fmt: skip
    file.node("Sub", [small, file.constant(np.float32(BACKGROUND))], name="prototypes")
    file.output("rows", rows.shape, FLOAT)
    file.output("prototypes", (1, 3, height // 4, width // 4), FLOAT)
    return file.save(path)


def heatmaps(path: Path, width: int, height: int) -> Path:
    """(1, 3, height / 4, width / 4): how red, green and blue it is there: a point for each."""
    file = _opened(width, height)
    file.node("AveragePool", [_strengths(file)], "output", {
        "kernel_shape": [4, 4], "strides": [4, 4]})  # fmt: skip
    file.output("output", (1, 3, height // 4, width // 4), FLOAT)
    return file.save(path)


def movenet(path: Path, width: int, height: int) -> Path:
    """(1, 1, 3, 3): y, x in shares of the input, and how sure, of the middle of red, green, blue:
    the means of the places, weighted with how strong the colour is there."""
    file = _opened(width, height)
    strong = file.node("Relu", [_strengths(file)])
    total = file.node("Add", [_sum(file, strong), file.constant(np.float32(1e-6))])
    parts = []
    for places in (_places(height)[:, None], _places(width)[None, :]):
        shares = np.broadcast_to(places, (height, width)).astype(np.float32)
        weighted = file.node("Mul", [strong, file.constant(np.ascontiguousarray(shares))])
        parts.append(file.node("Div", [_sum(file, weighted), total]))
    parts.append(file.node("ReduceMax", [strong], attributes={"axes": [2, 3], "keepdims": 0}))
    shape = file.constant(np.array([1, 1, 3, 1], np.int64))
    columns = [file.node("Reshape", [part, shape]) for part in parts]
    file.node("Concat", columns, "output", {"axis": 3})
    file.output("output", (1, 1, 3, 3), FLOAT)
    return file.save(path)


def _places(count: int) -> Array:
    return (np.arange(count) + 0.5) / count


def _sum(file: OnnxFile, tensor: str) -> str:
    """Over height and width."""
    axes = file.constant(np.array([2, 3], np.int64))
    return file.node("ReduceSum", [tensor, axes], attributes={"keepdims": 0})


def vectors(path: Path, width: int, height: int, is_unit: bool = False) -> Path:
    """(1, 48): the mean strengths of the three colours in each sixteenth of the picture, plus BIAS;
    of length 1 if it should be."""
    file = _opened(width, height)
    part = [height // 4, width // 4]
    pooled = file.node(
        "AveragePool", [_strengths(file)], attributes={"kernel_shape": part, "strides": part}
    )
    flat = file.node("Flatten", [pooled])
    if is_unit:
        flat = file.node("Add", [flat, file.constant(BIAS)])
        length = file.node("ReduceL2", [flat], attributes={"axes": [1], "keepdims": 1})
        floor = file.constant(np.float32(1e-6))
        file.node("Div", [flat, file.node("Max", [length, floor])], name="output")
    else:
        file.node("Add", [flat, file.constant(BIAS)], name="output")
    file.output("output", (1, 48), FLOAT)
    return file.save(path)
