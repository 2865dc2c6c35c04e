"""Draws what has a shape of its own into a picture: masks, keypoints with their skeleton."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from runtime.frames import Pixels
from runtime.lettering import Colour
from runtime.masks import Outlined, grid_of, is_sound
from runtime.tasks import Pose

BLACK: Colour = (0, 0, 0)
TINT = 0.45  # how much of the colour covers what is below it
LEAST_POINT_SCORE = 0.3  # a point of a lower score lies anywhere
FAR = 1 << 14  # OpenCV's lines are drawn in fixed point: what lies further is cut there


def tint(picture: Pixels, one: Outlined, source: tuple[int, int], colour: Colour) -> None:
    """Colour the cells of a mask, and draw a line around them. source: as `draw` takes it."""
    sides = (one.x, one.y, one.width, one.height)
    if one.mask is None or not is_sound(one.mask) or not all(map(math.isfinite, sides)):
        return
    high, wide = picture.shape[:2]
    across, down = wide / source[0], high / source[1]
    left, top = max(0, math.floor(one.x * across)), max(0, math.floor(one.y * down))
    right = min(wide, math.ceil((one.x + one.width) * across))
    bottom = min(high, math.ceil((one.y + one.height) * down))
    if left >= right or top >= bottom:
        return
    # which cell each pixel lies in, so that what is cut at the picture's edge stays in its place
    rows, columns = one.mask.size
    column = cells_at(left, right, one.x * across, one.width * across, columns)
    row = cells_at(top, bottom, one.y * down, one.height * down, rows)
    inside = grid_of(one.mask)[row][:, column]
    below = picture[top:bottom, left:right]
    mixed = cv2.addWeighted(below, 1 - TINT, np.full_like(below, colour), TINT, 0)
    np.copyto(below, mixed, where=inside[:, :, None])
    edges: Any
    edges, _ = cv2.findContours(inside.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    layer = np.ascontiguousarray(below)
    cv2.drawContours(layer, edges, -1, colour, max(1, round(math.sqrt(high * wide) / 350)))
    np.copyto(below, layer)


def cells_at(
    first: int, last: int, start: float, length: float, count: int
) -> npt.NDArray[np.intp]:
    """In which of `count` cells between start and start + length the middles of pixels lie."""
    middles = np.arange(first, last) + 0.5
    places = np.floor((middles - start) / max(length, 1e-9) * count)
    cells: npt.NDArray[np.intp] = np.clip(places, 0, count - 1).astype(np.intp)
    return cells


def draw_skeleton(picture: Pixels, pose: Pose, source: tuple[int, int], colour: Colour) -> None:
    """Lines between the points that are joined, then the points, each with a dark edge."""
    thick = max(2, round(math.sqrt(picture.shape[0] * picture.shape[1]) / 220))
    spots = [
        spot(picture, point.x, point.y, source) if point.score >= LEAST_POINT_SCORE else None
        for point in pose.points
    ]
    for one, other in pose.skeleton:
        if not (0 <= one < len(spots) and 0 <= other < len(spots)):
            continue
        start, end = spots[one], spots[other]
        if start is not None and end is not None:
            cv2.line(picture, start, end, BLACK, thick + 2, cv2.LINE_AA)
            cv2.line(picture, start, end, colour, thick, cv2.LINE_AA)
    for each in spots:
        if each is not None:
            cv2.circle(picture, each, thick + 2, BLACK, -1, cv2.LINE_AA)
            cv2.circle(picture, each, thick, colour, -1, cv2.LINE_AA)


def spot(picture: Pixels, x: float, y: float, source: tuple[int, int]) -> tuple[int, int] | None:
    """Where a point of the source lies in the picture; None if it lies nowhere."""
    high, wide = picture.shape[:2]
    place = x * wide / source[0], y * high / source[1]
    if not all(map(math.isfinite, place)):
        return None
    return round(min(max(place[0], -FAR), FAR)), round(min(max(place[1], -FAR), FAR))
