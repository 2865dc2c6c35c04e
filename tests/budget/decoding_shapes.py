"""How long maps, masks, keypoints and vectors take to decode, beside a plain pass over as much."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import thread_time
from typing import Any

import cv2
import msgspec
import numpy as np

from models.manifest import Input
from runtime.engines import TensorSpec
from runtime.opening import DECODERS
from runtime.tasks import View
from tests.naive import Array, manifest_of

ROUNDS = 100


@dataclass(frozen=True)
class Case:
    """outputs: makes them; the first is what the plain pass goes over. side: of the input."""

    name: str
    task: str
    side: int
    decoding: dict[str, Any]
    outputs: Callable[[], tuple[Array, ...]]
    layout: Any = "NCHW"
    quantised: bool = False

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Figure:
    """Medians of one run, in microseconds. found: how many things. bytes: of them as JSON."""

    decode_us: float
    pass_us: float
    found: int
    bytes: int

    @property
    def ratio(self) -> float:
        return self.decode_us / self.pass_us


def smooth(count: int, side: int, dtype: str = "float32") -> Array:
    """(1, count, side, side): as features are, they change slowly."""
    chance = np.random.default_rng(0)
    coarse = chance.normal(size=(count, 9, 9)).astype(np.float32)
    maps = np.stack(
        [cv2.resize(each, (side, side), interpolation=cv2.INTER_CUBIC) for each in coarse]
    )
    if dtype == "int8":
        maps = np.clip(maps * 40, -128, 127)
    stored: Array = maps[None].astype(dtype)
    return stored


def by_cells(maps: Array) -> Array:
    cells: Array = np.ascontiguousarray(maps.transpose(0, 2, 3, 1))
    return cells


def rows(width: int, objects: int = 16) -> Array:
    """(1, width, 8400) for 640x640: a box, a score, and numbers around 0."""
    chance = np.random.default_rng(1)
    output: Array = (chance.random((1, width, 8400), np.float32) - np.float32(0.5)) * np.float32(
        0.2
    )
    output[0, :2] = chance.uniform(100, 540, (2, 8400))
    output[0, 2:4] = chance.uniform(60, 200, (2, 8400))
    output[0, 4, :: 8400 // objects] = chance.uniform(0.5, 1, -(-8400 // (8400 // objects)))
    return output


CASES = (
    Case("map of 21 classes, 257 x 257, NHWC", "segment", 257, {"head": "logits"},
         lambda: (by_cells(smooth(21, 257)),), "NHWC"),
    Case("map of 21 classes, 257 x 257, NCHW", "segment", 257, {"head": "logits"},
         lambda: (smooth(21, 257),)),
    Case("map of 21 classes, 257 x 257, NHWC, int8", "segment", 257, {"head": "logits"},
         lambda: (by_cells(smooth(21, 257, "int8")),), "NHWC", True),
    Case("class numbers, 512 x 512, int64", "segment", 512, {"head": "classes"},
         lambda: (smooth(21, 512).argmax(axis=1),)),
    Case("YOLOv8-seg, 80 classes, 16 objects", "segment", 640, {"head": "yolov8", "min_score": 0.4},
         lambda: (rows(4 + 80 + 32), smooth(32, 160))),
    Case("YOLOv8-pose, 17 points, 16 bodies", "pose", 640, {"head": "yolov8", "min_score": 0.4},
         lambda: (rows(5 + 3 * 17),)),
    Case("heat maps of 17 points, 96 x 96", "pose", 384, {"head": "heatmaps"},
         lambda: (smooth(17, 96),)),
    Case("MoveNet, 17 points", "pose", 192, {"head": "movenet"},
         lambda: (np.random.default_rng(2).random((1, 1, 17, 3), np.float32),)),
    Case("unit vector of 512", "embed", 112, {"head": "unit-vector"},
         lambda: (np.random.default_rng(3).normal(size=(1, 512)).astype(np.float32),)),
)  # fmt: skip


def measured(case: Case) -> Figure:
    """Decoding and a plain pass (OpenCV turns the first output around), by turns. In time of the
    processor: on a busy machine the longer of the two is interrupted more often."""
    outputs = case.outputs()
    scale, zero_point = (0.05, 0) if case.quantised else (None, None)
    specs = tuple(
        TensorSpec(f"t{i}", each.shape, each.dtype.name, scale, zero_point)
        for i, each in enumerate(outputs)
    )
    eats = Input(case.side, case.side, "rgb", case.layout, "float32")
    made = manifest_of(case.task, eats, **case.decoding)
    decode = importlib.import_module(DECODERS[case.task]).make_decode(made, specs, ())
    view = View(1280, 720, 0, -280, 1280 / case.side, 1280 / case.side)
    plain = outputs[0].reshape(-1, outputs[0].shape[-1])
    plain = plain.view(np.float64) if plain.dtype == np.int64 else plain
    turned = np.empty(plain.shape[::-1], plain.dtype)
    decoded, passed = [], []
    found: Any = ()
    for _ in range(ROUNDS):
        start = thread_time()
        cv2.transpose(plain, dst=turned)
        between = thread_time()
        found = decode(outputs, view)
        passed.append(between - start)
        decoded.append(thread_time() - between)
    size = len(msgspec.json.encode(found))
    return Figure(median(decoded) * 1e6, median(passed) * 1e6, len(found), size)


def table(tries: int) -> str:
    """For docs/performance.md."""
    text = ""
    for case in CASES:
        best = min((measured(case) for _ in range(tries)), key=lambda one: one.decode_us)
        text += f"| {case} | {best.found} | {best.decode_us:,.0f} | {best.pass_us:,.0f} | "
        text += f"{best.bytes / 1000:,.1f} kB |\n"
    return text
