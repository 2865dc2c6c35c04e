"""Which head a bare detector has: from the shapes of its outputs, and from what one run gives.

Where shapes leave a choice, the line that is said names what else it could be.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from models.detection import anchor_count
from models.manifest import Anchors, Decoding, Input
from runtime.engines import Engine, TensorSpec
from runtime.tasks.detect_ssd_raw import order_of
from runtime.tasks.detect_yolo import AHEAD, STRIDES, cells, grid_of
from runtime.tasks.scores import dequantise

Values = npt.NDArray[np.float32]
Guess = tuple[Decoding, str]

MIN_SCORE = 0.4
MOST_END_TO_END = 1000  # rows: a model that has suppressed already gives few
LIKELY = 0.7  # correlation of decoded centres with their cells; of grid values it is near 0
COCO = 80  # classes: what most published detectors tell apart
SSD_MOBILENET = Anchors(strides=(16, 32, 64, 128, 256, 512))  # TensorFlow's, as it is trained


@dataclass(frozen=True)
class Bare:
    """A detector without a manifest. labels: how many lie beside it or in it, 0: there are none."""

    engine: Engine
    eats: Input
    labels: int
    is_tflite: bool

    @cached_property
    def outputs(self) -> list[Values]:
        """Real values of the outputs, of one run on whatever lies in the input."""
        pairs = zip(self.engine.gives, self.engine.run(), strict=True)
        return [_real(spec, stored) for spec, stored in pairs]


def guess_boxes(bare: Bare) -> Guess | None:
    """A head that fits the outputs, and a line that says why; None if none does."""
    gives = bare.engine.gives
    shapes = [each.shape for each in gives]
    if any(len(each) != 3 or each[0] != 1 or 0 in each for each in shapes):
        return None
    if any(each.scale is None and not each.dtype.startswith("float") for each in gives):
        return None  # stored values of an unknown meaning
    if len(shapes) == 2 and shapes[0][1] == shapes[1][1] and 4 in (shapes[0][2], shapes[1][2]):
        return _two(bare)
    if len(shapes) != 1 or min(shapes[0][1:]) < 5:
        return None
    return _one(bare, shapes[0][1], shapes[0][2])


def _one(bare: Bare, first: int, second: int) -> Guess | None:
    once = {cells(bare.eats, each) for each in STRIDES}
    thrice = {3 * each for each in once}
    if (first in thrice and second > 5) or (second in thrice and first > 5):
        return _said(bare, "yolov5", (first, second), first in thrice)
    if second in once:
        return _said(bare, "yolov8", (first, second), False)
    if first in once:
        return _rows(bare, first, second)
    if second == 6 and first <= MOST_END_TO_END:
        return _end_to_end(bare, first)
    for head in ("yolov8", "yolov5"):
        width = AHEAD[head] + bare.labels
        if bare.labels and (first == width) != (second == width):
            return _said(bare, head, (first, second), second == width)
    return None


def _said(bare: Bare, head: str, sides: tuple[int, int], in_rows: bool, other: str = "") -> Guess:
    values = bare.outputs[0][0]
    values = values if in_rows else values.T
    unit = "shares" if _top(values[:, :2]) <= 2 else "pixels"
    width = sides[1] if in_rows else sides[0]
    what = f"one output {(1, *sides)}: head {head}, boxes in {unit}, {width - AHEAD[head]} classes"
    return _decoding(head, boxes=None if unit == "pixels" else unit), what + other


def _rows(bare: Bare, n: int, width: int) -> Guess:
    """(1, cells, width): YOLOX; YOLOv6 or a decoded YOLOX, both as YOLOv5; or YOLOv8 turned."""
    known = bare.labels or COCO
    if width > AHEAD["yolox"] and not _decoded(bare, n):
        what = f"one output {(1, n, width)}: head yolox, grid values, {width - 5} classes"
        return _decoding("yolox"), what
    if width == AHEAD["yolov5"] + known:
        return _said(bare, "yolov5", (n, width), True)
    unsure = f", or yolov5 with {width - 5}: a manifest can say that" if width > 5 else ""
    return _said(bare, "yolov8", (n, width), True, "" if width == 4 + known else unsure)


def _decoded(bare: Bare, n: int) -> bool:
    """Whether the first value of a row grows with the place of its cell from left to right."""
    values = bare.outputs[0][0]
    corners, steps = grid_of(bare.eats, n)
    places, centres = ((corners + 0.5) * steps)[:, 0], values[:, 0]
    if places.std() == 0 or centres.std() == 0:
        return False
    return float(np.corrcoef(places, centres)[0, 1]) > LIKELY


def _end_to_end(bare: Bare, n: int) -> Guess:
    top = _top(bare.outputs[0][0][:, :4])
    unit = "pixels" if top > 2 or (top == 0 and not bare.is_tflite) else "shares"
    what = f"one output (1, {n}, 6): head yolov10 (end to end), boxes in {unit}"
    return _decoding("yolov10", boxes=None if unit == "pixels" else unit), what


def _two(bare: Bare) -> Guess | None:
    """Boxes and scores: corners, or offsets whose anchors are TensorFlow's usual ones."""
    boxes, scores = (bare.outputs[place][0] for place in order_of(bare.engine.gives))
    width = scores.shape[1]
    sums_to_one = width > 1 and np.allclose(scores.sum(axis=1), 1, atol=0.02)
    spare = width == bare.labels + 1 if bare.labels else sums_to_one or width == 91
    activation = "none" if scores.min() >= 0 and scores.max() <= 1.01 else "sigmoid"
    background = "first" if spare and width > 1 else "none"
    counted = width - (background == "first")
    said = f"two outputs: head ssd-raw, {counted} classes" + (
        ", the first is background" if background == "first" else ""
    )
    ordered = (boxes[:, 2] >= boxes[:, 0]).all() and (boxes[:, 3] >= boxes[:, 1]).all()
    if activation == "none" and ordered and _top(boxes) > 0:
        unit = "shares" if _top(boxes) <= 4 else "pixels"
        made = _decoding("ssd-raw", boxes=unit, background=background)
        return made, f"{said}; boxes are corners in {unit}"
    if anchor_count(SSD_MOBILENET, bare.eats) != len(boxes):
        return None
    made = _decoding("ssd-raw", activation=activation, background=background, anchors=SSD_MOBILENET)
    return made, f"{said}; assumed: the usual anchors of SSD MobileNet, activation {activation}"


def unknown_form(shapes: list[tuple[int, ...]]) -> str:
    """What outputs are that no head was guessed for."""
    ranks = [len(each) for each in shapes]
    if ranks == [3, 3] and shapes[0][1] == shapes[1][1] and 4 in (shapes[0][2], shapes[1][2]):
        return "boxes and scores of a raw SSD, whose anchors only a manifest can name"
    return "outputs of no known form"


def _decoding(head: str, **said: Any) -> Decoding:
    given = {name: value for name, value in said.items() if value is not None}
    return msgspec.convert(
        {"head": head, "min_score": MIN_SCORE, **msgspec.to_builtins(given)}, Decoding
    )


def _real(spec: TensorSpec, stored: Any) -> Values:
    values = np.empty(stored.shape, np.float32)
    dequantise(spec, stored, values)
    np.nan_to_num(values, copy=False, posinf=0, neginf=0)
    return values


def _top(values: Values) -> float:
    """The largest, where a few outliers do not count."""
    return float(np.quantile(values, 0.99))
