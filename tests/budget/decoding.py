"""How long heads take to find boxes in full-size outputs, beside one plain pass over as much.

The outputs are of a model with 80 classes for 640x640: 8,400 rows (25,200 for YOLOv5), of which 100
have seen one of 16 objects, the others next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from time import thread_time
from typing import Any

import cv2
import numpy as np

from models.manifest import Decoding, Input, Manifest
from runtime.engines import TensorSpec
from runtime.tasks import View
from runtime.tasks.detect import make_decode

Array = np.ndarray[Any, Any]

SIDE, CLASSES, OBJECTS, CANDIDATES = 640, 80, 16, 100
VIEW = View(1280, 720, 0, -280, 2, 2)  # 1280x720, letterboxed
ROUNDS = 150


@dataclass(frozen=True)
class Case:
    """A head and how its output lies. rows: of it; ahead: values of a row before the classes."""

    head: str
    rows: int
    ahead: int
    in_columns: bool
    dtype: str

    def __str__(self) -> str:
        width = self.ahead + CLASSES
        shape = f"{width} x {self.rows:,}" if self.in_columns else f"{self.rows:,} x {width}"
        return f"{self.head}, {shape}, {self.dtype}"


CASES = tuple(
    Case(head, rows, ahead, in_columns, dtype)
    for head, rows, ahead in (("yolov8", 8400, 4), ("yolox", 8400, 5), ("yolov5", 25200, 5))
    for in_columns in (True, False)
    for dtype in ("float32", "int8")
    if head == "yolov8" or not in_columns
)


@dataclass(frozen=True)
class Figure:
    """Medians of one run, in microseconds. found: boxes that were left."""

    decode_us: float
    pass_us: float
    found: int

    @property
    def ratio(self) -> float:
        return self.decode_us / self.pass_us


def measured(case: Case) -> Figure:
    """Decoding and a plain pass (OpenCV turns 8,400 x 84 floats around), by turns. In time of the
    processor: on a busy machine the longer of the two is interrupted more often."""
    output, spec = scene(case)
    decoding = Decoding(case.head, min_score=0.4, boxes="shares")  # type: ignore[arg-type]
    eats = Input(SIDE, SIDE, "rgb", "NCHW", "float32")
    decode = make_decode(
        Manifest(1, "m", "1", "detect", "onnx", "m.onnx", eats, decoding=decoding), (spec,), ()
    )
    plain, turned = np.ones((8400, 84), np.float32), np.empty((84, 8400), np.float32)
    decoded, passed = [], []
    for _ in range(ROUNDS):
        start = thread_time()
        cv2.transpose(plain, dst=turned)
        between = thread_time()
        found = decode((output,), VIEW)
        passed.append(between - start)
        decoded.append(thread_time() - between)
    return Figure(median(decoded) * 1e6, median(passed) * 1e6, len(found))


def scene(case: Case) -> tuple[Array, TensorSpec]:
    """An output and what it is. Boxes are in shares of the input, so that eight bits can hold both
    them and scores."""
    chance = np.random.default_rng(0)
    values = chance.random((case.rows, case.ahead + CLASSES), np.float32) * np.float32(0.2)
    values[:, :2] = chance.random((case.rows, 2))
    objects = chance.uniform((0.1, 0.1, 0.05, 0.05), (0.9, 0.9, 0.25, 0.25), (OBJECTS, 4))
    seen = chance.choice(case.rows, CANDIDATES, replace=False)
    of = chance.integers(0, OBJECTS, CANDIDATES)
    values[seen, :4] = objects[of] + chance.normal(0, 0.004, (CANDIDATES, 4))
    values[seen, case.ahead + of] = chance.uniform(0.5, 1, CANDIDATES)
    if case.ahead == 5:
        values[seen, 4] = chance.uniform(0.9, 1, CANDIDATES)
    output = np.ascontiguousarray(values.T if case.in_columns else values)[None]
    if case.dtype == "float32":
        return output, TensorSpec("out", output.shape, "float32")
    stored = np.clip(np.rint(output * 255) - 128, -128, 127).astype(np.int8)
    return stored, TensorSpec("out", stored.shape, "int8", 1 / 255, -128)


HEAD = """
## Decoding

From a head's stored output to boxes in source pixels, suppression included, in microseconds: the
output of a model with 80 classes for 640x640, 100 rows over the threshold, 16 objects. Each figure
is the best median of {tries} runs of {rounds}. A pass is one turning around of 8,400 x 84 floats by
OpenCV, in turns with the decoding: `tests/budget/test_decoding.py` holds the ratio.

| head and output | decoding | a pass |
| --- | --- | --- |
"""


def table(tries: int) -> str:
    """A section for docs/performance.md."""
    text = HEAD.format(tries=tries, rounds=ROUNDS)
    for case in CASES:
        best = min((measured(case) for _ in range(tries)), key=lambda one: one.decode_us)
        text += f"| {case} | {best.decode_us:,.0f} | {best.pass_us:,.0f} |\n"
    return text
