"""Head "ssd": TFLite_Detection_PostProcess, whose op has decoded and suppressed already.

Four outputs: boxes (1, n, 4) as top, left, bottom, right in shares of the input, classes (1, n),
scores (1, n), count (1).
"""

from __future__ import annotations

from math import isfinite

import numpy as np

from models.manifest import Manifest
from runtime.engines import TensorSpec
from runtime.tasks import Box, Decode, Found, Tensor, View
from runtime.tasks.boxes import box_of
from runtime.tasks.scores import check_size
from wire.troubles import Refused

MOST_CLASSES = 1_000_000  # a class number beyond that is garbage


def make_head(manifest: Manifest, gives: tuple[TensorSpec, ...], labels: tuple[str, ...]) -> Decode:
    """Raises Refused if the outputs do not fit."""
    corners_of, classes_of, scores_of, count_of = _order(gives)
    width, height = manifest.input.width, manifest.input.height
    least, most_boxes = manifest.decoding.min_score, manifest.decoding.max_boxes
    most = gives[scores_of].shape[-1]

    def decode(outputs: tuple[Tensor, ...], view: View) -> Found:
        for spec, output in zip(gives, outputs, strict=True):
            check_size(spec, output)
        told = float(outputs[count_of].flat[0])
        n = int(min(told, most)) if told >= 1 else 0  # NaN too is none
        found: list[Box] = []
        # A handful of boxes: plain numbers are quicker than arrays (280 -> 90 us for 10).
        for score, kind, (top, left, bottom, right) in zip(
            outputs[scores_of][0, :n].tolist(),
            outputs[classes_of][0, :n].tolist(),
            outputs[corners_of][0, :n].tolist(),
            strict=True,
        ):
            if score >= least and isfinite(score) and 0 <= kind < MOST_CLASSES:
                corners = (left * width, top * height, right * width, bottom * height)
                found += box_of(int(kind), labels, score, corners, view)
        found.sort(key=lambda box: -box.score)
        return tuple(found[:most_boxes])

    return decode


def _order(gives: tuple[TensorSpec, ...]) -> tuple[int, int, int, int]:
    """Which output is which: exporters order them as boxes, classes, scores, count, or as
    scores, boxes, count, classes (TF 2); shapes tell the two apart."""
    if len(gives) != 4:
        raise Refused(f"the ssd head needs 4 outputs, this model has {len(gives)}")
    shapes = [spec.shape for spec in gives]
    order = (1, 3, 0, 2) if len(shapes[1]) == 3 else (0, 1, 2, 3)
    boxes, classes, scores, count = (shapes[place] for place in order)
    n = scores[-1] if scores else 0
    if (boxes, classes, scores, int(np.prod(count))) != ((1, n, 4), (1, n), (1, n), 1) or n == 0:
        raise Refused(
            "the ssd head needs boxes (1, n, 4), classes (1, n), scores (1, n) and count (1,); "
            f"this model gives {', '.join(map(str, shapes))}"
        )
    for spec in gives:
        if spec.scale is not None:
            raise Refused(f"the ssd head needs float outputs: {spec.name!r} is quantised")
    return order
