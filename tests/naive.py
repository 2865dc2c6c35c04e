"""Plain loops that do what the vectorised code does: the other opinion in tests of tasks."""

from __future__ import annotations

from math import hypot
from typing import Any

import numpy as np

from models.manifest import Decoding, Input, Manifest
from runtime.frames import packed
from runtime.geometry import place
from runtime.tasks import Mask, View

Array = np.ndarray[Any, Any]


def manifest_of(task: str, wanted: Input, **decoding: Any) -> Manifest:
    return Manifest(
        1, "m", "1", task, "onnx", "m.onnx", wanted,  # type: ignore[arg-type]
        decoding=Decoding(**decoding),
    )  # fmt: skip


def view_of(wanted: Input, width: int, height: int) -> View:
    """What the preprocessing of such an input shows of such a frame."""
    return place(wanted, packed("RGB3", width, height)).view


def cells_of(mask: Mask) -> list[list[bool]]:
    """Row by row, as the COCO data format has it: runs outside and inside, column by column."""
    rows, columns = mask.size
    line: list[bool] = []
    for place_in_line, count in enumerate(mask.counts):
        line += [place_in_line % 2 == 1] * count
    assert len(line) == rows * columns
    return [[line[column * rows + row] for column in range(columns)] for row in range(rows)]


def into_tensor(view: View, x: float, y: float) -> tuple[float, float]:
    """From source pixels to tensor pixels."""
    return (x - view.x0) / view.step_x, (y - view.y0) / view.step_y


def into_source(view: View, x: float, y: float) -> tuple[float, float]:
    return view.x0 + x * view.step_x, view.y0 + y * view.step_y


def cut(value: float, most: float) -> float:
    return min(max(value, 0.0), most)


def bilinear(values: Array, x: float, y: float) -> float:
    """Between the middles of cells; beyond the outermost middles as there. values: (rows, cols)."""
    rows, columns = values.shape
    x, y = min(max(x - 0.5, 0.0), columns - 1.0), min(max(y - 0.5, 0.0), rows - 1.0)
    left, top = min(int(x), columns - 1), min(int(y), rows - 1)
    right, below = min(left + 1, columns - 1), min(top + 1, rows - 1)
    across, down = x - left, y - top
    upper = values[top, left] * (1 - across) + values[top, right] * across
    lower = values[below, left] * (1 - across) + values[below, right] * across
    return float(upper * (1 - down) + lower * down)


def softmax(values: list[float]) -> list[float]:
    most = max(values)
    shares = [float(np.exp(value - most)) for value in values]
    return [share / sum(shares) for share in shares]


def distance(a: tuple[float, float], b: tuple[float, float]) -> float:
    return hypot(a[0] - b[0], a[1] - b[1])
