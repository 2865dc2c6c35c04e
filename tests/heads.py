"""Every head that finds boxes, for tests that hold for all: its manifest, and outputs by chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models.manifest import Anchors, Decoding, Input, Manifest
from runtime.engines import TensorSpec

Array = np.ndarray[Any, Any]
Chance = np.random.Generator

WIDE, TALL, CLASSES = 96, 64, 3
CELLS = 12 * 8 + 6 * 4 + 3 * 2
RULE = Anchors(strides=(16, 32), aspect_ratios=(1.0, 2.0), min_scale=0.3, max_scale=0.6)
RULE_BOXES = 6 * 4 * 3 + 3 * 2 * 3


@dataclass(frozen=True)
class Head:
    """One way to say what outputs mean. outputs: real values, rows of n each, by chance.

    turn: how outputs of rows come to lie as the model gives them.
    """

    name: str
    said: dict[str, Any]
    outputs: Callable[[Chance], tuple[Array, ...]]
    turn: Callable[[Array], Array] = field(default=lambda rows: rows)

    def manifest(self, **said: Any) -> Manifest:
        decoding = Decoding(**{"head": self.name, **self.said, **said})
        return Manifest(
            1, "m", "1", "detect", "onnx", "m.onnx",
            Input(WIDE, TALL, "rgb", "NHWC", "uint8"), decoding=decoding,
        )  # fmt: skip

    def given(self, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        """As the model gives them: in its layout, and contiguous."""
        return tuple(np.ascontiguousarray(self.turn(each)) for each in outputs)


def specs_of(outputs: tuple[Array, ...], names: tuple[str, ...] = ()) -> tuple[TensorSpec, ...]:
    names = names or ("out0", "out1", "out2", "out3")
    return tuple(
        TensorSpec(name, each.shape, each.dtype.name)
        for name, each in zip(names, outputs, strict=False)
    )


def quantised(
    outputs: tuple[Array, ...], dtype: str, scale: float = 1 / 128
) -> tuple[tuple[Array, ...], tuple[TensorSpec, ...], tuple[Array, ...]]:
    """Stored values, their specs, and the real values that they stand for."""
    limits = np.iinfo(dtype)
    zero_point = int(limits.min) + 8
    stored = tuple(
        np.clip(np.rint(each / scale) + zero_point, limits.min, limits.max).astype(dtype)
        for each in outputs
    )
    specs = tuple(
        TensorSpec(f"out{i}", each.shape, dtype, scale, zero_point) for i, each in enumerate(stored)
    )
    real = tuple(((each.astype(np.float64) - zero_point) * scale).astype(np.float32)
                 for each in stored)  # fmt: skip
    return stored, specs, real


def _centres(chance: Chance, n: int, shares: bool) -> Array:
    across = np.array((1, 1, 1, 1) if shares else (WIDE, TALL, WIDE, TALL))
    return np.asarray(chance.uniform((0, 0, 0.02, 0.02), (1, 1, 0.6, 0.6), (n, 4)) * across)


def _corners(chance: Chance, n: int, shares: bool) -> Array:
    centres = _centres(chance, n, shares)
    return np.concatenate(
        (centres[:, :2] - centres[:, 2:] / 2, centres[:, :2] + centres[:, 2:] / 2), 1
    )


def _scores(chance: Chance, shape: tuple[int, ...]) -> Array:
    return np.asarray(chance.random(shape) ** 3)


def _joined(*columns: Array) -> tuple[Array, ...]:
    return (np.concatenate(columns, axis=1)[None].astype(np.float32),)


def _turned(rows: Array) -> Array:
    return np.asarray(rows.transpose(0, 2, 1))


def _logits(scores: Array) -> Array:
    return np.asarray(np.log(scores + 1e-4) - np.log(1 - scores + 1e-4))


def _yolo(ahead: int, shares: bool) -> Callable[[Chance], tuple[Array, ...]]:
    def outputs(chance: Chance) -> tuple[Array, ...]:
        objectness = [chance.random((CELLS, 1)) ** 0.5] * (ahead == 5)
        return _joined(
            _centres(chance, CELLS, shares), *objectness, _scores(chance, (CELLS, CLASSES)) ** 0.5
        )

    return outputs


def _yolo_logits(chance: Chance) -> tuple[Array, ...]:
    return _joined(_centres(chance, CELLS, True), _logits(_scores(chance, (CELLS, CLASSES))))


def _yolox(chance: Chance) -> tuple[Array, ...]:
    return _joined(
        chance.uniform(-1, 2, (CELLS, 2)),
        chance.uniform(-0.5, 1.2, (CELLS, 2)),
        chance.random((CELLS, 1)) ** 0.5,
        _scores(chance, (CELLS, CLASSES)) ** 0.5,
    )


def _end_to_end(shares: bool) -> Callable[[Chance], tuple[Array, ...]]:
    def outputs(chance: Chance) -> tuple[Array, ...]:
        kinds = chance.integers(0, CLASSES, (20, 1)).astype(np.float64)
        return _joined(_corners(chance, 20, shares), chance.random((20, 1)), kinds)

    return outputs


def _offsets(logits: bool, classes: int) -> Callable[[Chance], tuple[Array, ...]]:
    def outputs(chance: Chance) -> tuple[Array, ...]:
        scores = _scores(chance, (RULE_BOXES, classes))
        return (
            chance.uniform(-0.9, 0.9, (1, RULE_BOXES, 4)).astype(np.float32),
            (_logits(scores) if logits else scores)[None].astype(np.float32),
        )

    return outputs


def _decoded(shares: bool) -> Callable[[Chance], tuple[Array, ...]]:
    def outputs(chance: Chance) -> tuple[Array, ...]:
        scores = _scores(chance, (40, CLASSES))
        return _corners(chance, 40, shares)[None].astype(np.float32), scores[None].astype("float32")

    return outputs


OF_RULE = {"anchors": RULE}
HEADS = {
    "yolov5": Head("yolov5", {}, _yolo(5, False)),
    "yolov5 in columns": Head("yolov5", {}, _yolo(5, False), _turned),
    "yolov5 in shares": Head("yolov5", {"boxes": "shares"}, _yolo(5, True)),
    "yolov8": Head("yolov8", {}, _yolo(4, False), _turned),
    "yolov8 in rows": Head("yolov8", {}, _yolo(4, False)),
    "yolov8 in shares": Head("yolov8", {"boxes": "shares"}, _yolo(4, True), _turned),
    "yolov8 in logits": Head(
        "yolov8", {"boxes": "shares", "activation": "sigmoid"}, _yolo_logits, _turned
    ),
    "yolox": Head("yolox", {}, _yolox),
    "yolox decoded": Head("yolox", {"boxes": "pixels"}, _yolo(5, False)),
    "yolov10": Head("yolov10", {}, _end_to_end(False)),
    "yolov10 in shares": Head("yolov10", {"boxes": "shares"}, _end_to_end(True)),
    "ssd-raw": Head(
        "ssd-raw", {**OF_RULE, "activation": "sigmoid", "background": "first"}, _offsets(True, 4)
    ),
    "ssd-raw of torch": Head(
        "ssd-raw",
        {**OF_RULE, "activation": "softmax", "background": "first", "box_order": "xywh",
         "variances": (0.1, 0.1, 0.2, 0.25)},
        _offsets(True, 4),
    ),
    "ssd-raw, nothing last": Head(
        "ssd-raw", {**OF_RULE, "activation": "softmax", "background": "last"}, _offsets(True, 4)
    ),
    "ssd-raw, softmax alone": Head(
        "ssd-raw", {**OF_RULE, "activation": "softmax"}, _offsets(True, 3)
    ),
    "ssd-raw, probabilities": Head("ssd-raw", OF_RULE, _offsets(False, 3)),
    "ssd-raw, corners": Head("ssd-raw", {"boxes": "shares"}, _decoded(True)),
    "ssd-raw, corners in pixels": Head(
        "ssd-raw", {"boxes": "pixels", "box_order": "yxhw"}, _decoded(False)
    ),
}  # fmt: skip
