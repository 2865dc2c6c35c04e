"""Head "yolov10": end to end, as YOLOv10 and YOLO26 are exported: the model suppressed already.

One output (1, n, 6): left, top, right, bottom in pixels of the input (or shares of it), score,
class. Source: Wang et al. 2024 (arXiv:2405.14458) and its export.
"""

from __future__ import annotations

import numpy as np

from models.detection import boxes_of
from models.manifest import Manifest
from runtime.engines import TensorSpec
from runtime.tasks import Decode, Found, Tensor, View
from runtime.tasks.boxes import are_boxes, found_at
from runtime.tasks.candidates import LEAST, least_stored, real
from runtime.tasks.scores import check_size
from wire.troubles import Refused

SCORE, KIND = 4, 5
MOST_CLASSES = 1_000_000  # a class number beyond that is garbage


def make_head(manifest: Manifest, gives: tuple[TensorSpec, ...], labels: tuple[str, ...]) -> Decode:
    """Raises Refused if the outputs do not fit."""
    shapes = [each.shape for each in gives]
    if len(shapes) != 1 or len(shapes[0]) != 3 or shapes[0][0] != 1 or shapes[0][2] != 6:
        raise Refused(
            "the yolov10 head needs one output (1, n, 6): left, top, right, bottom, score, class; "
            f"this model gives {', '.join(map(str, shapes))}"
        )
    (spec,) = gives
    if spec.dtype == "bool":
        raise Refused(f"the yolov10 head needs numbers: {spec.name!r} is bool")
    decoding, eats = manifest.decoding, manifest.input
    unit = (eats.width, eats.height) if boxes_of(decoding) == "shares" else (1, 1)
    scale = np.array(unit * 2, np.float32)
    least = least_stored(spec, max(decoding.min_score, LEAST))

    def decode(outputs: tuple[Tensor, ...], view: View) -> Found:
        check_size(spec, outputs[0])
        stored = outputs[0][0]
        with np.errstate(all="ignore"):
            values = real(spec, stored[stored[:, SCORE] >= least])
            corners, scores, kinds = values[:, :4] * scale, values[:, SCORE], values[:, KIND]
            good = are_boxes(corners, scores) & (kinds > -0.5) & (kinds < MOST_CLASSES)
            places = np.flatnonzero(good)
            best = places[np.argsort(-scores[places], kind="stable")[: decoding.max_boxes]]
            whole = np.rint(np.where(good, kinds, 0)).astype(np.int64)
        return found_at(best, corners, whole, scores, view, labels)

    return decode
