"""Zones and lines: who is inside for how long, who came, who left, who crossed in which direction.

All in heights of the picture, so that a distance is the same across and down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from runtime.tracking.plane import Point, Polygon, Segment, polygon
from wire.happenings import ZoneSums
from wire.observation import Anchor, Line, Zone

# A box that is cut at the lower edge of the picture stands on it, and is in a zone that ends there.
INWARD = 1e-6
ABOVE_FOOT: dict[Anchor, float] = {"bottom": 0.0, "middle": 0.5, "top": 1.0}


class Stand(NamedTuple):  # as Sighting, often made
    """A tracked box of one moment: middle x, bottom y, width, height, in heights of the picture."""

    track: int
    label: str
    box: tuple[float, float, float, float]
    now_s: float


@dataclass(frozen=True)
class Moved:
    """Something that a track did at `now_s`, monotonic."""

    kind: Literal["enter", "leave", "cross"]
    where: str
    track: int
    label: str
    now_s: float
    direction: str | None = None
    seconds: float | None = None


def anchored(box: tuple[float, float, float, float], anchor: Anchor, aspect: float) -> Point:
    """The point of a box that counts, inside the picture. aspect: its width in heights."""
    x, y = box[0], box[1] - ABOVE_FOOT[anchor] * box[3]
    return min(max(x, 0.0), aspect - INWARD), min(max(y, 0.0), 1.0 - INWARD)


def reach(box: tuple[float, float, float, float], margin: float) -> float:
    """So many sizes of a box; its size is the side of the square of its area."""
    return margin * float((box[2] * box[3]) ** 0.5)


@dataclass
class Inside:
    """A track in a zone. since_s, seen_s: monotonic."""

    label: str
    since_s: float
    seen_s: float


class ZoneWatch:
    """One zone. A track comes in when its point is inside, and has left when that is as far outside
    as the margin, or when the track ends."""

    def __init__(self, name: str, zone: Zone, aspect: float) -> None:
        self.name = name
        self.zone = zone
        self.entered = self.left = 0
        self._labels = frozenset(zone.labels)
        self._inside: dict[int, Inside] = {}
        self.scale(aspect)

    def scale(self, aspect: float) -> None:
        """The picture has another shape now."""
        self._aspect = aspect
        self._polygon: Polygon = polygon(tuple((x * aspect, y) for x, y in self.zone.points))

    def concerns(self, label: str) -> bool:
        return not self._labels or label in self._labels

    def covers(self, label: str, box: tuple[float, float, float, float]) -> bool:
        """Whether a box counts here, tracked or not."""
        return self.concerns(label) and self._polygon.holds(
            anchored(box, self.zone.anchor, self._aspect)
        )

    def see(self, stand: Stand) -> Moved | None:
        """A track was seen."""
        inside = self._inside.get(stand.track)
        if self.covers(stand.label, stand.box):
            if inside is not None:
                inside.seen_s = stand.now_s
                return None
            self._inside[stand.track] = Inside(stand.label, stand.now_s, stand.now_s)
            self.entered += 1
            return Moved("enter", self.name, stand.track, stand.label, stand.now_s)
        if inside is None:
            return None
        point = anchored(stand.box, self.zone.anchor, self._aspect)
        if self.concerns(stand.label) and self._polygon.distance(point) < reach(
            stand.box, self.zone.margin
        ):
            inside.seen_s = stand.now_s
            return None
        return self.end(stand.track, stand.now_s)

    def end(self, track: int, now_s: float) -> Moved | None:
        """A track left or is no more. Its time inside ends when it was seen there last."""
        inside = self._inside.pop(track, None)
        if inside is None:
            return None
        self.left += 1
        seconds = inside.seen_s - inside.since_s
        return Moved("leave", self.name, track, inside.label, now_s, seconds=seconds)

    def has(self, track: int) -> bool:
        return track in self._inside

    def sums(self, now_s: float) -> ZoneSums:
        """With tracking: who is hidden for a moment is still inside."""
        longest = max((now_s - each.since_s for each in self._inside.values()), default=None)
        return ZoneSums(len(self._inside), self.entered, self.left, longest)


@dataclass
class Path:
    """A track beside a line. side: 1 right, -1 left, where it was beyond the margin last, or where
    it began. passed: over the line since then, left to right counts 1, right to left -1."""

    side: int
    point: Point
    label: str
    passed: int = 0


class LineWatch:
    """One line. A track has crossed it when its way went over it and it is beyond the margin on the
    other side, or ended there. Who trembles on the line, or goes around its end, has not."""

    def __init__(self, name: str, line: Line, aspect: float) -> None:
        self.name = name
        self.line = line
        self.crossed = dict.fromkeys(line.directions, 0)
        self._labels = frozenset(line.labels)
        self._paths: dict[int, Path] = {}
        self.scale(aspect)

    def scale(self, aspect: float) -> None:
        """The picture has another shape now."""
        self._aspect = aspect
        (ax, ay), (bx, by) = self.line.points
        self._segment = Segment((ax * aspect, ay), (bx * aspect, by))

    def see(self, stand: Stand) -> Moved | None:
        """A track was seen."""
        if self._labels and stand.label not in self._labels:
            return None
        point = anchored(stand.box, self.line.anchor, self._aspect)
        beyond = self._segment.beyond(point)
        path = self._paths.get(stand.track)
        if path is None:
            self._paths[stand.track] = Path(1 if beyond >= 0 else -1, point, stand.label)
            return None
        path.passed += self._segment.passed(path.point, point)
        path.point, path.label = point, stand.label
        if abs(beyond) < reach(stand.box, self.line.margin):
            return None
        return self._settle(path, 1 if beyond >= 0 else -1, stand.track, stand.now_s)

    def end(self, track: int, now_s: float) -> Moved | None:
        """A track is no more: where it was seen last is where it is."""
        path = self._paths.pop(track, None)
        if path is None:
            return None
        return self._settle(path, 1 if self._segment.beyond(path.point) >= 0 else -1, track, now_s)

    def _settle(self, path: Path, side: int, track: int, now_s: float) -> Moved | None:
        before, passed = path.side, path.passed
        path.side, path.passed = side, 0
        if side == before or passed * side <= 0:
            return None
        direction = self.line.directions[0 if side > 0 else 1]
        self.crossed[direction] += 1
        return Moved("cross", self.name, track, path.label, now_s, direction)
