"""Points, polygons and lines in one plane, y downwards, all in one unit."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

Point = tuple[float, float]


@dataclass(frozen=True)
class Polygon:
    """Corners in order; its sides do not cross. Points on its left and upper sides are inside."""

    corners: tuple[Point, ...]
    sides: tuple[tuple[float, float, float, float], ...]  # x, y of both ends
    box: tuple[float, float, float, float]  # left, top, right, bottom

    def holds(self, point: Point) -> bool:
        """Whether a point is inside: a ray to its left meets an odd number of sides."""
        x, y = point
        left, top, right, bottom = self.box
        if not (left <= x <= right and top <= y <= bottom):
            return False
        inside = False
        for x1, y1, x2, y2 in self.sides:
            if (y1 <= y) != (y2 <= y) and x1 + (y - y1) / (y2 - y1) * (x2 - x1) <= x:
                inside = not inside
        return inside

    def distance(self, point: Point) -> float:
        """From its nearest side."""
        return min(_from_side(point, side) for side in self.sides)


def polygon(corners: tuple[Point, ...]) -> Polygon:
    """Of at least three corners."""
    sides = tuple((*a, *b) for a, b in zip(corners, (*corners[1:], corners[0]), strict=True))
    across, down = [x for x, _ in corners], [y for _, y in corners]
    return Polygon(corners, sides, (min(across), min(down), max(across), max(down)))


def _from_side(point: Point, side: tuple[float, float, float, float]) -> float:
    x1, y1, x2, y2 = side
    dx, dy = x2 - x1, y2 - y1
    along = ((point[0] - x1) * dx + (point[1] - y1) * dy) / (dx * dx + dy * dy)
    along = min(1.0, max(0.0, along))
    return hypot(point[0] - x1 - along * dx, point[1] - y1 - along * dy)


@dataclass(frozen=True)
class Segment:
    """A line from `a` to `b`, which are not the same."""

    a: Point
    b: Point

    def beyond(self, point: Point) -> float:
        """How far a point is to the right of who looks from a to b; below 0: to the left."""
        dx, dy = self.b[0] - self.a[0], self.b[1] - self.a[1]
        return (dx * (point[1] - self.a[1]) - dy * (point[0] - self.a[0])) / hypot(dx, dy)

    def passed(self, before: Point, after: Point) -> int:
        """1 if the straight way between two points goes over it from left to right, -1 from right
        to left, else 0. What is on the line is at its right; of its ends, a belongs to it."""
        was, now = self.beyond(before), self.beyond(after)
        if (was >= 0) == (now >= 0):
            return 0
        share = was / (was - now)
        x = before[0] + share * (after[0] - before[0])
        y = before[1] + share * (after[1] - before[1])
        dx, dy = self.b[0] - self.a[0], self.b[1] - self.a[1]
        along = (x - self.a[0]) * dx + (y - self.a[1]) * dy
        if not 0 <= along < dx * dx + dy * dy:
            return 0
        return 1 if now >= 0 else -1
