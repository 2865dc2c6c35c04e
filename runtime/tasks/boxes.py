"""From candidates to boxes: what is no box is left out, then what a better one covers."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import numpy as np
import numpy.typing as npt

from models.manifest import Decoding
from runtime.tasks import Box, Found, View
from runtime.tasks.overlap import suppress
from runtime.tasks.scores import label_of

Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]


def best_boxes(
    corners: Floats, kinds: Places, scores: Floats, decoding: Decoding, view: View,
    labels: tuple[str, ...],
) -> Found:  # fmt: skip
    """What is left of candidates after non-maximum suppression, in source pixels, best first.

    corners: (n, 4) left, top, right, bottom in tensor pixels; kinds, scores: (n,).
    """
    kept = survivors(corners, kinds, scores, decoding)
    return found_at(kept, corners, kinds, scores, view, labels)


def survivors(corners: Floats, kinds: Places, scores: Floats, decoding: Decoding) -> Places:
    """Indexes, best first, of candidates that are boxes and that no better one suppresses.

    At most `decoding.max_boxes`; boxes of one class suppress each other, or all (`decoding.nms`).
    """
    real = np.flatnonzero(are_boxes(corners, scores))
    groups = kinds[real] if decoding.nms == "class-aware" else np.zeros(real.size, np.int64)
    kept = suppress(corners[real], groups, scores[real], decoding.max_overlap, decoding.max_boxes)
    best: Places = real[kept]
    return best


def found_at(
    places: Places, corners: Floats, kinds: Places, scores: Floats, view: View,
    labels: tuple[str, ...],
) -> Found:  # fmt: skip
    """The boxes at these places, in their order, in source pixels."""
    return tuple(
        box
        for kind, score, edges in zip(
            kinds[places].tolist(), scores[places].tolist(), corners[places].tolist(), strict=True
        )
        for box in box_of(kind, labels, score, edges, view)
    )


def are_boxes(corners: Floats, scores: Floats) -> npt.NDArray[np.bool_]:
    """Which rows (left, top, right, bottom) with which scores can be boxes at all."""
    wide, tall = corners[:, 2] > corners[:, 0], corners[:, 3] > corners[:, 1]
    real: npt.NDArray[np.bool_] = (
        np.isfinite(corners).all(axis=1) & np.isfinite(scores) & wide & tall
    )
    return real


def around(centres: Floats) -> Floats:
    """(n, 4) of centre x, centre y, width and height as left, top, right and bottom."""
    corners = np.empty(centres.shape, np.float32)
    half = centres[:, 2:] * np.float32(0.5)
    np.subtract(centres[:, :2], half, out=corners[:, :2])
    np.add(centres[:, :2], half, out=corners[:, 2:])
    return corners


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
