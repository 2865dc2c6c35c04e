"""How much boxes overlap, and which of them to keep."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
CANDIDATES = 1000  # only so many of the best are compared with each other
FAR = 1e6  # pixels: beyond it OpenCV would no longer tell boxes of two classes apart


def suppress(
    corners: Array, kinds: Array, scores: Array, max_overlap: float, max_boxes: int
) -> Array:
    """Indexes of the boxes to keep, best first: greedy non-maximum suppression within each class.

    corners: (n, 4) left, top, right, bottom, finite. kinds: (n,) class numbers. scores: (n,).
    A box goes when its intersection over union with a better one of its class is over max_overlap.
    """
    sides = np.clip(corners, -FAR, FAR).astype(np.float64)
    sides -= sides.min(initial=0)  # OpenCV sets classes apart by the largest coordinate, from 0 on
    rectangles = [(left, top, right - left, low - top) for left, top, right, low in sides.tolist()]
    kept = cv2.dnn.NMSBoxesBatched(
        rectangles, scores.tolist(), kinds.tolist(), 0.0, max_overlap, 1.0, CANDIDATES
    )
    return np.asarray(kept, np.int64).reshape(-1)[:max_boxes]


def overlaps(one: Array, many: Array) -> Array:
    """Intersection over union of one box (4,) with many (n, 4), as (n,) between 0 and 1."""
    low = np.maximum(one[:2], many[:, :2])
    high = np.minimum(one[2:], many[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    areas = np.prod(np.maximum(many[:, 2:] - many[:, :2], 0), axis=1)
    union = areas + np.prod(np.maximum(one[2:] - one[:2], 0)) - shared
    share: Array = np.divide(shared, union, out=np.zeros(shared.shape), where=union > 0)
    return share
