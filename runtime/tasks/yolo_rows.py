"""What segmentation and pose have in common with YOLOv8's detector: rows that begin with a box.

(1, width, n), or (1, n, width) the other way round; a row is centre x, centre y, width, height, the
scores of classes, and what the task adds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.detection import boxes_of
from models.manifest import Manifest
from runtime.engines import TensorSpec
from runtime.tasks import Tensor
from runtime.tasks.boxes import around, survivors
from runtime.tasks.candidates import BestClass, Floats, Places, Rows, real
from runtime.tasks.detect_yolo import STRIDES, cells
from wire.troubles import Refused

AHEAD = 4  # values before those of the classes


@dataclass(frozen=True)
class Kept:
    """What survived, best first: (n, 4) corners in tensor pixels, (n,) classes and scores, (n, m)
    real values of what the task added to each row."""

    corners: Floats
    kinds: Places
    scores: Floats
    added: Floats


class YoloRows:
    """Finds the rows that are worth a closer look. added: how many values the task adds."""

    def __init__(self, manifest: Manifest, spec: TensorSpec, lie: Rows, added: int) -> None:
        self._spec, self._decoding = spec, manifest.decoding
        self._classes = slice(AHEAD, lie.width - added)
        decoding = manifest.decoding
        least = decoding.min_score
        self._best = BestClass(spec, lie, self._classes, least, decoding.activation)
        in_shares = boxes_of(decoding) == "shares"
        eats = manifest.input
        self.unit = np.array((eats.width, eats.height) if in_shares else (1, 1), np.float32)

    def find(self, stored: Tensor) -> Kept:
        """stored: the whole output."""
        seen = self._best.find(stored)
        corners = around(real(self._spec, seen.rows[:, :AHEAD]) * np.tile(self.unit, 2))
        kept = survivors(corners, seen.kinds, seen.scores, self._decoding)
        added = real(self._spec, seen.rows[kept, self._classes.stop :])
        return Kept(corners[kept], seen.kinds[kept], seen.scores[kept], added)


def rows_of(manifest: Manifest, spec: TensorSpec, width: int | None, most: int, what: str) -> Rows:
    """Which way an output lies: as its width says where that is known, else by the number of
    cells, else by the longer side. most: values of a row that are no score. Raises Refused.

    what: for people, what a row should be.
    """
    shape = spec.shape
    if len(shape) != 3 or shape[0] != 1 or 0 in shape or spec.dtype == "bool":
        raise Refused(f"the yolov8 head needs an output {what}, not {spec.dtype} {shape}")
    _, first, second = shape
    grids = {cells(manifest.input, each) for each in STRIDES}
    if (first == width) != (second == width):
        in_columns = first == width
    elif (first in grids) != (second in grids):
        in_columns = second in grids
    else:
        in_columns = first <= second
    rows = Rows(second, first, True) if in_columns else Rows(first, second, False)
    if rows.width <= most or (width is not None and rows.width != width):
        raise Refused(f"the yolov8 head needs an output {what}, not {shape}")
    return rows


def shapes_of(gives: Sequence[TensorSpec]) -> str:
    """For people."""
    return ", ".join(str(each.shape) for each in gives)
