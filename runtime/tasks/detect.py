"""Detect: boxes in source pixels, from SSD's post-process op or from an FCOS head.

SSD: TFLite_Detection_PostProcess, four outputs: boxes (1, n, 4) as top, left, bottom, right in
shares of the input, classes (1, n), scores (1, n), count (1). NMS was done by the op.
FCOS (Tian et al. 2019, arXiv:1904.01355), one level: scores (1, rows, columns, classes) as
probabilities, boxes (1, rows, columns, 4) as left, top, right, bottom distances from the middle of
the grid cell, in cells.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.manifest import Decoding, Manifest
from runtime.engines import TensorSpec
from runtime.tasks import Box, Decode, Found, Tensor, View
from runtime.tasks.overlap import suppress
from runtime.tasks.scores import dequantise, label_of
from wire.troubles import Refused

Floats = npt.NDArray[np.float32]


def make_decode(
    manifest: Manifest, gives: tuple[TensorSpec, ...], labels: tuple[str, ...]
) -> Decode:
    """The decoder that the manifest's head names. Raises Refused if the outputs do not fit it."""
    if manifest.decoding.head == "ssd":
        return _ssd(manifest, gives, labels)
    return _fcos(manifest, gives, labels)


def _ssd(manifest: Manifest, gives: tuple[TensorSpec, ...], labels: tuple[str, ...]) -> Decode:
    if len(gives) != 4:
        raise Refused(f"the ssd head needs 4 outputs, this model has {len(gives)}")
    corners_of, classes_of, scores_of, count_of = _ssd_order(gives)
    width, height = manifest.input.width, manifest.input.height
    decoding = manifest.decoding

    def decode(outputs: tuple[Tensor, ...], view: View) -> Found:
        count = min(int(outputs[count_of].reshape(-1)[0]), decoding.max_boxes)
        scores = outputs[scores_of].reshape(-1)[:count]
        kept = np.flatnonzero(scores >= decoding.min_score)
        if kept.size == 0:
            return ()
        top, left, bottom, right = outputs[corners_of].reshape(-1, 4)[kept].T
        corners = np.stack((left * width, top * height, right * width, bottom * height), axis=1)
        classes = outputs[classes_of].reshape(-1)[kept].astype(np.int64)
        return _boxes(corners, classes, scores[kept], view, labels)

    return decode


def _ssd_order(gives: tuple[TensorSpec, ...]) -> tuple[int, int, int, int]:
    """Which output is which: exporters order them as boxes, classes, scores, count, or as
    scores, boxes, count, classes (TF 2); shapes tell the two apart."""
    ranks = [len(spec.shape) for spec in gives]
    if ranks[0] == 3:
        return 0, 1, 2, 3
    if ranks[1] == 3:
        return 1, 3, 0, 2
    raise Refused("the ssd head needs an output of boxes, shape (1, n, 4)")


def _fcos(manifest: Manifest, gives: tuple[TensorSpec, ...], labels: tuple[str, ...]) -> Decode:
    scores_of, edges_of = _fcos_order(gives)
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
        dequantise(gives[scores_of], outputs[scores_of].reshape(scores.shape), scores)
        places, kinds = np.nonzero(scores >= max(decoding.min_score, 1e-6))
        if places.size == 0:
            return ()
        dequantise(gives[edges_of], outputs[edges_of].reshape(edges.shape), edges)
        corners = (np.tile(middles[places], 2) + outward * edges[places]) * cell
        return _best(corners, kinds, scores[places, kinds], decoding, view, labels)

    return decode


def _fcos_order(gives: tuple[TensorSpec, ...]) -> tuple[int, int]:
    if len(gives) != 2 or any(len(spec.shape) != 4 for spec in gives):
        raise Refused("the fcos head needs 2 outputs of rank 4: scores and boxes")
    if gives[0].shape[:3] != gives[1].shape[:3]:
        raise Refused(f"the fcos outputs differ in grid: {gives[0].shape} and {gives[1].shape}")
    if "box" in gives[0].name.lower() and gives[0].shape[3] == 4:
        return 1, 0
    if gives[1].shape[3] == 4:
        return 0, 1
    if gives[0].shape[3] == 4:
        return 1, 0
    raise Refused("the fcos head needs boxes with 4 values per cell")


def _best(
    corners: Floats, kinds: npt.NDArray[np.int64], scores: Floats, decoding: Decoding, view: View,
    labels: tuple[str, ...],
) -> Found:  # fmt: skip
    """Class-aware non-maximum suppression, best first."""
    kept = suppress(corners, kinds, scores, decoding.max_overlap, decoding.max_boxes)
    return _boxes(corners[kept], kinds[kept], scores[kept], view, labels)


def _boxes(
    corners: Floats, kinds: npt.NDArray[np.int64], scores: Floats, view: View,
    labels: tuple[str, ...],
) -> tuple[Box, ...]:  # fmt: skip
    """Tensor pixels (left, top, right, bottom) become boxes in source pixels, cut at its edges."""
    sides = np.array([view.source_width, view.source_height] * 2)
    steps = np.array([view.step_x, view.step_y] * 2)
    start = np.array([view.x0, view.y0] * 2)
    edges = np.clip(start + corners * steps, 0, sides)
    return tuple(
        Box(kind, label_of(labels, kind), score, left, top, right - left, bottom - top)
        for kind, score, (left, top, right, bottom) in zip(
            kinds.tolist(), scores.tolist(), edges.tolist(), strict=True
        )
    )
