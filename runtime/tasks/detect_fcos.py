"""Head "fcos": one level of FCOS (Tian et al. 2019, arXiv:1904.01355).

Scores (1, rows, columns, classes) as probabilities, boxes (1, rows, columns, 4) as left, top,
right, bottom distances from the middle of the grid cell, in cells. Each class that is good enough
is a candidate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.manifest import Manifest
from runtime.engines import TensorSpec
from runtime.tasks import Decode, Found, Tensor, View
from runtime.tasks.boxes import best_boxes
from runtime.tasks.candidates import LEAST, strongest
from runtime.tasks.scores import check_size, dequantise
from wire.troubles import Refused


def make_head(manifest: Manifest, gives: tuple[TensorSpec, ...], labels: tuple[str, ...]) -> Decode:
    """Raises Refused if the outputs do not fit."""
    scores_of, edges_of = _order(gives)
    _, rows, columns, classes = gives[scores_of].shape
    scores = np.empty((rows * columns, classes), np.float32)
    edges = np.empty((rows * columns, 4), np.float32)
    cell = np.array([manifest.input.width / columns, manifest.input.height / rows] * 2, np.float32)
    middles = np.stack(
        (np.arange(rows * columns) % columns + 0.5, np.arange(rows * columns) // columns + 0.5),
        axis=1,
    ).astype(np.float32)
    outward = np.array([-1, -1, 1, 1], np.float32)
    decoding = manifest.decoding

    def decode(outputs: tuple[Tensor, ...], view: View) -> Found:
        for place in (scores_of, edges_of):
            check_size(gives[place], outputs[place])
        with np.errstate(all="ignore"):
            dequantise(gives[scores_of], outputs[scores_of].reshape(scores.shape), scores)
            places, kinds = np.nonzero(scores >= max(decoding.min_score, LEAST))
            if places.size == 0:
                return ()
            dequantise(gives[edges_of], outputs[edges_of].reshape(edges.shape), edges)
            most = strongest(scores[places, kinds])
            places, kinds = places[most], kinds[most]
            corners = (np.tile(middles[places], 2) + outward * edges[places]) * cell
            return best_boxes(corners, kinds, scores[places, kinds], decoding, view, labels)

    return decode


def class_count(gives: Sequence[TensorSpec]) -> int:
    """How many classes an FCOS head tells apart. Raises Refused if the outputs do not fit it."""
    return gives[_order(gives)[0]].shape[3]


def _order(gives: Sequence[TensorSpec]) -> tuple[int, int]:
    if len(gives) != 2 or any(len(spec.shape) != 4 for spec in gives):
        raise Refused("the fcos head needs 2 outputs of rank 4: scores and boxes")
    if gives[0].shape[:3] != gives[1].shape[:3]:
        raise Refused(f"the fcos outputs differ in grid: {gives[0].shape} and {gives[1].shape}")
    if gives[0].shape[0] != 1 or 0 in gives[0].shape:
        raise Refused(f"the fcos head needs outputs (1, rows, columns, n), not {gives[0].shape}")
    if "box" in gives[0].name.lower() and gives[0].shape[3] == 4:
        return 1, 0
    if gives[1].shape[3] == 4:
        return 0, 1
    if gives[0].shape[3] == 4:
        return 1, 0
    raise Refused("the fcos head needs boxes with 4 values per cell")
