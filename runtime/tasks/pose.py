"""Pose: bodies and their keypoints, in source pixels, the surest body first.

Heads: "movenet": (1, 1, k, 3) of one body, or (1, bodies, 3k + 5) of several with a box and a
score each: y, x and score of each point, in shares of the input. "yolov8": (1, 5 + 3k, n): see
runtime/tasks/yolo_rows.py; a point is x, y and score (or x, y: then its score is the body's).
"heatmaps": one body: see runtime/tasks/pose_heatmaps.py.
A body of which nothing lies in the frame is not found, nor one with a coordinate that is no number.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from models.manifest import Manifest
from runtime.engines import TensorSpec
from runtime.tasks import Decode, Found, Pose, Tensor, View, pose_heatmaps
from runtime.tasks.bodies import Bodies
from runtime.tasks.boxes import box_of
from runtime.tasks.candidates import Rows, real
from runtime.tasks.scores import check_size, described
from runtime.tasks.yolo_rows import AHEAD, YoloRows, rows_of, shapes_of
from wire.troubles import Refused

Array = npt.NDArray[Any]


def make_decode(
    manifest: Manifest, gives: tuple[TensorSpec, ...], labels: tuple[str, ...]
) -> Decode:
    """The decoder that the manifest's head names. Raises Refused if the outputs do not fit it."""
    spec = _only(described(manifest, gives))
    if manifest.decoding.head == "heatmaps":
        return pose_heatmaps.make_decode(manifest, spec, labels)
    if manifest.decoding.head == "yolov8":
        return _yolov8(manifest, spec, labels)
    return _movenet(manifest, spec, labels)


def point_count(manifest: Manifest, gives: Sequence[TensorSpec]) -> int:
    """How many keypoints the outputs give. Raises Refused if they do not fit the head."""
    spec = _only(gives)
    if manifest.decoding.head == "heatmaps":
        return pose_heatmaps.grid(manifest, spec).depth
    if manifest.decoding.head == "yolov8":
        return _split(manifest, spec)[1]
    return _movenet_points(spec)


def _only(gives: Sequence[TensorSpec]) -> TensorSpec:
    if len(gives) != 1:
        raise Refused(
            f"task pose needs one output, this model gives {len(gives)}: {shapes_of(gives)}"
        )
    return gives[0]


def _movenet_points(spec: TensorSpec) -> int:
    shape = spec.shape
    if len(shape) == 4 and shape[:2] == (1, 1) and shape[2] > 0 and shape[3] == 3:
        return shape[2]
    if len(shape) == 3 and shape[0] == 1 and shape[1] > 0 and shape[2] > 5 and shape[2] % 3 == 2:
        return (shape[2] - 5) // 3
    raise Refused(
        f"the movenet head needs an output (1, 1, points, 3) or (1, bodies, 3 points + 5), "
        f"not {shape}"
    )


def _movenet(manifest: Manifest, spec: TensorSpec, labels: tuple[str, ...]) -> Decode:
    count, several = _movenet_points(spec), len(spec.shape) == 3
    bodies = Bodies(manifest, count, labels)
    eats, least = manifest.input, manifest.decoding.min_score
    unit = np.array((eats.width, eats.height), np.float32)

    def decode(outputs: tuple[Tensor, ...], view: View) -> Found:
        check_size(spec, outputs[0])
        with np.errstate(all="ignore"):
            values = real(spec, outputs[0]).reshape(-1, spec.shape[-1] if several else 3 * count)
            found: list[Pose] = []
            for row in values:
                triples = row[: 3 * count].reshape(count, 3)
                places = triples[:, 1::-1] * unit
                if not several:
                    found += bodies.around(places, triples[:, 2], view)
                    continue
                top, left, bottom, right = row[3 * count : -1].tolist()
                score = float(row[-1])
                if score >= least and isfinite(score):
                    corners = (
                        left * eats.width, top * eats.height, right * eats.width,
                        bottom * eats.height,
                    )  # fmt: skip
                    for box in box_of(0, labels, score, corners, view):
                        found += bodies.body(box, places, triples[:, 2], view)
        found.sort(key=lambda one: -one.score)
        return tuple(found[: manifest.decoding.max_boxes])

    return decode


def _split(manifest: Manifest, spec: TensorSpec) -> tuple[Rows, int, int]:
    """How a YOLOv8 output lies, how many points it has, and how many values each point."""
    named = len(manifest.decoding.keypoints)
    what = "(1, 5 + 3 points, n)"
    widths = [AHEAD + 1 + each * named for each in (3, 2)] if named else [None]
    width = next((one for one in widths if one in spec.shape[1:]), widths[0])
    lie = rows_of(manifest, spec, width, AHEAD + 1, what)
    values = lie.width - AHEAD - 1
    each = values // named if named else 3 if values % 3 == 0 else 2
    if values % each:
        raise Refused(f"the yolov8 head of task pose needs an output {what}, not {spec.shape}")
    return lie, values // each, each


def _yolov8(manifest: Manifest, spec: TensorSpec, labels: tuple[str, ...]) -> Decode:
    lie, count, each = _split(manifest, spec)
    rows = YoloRows(manifest, spec, lie, count * each)
    bodies = Bodies(manifest, count, labels)

    def decode(outputs: tuple[Tensor, ...], view: View) -> Found:
        check_size(spec, outputs[0])
        with np.errstate(all="ignore"):
            kept = rows.find(outputs[0])
            found: list[Pose] = []
            for score, corners, added in zip(
                kept.scores.tolist(), kept.corners.tolist(), kept.added, strict=True
            ):
                values = added.reshape(count, each)
                scores = values[:, 2] if each == 3 else np.full(count, score, np.float32)
                for box in box_of(0, labels, score, corners, view):
                    found += bodies.body(box, values[:, :2] * rows.unit, scores, view)
            return tuple(found)

    return decode
