"""What each head's outputs mean, as plain loops: slow, easy to believe, nothing shared with ours.

Sources: YOLOv5 detect.py and export.py (rows of cx, cy, w, h, objectness, classes); Ultralytics'
export of YOLOv8 ((1, 4 + classes, n), the best class of a row); YOLOX, yolox/utils/demo_utils.py
(grid values); YOLOv10 and YOLO26 (rows of x1, y1, x2, y2, score, class); Liu et al. 2016
(arXiv:1512.02325) and TensorFlow's FasterRcnnBoxCoder for SSD's offsets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.manifest import Manifest
from runtime.tasks import View

Array = np.ndarray[Any, Any]
Row = tuple[float, ...]


@dataclass(frozen=True)
class Seen:
    """A candidate, with corners in pixels of the tensor."""

    kind: int
    score: float
    corners: tuple[float, float, float, float]


def found_by_the_book(
    manifest: Manifest, outputs: tuple[Array, ...], view: View, anchors: list[Row] | None = None
) -> list[Row]:
    """(kind, score, left, top, right, bottom) in source pixels, best first, of real outputs."""
    decoding = manifest.decoding
    seen = [each for each in _seen(manifest, outputs, anchors or []) if is_box(each)]
    seen = sorted(seen, key=lambda each: -each.score)
    if decoding.head not in ("yolov10",):
        seen = suppressed(seen, decoding.max_overlap, decoding.nms == "class-agnostic")
    return [row for each in seen[: decoding.max_boxes] for row in in_source(each, view)]


def _seen(manifest: Manifest, outputs: tuple[Array, ...], anchors: list[Row]) -> list[Seen]:
    head = manifest.decoding.head
    if head == "ssd-raw":
        return _ssd_raw(manifest, outputs, anchors)
    rows = outputs[0][0]
    if head == "yolov10":
        return _end_to_end(manifest, rows)
    ahead = 4 if head == "yolov8" else 5
    cells = grid(manifest) if manifest.decoding.boxes in (None, "grid") else []
    seen = []
    for place in range(len(rows)):
        row = rows[place]
        scores = [activated(manifest, value) for value in row[ahead:]]
        kind = max(range(len(scores)), key=lambda each: scores[each])
        score = scores[kind]
        if ahead == 5:
            score = np.float32(score) * np.float32(activated(manifest, row[4]))
        if not score >= np.float32(manifest.decoding.min_score):
            continue
        x, y, wide, tall = (float(value) for value in row[:4])
        if head == "yolox" and cells:
            column, line, stride = cells[place]
            x, y = (x + column) * stride, (y + line) * stride
            wide, tall = math.exp(wide) * stride, math.exp(tall) * stride
        else:
            across, down = unit(manifest)
            x, y, wide, tall = x * across, y * down, wide * across, tall * down
        corners = (x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2)
        seen.append(Seen(kind, float(score), corners))
    return seen


def grid(manifest: Manifest) -> list[tuple[int, int, int]]:
    """Column, line and stride of each cell of YOLOX."""
    return [
        (column, line, stride)
        for stride in (8, 16, 32)
        for line in range(manifest.input.height // stride)
        for column in range(manifest.input.width // stride)
    ]


def _end_to_end(manifest: Manifest, rows: Array) -> list[Seen]:
    across, down = unit(manifest)
    return [
        Seen(round(float(kind)), float(score), (x1 * across, y1 * down, x2 * across, y2 * down))
        for x1, y1, x2, y2, score, kind in rows.tolist()
        if score >= manifest.decoding.min_score and math.isfinite(kind) and kind >= 0
    ]


def _ssd_raw(manifest: Manifest, outputs: tuple[Array, ...], anchors: list[Row]) -> list[Seen]:
    boxes, scores = outputs[0][0], outputs[1][0]
    decoding = manifest.decoding
    seen = []
    for place in range(len(boxes)):
        values = probabilities(manifest, scores[place])
        first, last = 0, len(values)
        first += decoding.background == "first"
        last -= decoding.background == "last"
        for kind in range(first, last):
            if values[kind] >= np.float32(decoding.min_score):
                corners = _ssd_corners(manifest, [float(v) for v in boxes[place]], anchors, place)
                seen.append(Seen(kind - first, float(values[kind]), corners))
    return seen


def _ssd_corners(
    manifest: Manifest, values: list[float], anchors: list[Row], place: int
) -> tuple[float, float, float, float]:
    decoding = manifest.decoding
    across, down = manifest.input.width, manifest.input.height
    if decoding.boxes in ("shares", "pixels"):
        if decoding.box_order == "yxhw":
            values = [values[1], values[0], values[3], values[2]]
        across, down = (across, down) if decoding.boxes == "shares" else (1, 1)
        left, top, right, bottom = values
        return left * across, top * down, right * across, bottom * down
    if decoding.box_order in (None, "yxhw"):
        values = [values[1], values[0], values[3], values[2]]
    of = list(decoding.variances)
    of = [of[0], of[0], of[1], of[1]] if len(of) == 2 else of
    cx, cy, wide, tall = anchors[place]
    x, y = cx + values[0] * of[0] * wide, cy + values[1] * of[1] * tall
    wide, tall = wide * math.exp(values[2] * of[2]), tall * math.exp(values[3] * of[3])
    return (
        (x - wide / 2) * across, (y - tall / 2) * down,
        (x + wide / 2) * across, (y + tall / 2) * down,
    )  # fmt: skip


def unit(manifest: Manifest) -> tuple[int, int]:
    shares = manifest.decoding.boxes == "shares"
    return (manifest.input.width, manifest.input.height) if shares else (1, 1)


def activated(manifest: Manifest, value: Any) -> Any:
    """In float32, as ours: what rounds the same has the same order."""
    if manifest.decoding.activation != "sigmoid":
        return value
    return np.float32(1) / (np.float32(1) + np.exp(-np.float32(value)))


def probabilities(manifest: Manifest, values: Array) -> list[Any]:
    if manifest.decoding.activation != "softmax":
        return [activated(manifest, value) for value in values]
    powers = [math.exp(float(value) - float(max(values))) for value in values]
    return [np.float32(power / sum(powers)) for power in powers]


def is_box(seen: Seen) -> bool:
    left, top, right, bottom = seen.corners
    numbers = (*seen.corners, seen.score)
    return all(map(math.isfinite, numbers)) and right > left and bottom > top


def suppressed(seen: list[Seen], max_overlap: float, class_agnostic: bool) -> list[Seen]:
    """Every box against every better one that was kept."""
    kept: list[Seen] = []
    for each in seen:
        rivals = [one for one in kept if class_agnostic or one.kind == each.kind]
        if all(overlap(one.corners, each.corners) <= max_overlap for one in rivals):
            kept.append(each)
    return kept


def overlap(a: Row, b: Row) -> float:
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    tall = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - wide * tall
    return wide * tall / both if both > 0 else 0.0


def in_source(seen: Seen, view: View) -> list[Row]:
    left, top, right, bottom = seen.corners
    left, right = (min(max(view.x0 + x * view.step_x, 0), view.source_width) for x in (left, right))
    top, bottom = (
        min(max(view.y0 + y * view.step_y, 0), view.source_height) for y in (top, bottom)
    )
    if right <= left or bottom <= top:
        return []
    return [(seen.kind, seen.score, left, top, right, bottom)]
