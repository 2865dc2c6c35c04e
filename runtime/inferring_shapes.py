"""Which of the other tasks a bare model does, where the shapes of its outputs leave little doubt:
masks, keypoints, vectors of length 1."""

from __future__ import annotations

from typing import Literal

import numpy as np

from models.manifest import Decoding
from runtime.engines import TensorSpec
from runtime.inferring_boxes import MIN_SCORE, Bare
from runtime.tasks.detect_yolo import STRIDES, cells
from runtime.tasks.grid import Grid, grid_of
from wire.troubles import Refused

Guess = tuple[Literal["segment", "pose", "embed"], Decoding, str]

LEAST_SIDE = 8  # cells: what is smaller is hardly a map
MOST_BODIES = 20  # rows of a model that has suppressed already
POSE_SCORE = 0.3

# The order in which models that were trained on COCO give a body's points, and how its bones go.
# Source: Lin et al. 2014 (arXiv:1405.0312), the annotations of person keypoints.
COCO_POINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
    "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee",
    "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
COCO_SKELETON = (
    (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8),
    (7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6),
)  # fmt: skip
COCO_ROW = 5 + 3 * len(COCO_POINTS)


def guess_shapes(bare: Bare) -> Guess | None:
    """A task and its head, and a line that says why; None if the outputs may be anything."""
    gives = bare.engine.gives
    if len(gives) == 2 and sorted(len(each.shape) for each in gives) == [3, 4]:
        return _instances(bare)
    if len(gives) != 1 or not gives[0].shape or gives[0].shape[0] != 1 or 0 in gives[0].shape:
        return None
    return _points(bare, gives[0].shape) or _map(bare, gives[0]) or _vector(bare)


def _instances(bare: Bare) -> Guess | None:
    rows, maps = sorted(bare.engine.gives, key=lambda each: len(each.shape))
    grid = _fitting(bare, maps)
    if grid is None or rows.shape[0] != 1:
        return None
    once = {cells(bare.eats, each) for each in STRIDES}
    width = rows.shape[1] if rows.shape[2] in once else rows.shape[2]
    if not once & set(rows.shape[1:]) or width <= 4 + grid.depth:
        return None
    place = bare.engine.gives.index(rows)
    decoding = Decoding(head="yolov8", min_score=MIN_SCORE, boxes=_unit(bare, place))
    said = f"rows {rows.shape} and {grid.depth} prototypes: head yolov8, instances with masks, "
    return "segment", decoding, said + f"{width - 4 - grid.depth} classes"


def _points(bare: Bare, shape: tuple[int, ...]) -> Guess | None:
    if len(shape) == 4 and shape[1] == 1 and shape[2] > 1 and shape[3] == 3:
        if shape[2] == bare.eats.width:
            return None  # perhaps a picture of one row
        return _pose("movenet", shape[2], f"one output {shape}: head movenet, one body")
    if len(shape) != 3 or COCO_ROW not in shape[1:]:
        return None
    n = shape[2] if shape[1] == COCO_ROW else shape[1]
    if n in {cells(bare.eats, each) for each in STRIDES} and bare.labels + 4 != COCO_ROW:
        said = f"one output {shape}: head yolov8, bodies (or task detect with 52 classes)"
        return _pose("yolov8", len(COCO_POINTS), said, _unit(bare, 0))
    if shape[2] == COCO_ROW and n <= MOST_BODIES:
        return _pose("movenet", len(COCO_POINTS), f"one output {shape}: head movenet, {n} bodies")
    return None


def _pose(
    head: Literal["movenet", "yolov8"],
    count: int,
    said: str,
    boxes: Literal["shares"] | None = None,
) -> Guess:
    least = MIN_SCORE if head == "yolov8" else POSE_SCORE
    if count != len(COCO_POINTS):
        return "pose", Decoding(head=head, min_score=least, boxes=boxes), f"{said}, {count} points"
    decoding = Decoding(
        head=head, min_score=least, boxes=boxes, keypoints=COCO_POINTS, skeleton=COCO_SKELETON
    )
    return "pose", decoding, f"{said}; assumed: the {count} points of COCO"


def _map(bare: Bare, spec: TensorSpec) -> Guess | None:
    grid = _fitting(bare, spec)
    if grid is None or min(grid.rows, grid.columns) < LEAST_SIDE:
        return None
    if spec.dtype in ("int32", "int64") and spec.scale is None:  # of others it may be a picture
        if grid.depth != 1:
            return None
        return "segment", Decoding(head="classes"), f"whole numbers {spec.shape}: a map of classes"
    if np.dtype(spec.dtype).kind in "iub" and spec.scale is None:
        return None
    as_large = (grid.rows, grid.columns) == (bare.eats.height, bare.eats.width)
    if len(spec.shape) != 4 or not as_large or grid.depth in (1, 3):
        return None  # features, depths, a picture
    sums = grid.planes(bare.outputs[0]).sum(axis=0)
    low, room = float(bare.outputs[0].min()), 0.02 + (spec.scale or 0.0) / 2 * grid.depth
    if low >= 0 and np.abs(sums - 1).max() < min(room, 0.9):
        decoding = Decoding(head="probabilities")
    else:
        decoding = Decoding(head="logits")
    return "segment", decoding, f"{grid.depth} scores for each pixel: regions, by {decoding.head}"


def _vector(bare: Bare) -> Guess | None:
    """Scores of classes are not below 0 and of length 1 both."""
    values = bare.outputs[0]
    if values.size != max(values.shape) or values.size < 2 or not values.min() < 0:
        return None
    if abs(float(np.linalg.norm(values.astype(np.float64))) - 1) > 0.001:
        return None
    said = f"{values.size} numbers, a vector of length 1: it is given as it is"
    return "embed", Decoding(head="unit-vector"), said


def _fitting(bare: Bare, spec: TensorSpec) -> Grid | None:
    try:
        return grid_of(spec, bare.eats, "a map")
    except Refused:
        return None


def _unit(bare: Bare, place: int) -> Literal["shares"] | None:
    """What boxes are in, if it is not pixels: their centres are beyond 2 then."""
    spec = bare.engine.gives[place]
    values = bare.outputs[place][0]
    once = {cells(bare.eats, each) for each in STRIDES}
    values = values.T if spec.shape[2] in once else values
    return "shares" if float(np.quantile(values[:, :2], 0.99)) <= 2 else None
