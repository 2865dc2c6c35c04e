"""Detect: boxes in source pixels, from SSD's post-process op or from an FCOS head.

SSD: TFLite_Detection_PostProcess, four outputs: boxes (1, n, 4) as top, left, bottom, right in
shares of the input, classes (1, n), scores (1, n), count (1). NMS was done by the op.
FCOS (Tian et al. 2019, arXiv:1904.01355), one level: scores (1, rows, columns, classes) as
probabilities, boxes (1, rows, columns, 4) as left, top, right, bottom distances from the middle of
the grid cell, in cells.
What is no box is not found: a coordinate or score is NaN or infinite, right is not right of left,
nothing of it lies in the frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import numpy as np
import numpy.typing as npt

from models.manifest import Decoding, Manifest
from runtime.engines import TensorSpec
from runtime.tasks import Box, Decode, Found, Tensor, View
from runtime.tasks.overlap import suppress
from runtime.tasks.scores import check_size, dequantise, label_of
from wire.troubles import Refused

Floats = npt.NDArray[np.float32]
MOST_CLASSES = 1_000_000  # a class number beyond that is garbage


def make_decode(
    manifest: Manifest, gives: tuple[TensorSpec, ...], labels: tuple[str, ...]
) -> Decode:
    """The decoder that the manifest's head names. Raises Refused if the outputs do not fit it."""
    if manifest.decoding.head == "ssd":
        return _ssd(manifest, gives, labels)
    return _fcos(manifest, gives, labels)


def _ssd(manifest: Manifest, gives: tuple[TensorSpec, ...], labels: tuple[str, ...]) -> Decode:
    corners_of, classes_of, scores_of, count_of = _ssd_order(gives)
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


def _ssd_order(gives: tuple[TensorSpec, ...]) -> tuple[int, int, int, int]:
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
        for place in (scores_of, edges_of):
            check_size(gives[place], outputs[place])
        with np.errstate(all="ignore"):
            dequantise(gives[scores_of], outputs[scores_of].reshape(scores.shape), scores)
            places, kinds = np.nonzero(scores >= max(decoding.min_score, 1e-6))
            if places.size == 0:
                return ()
            dequantise(gives[edges_of], outputs[edges_of].reshape(edges.shape), edges)
            corners = (np.tile(middles[places], 2) + outward * edges[places]) * cell
            return _best(corners, kinds, scores[places, kinds], decoding, view, labels)

    return decode


def class_count(gives: Sequence[TensorSpec]) -> int:
    """How many classes an FCOS head tells apart. Raises Refused if the outputs do not fit it."""
    return gives[_fcos_order(gives)[0]].shape[3]


def _fcos_order(gives: Sequence[TensorSpec]) -> tuple[int, int]:
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


def _best(
    corners: Floats, kinds: npt.NDArray[np.int64], scores: Floats, decoding: Decoding, view: View,
    labels: tuple[str, ...],
) -> Found:  # fmt: skip
    """Class-aware non-maximum suppression, best first."""
    real = _are_boxes(corners, scores)
    if not real.all():
        corners, kinds, scores = corners[real], kinds[real], scores[real]
    kept = suppress(corners, kinds, scores, decoding.max_overlap, decoding.max_boxes)
    return tuple(
        box
        for kind, score, edges in zip(
            kinds[kept].tolist(), scores[kept].tolist(), corners[kept].tolist(), strict=True
        )
        for box in box_of(kind, labels, score, edges, view)
    )


def _are_boxes(corners: Floats, scores: Floats) -> npt.NDArray[np.bool_]:
    """Which rows (left, top, right, bottom) with which scores can be boxes at all."""
    wide, tall = corners[:, 2] > corners[:, 0], corners[:, 3] > corners[:, 1]
    real: npt.NDArray[np.bool_] = (
        np.isfinite(corners).all(axis=1) & np.isfinite(scores) & wide & tall
    )
    return real


def box_of(
    kind: int, labels: tuple[str, ...], score: float, corners: Sequence[float], view: View
) -> tuple[Box, ...]:
    """The box of (left, top, right, bottom) in tensor pixels, in source pixels and cut at the edges
    of the frame; none if nothing of it lies there, or if it is no box."""
    left = min(max(view.x0 + corners[0] * view.step_x, 0.0), view.source_width)
    top = min(max(view.y0 + corners[1] * view.step_y, 0.0), view.source_height)
    right = min(max(view.x0 + corners[2] * view.step_x, 0.0), view.source_width)
    bottom = min(max(view.y0 + corners[3] * view.step_y, 0.0), view.source_height)
    if not (right > left and bottom > top and isfinite(sum(corners))):
        return ()
    label = label_of(labels, kind)
    return (Box(kind, label, score, left, top, right - left, bottom - top),)
