"""The shapes of a golden answer as SVG paths: masks in run lengths, keypoints with their bones.

What comes out holds numbers and SVG's own letters alone, whatever the file says.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from msgspec import Struct

LARGEST_SIDE = 1024
MOST_RUNS = 3000  # of a mask that is shown: each is a small rectangle of the path
MOST_POINTS = 200
VISIBLE = 0.3  # points of a lower score lie anywhere: see runtime/differing.py


class Mask(Struct, frozen=True):
    """As runtime.tasks has it: rows and columns, and COCO's uncompressed run lengths."""

    size: tuple[int, int]
    counts: tuple[int, ...]


class Point(Struct, frozen=True):
    """A keypoint, in pixels of the picture."""

    x: float
    y: float
    score: float


def mask_path(mask: Mask, x: float, y: float, width: float, height: float) -> str | None:
    """The cells that belong, over the box of those pixels; None if they cannot be shown."""
    rows, columns = mask.size
    if not (1 <= rows <= LARGEST_SIDE and 1 <= columns <= LARGEST_SIDE):
        return None
    if len(mask.counts) > MOST_RUNS or min(mask.counts, default=0) < 0:
        return None
    if sum(mask.counts) != rows * columns or not all(map(isfinite, (x, y, width, height))):
        return None
    wide, high = width / columns, height / rows
    parts = []
    at = 0
    for place, count in enumerate(mask.counts):
        end = at + count
        while place % 2 and at < end:  # from column to column
            column, row = divmod(at, rows)
            length = min(end - at, rows - row)
            left, top = x + column * wide, y + row * high
            parts.append(f"M{left:.1f} {top:.1f}h{wide:.1f}v{length * high:.1f}h{-wide:.1f}z")
            at += length
        at = end
    return "".join(parts)


def pose_path(points: Sequence[Point], skeleton: Sequence[tuple[int, int]]) -> str | None:
    """Lines between points that are joined, and a dot at each, of those that can be seen."""
    if len(points) > MOST_POINTS or len(skeleton) > MOST_POINTS:
        return None
    seen = [
        (each.x, each.y)
        if each.score >= VISIBLE and isfinite(each.x) and isfinite(each.y)
        else None
        for each in points
    ]
    parts = [f"M{x:.1f} {y:.1f}h0" for x, y in filter(None, seen)]
    for one, other in skeleton:
        if 0 <= one < len(seen) and 0 <= other < len(seen):
            start, end = seen[one], seen[other]
            if start is not None and end is not None:
                parts.append(f"M{start[0]:.1f} {start[1]:.1f}L{end[0]:.1f} {end[1]:.1f}")
    return "".join(parts) or None
