"""What a pipeline makes of each result: the boxes that are wanted, their tracks, zones, crossings.

It stands between the loop and those who show and publish. What counts a model (telemetry, trials,
accuracy) sees the result as the model gave it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

from runtime.loop import Result
from runtime.tasks import Box
from runtime.tracking.ground import Ground
from runtime.tracking.passages import Passages
from runtime.tracking.places import Moved, Stand
from runtime.tracking.sieve import Sieve
from runtime.tracking.tracker import Sighting, Track, Tracker
from wire.happenings import Places, ZoneSums
from wire.observation import Observation

Place = tuple[float, float, float, float]
Zones = tuple[str, ...]

FAR = 10.0  # pictures; a box beyond that is none


class Mark(NamedTuple):
    """What is known of one box beside what the model said. track: None where it has no number."""

    track: int | None
    zones: tuple[str, ...]


NO_MARK = Mark(None, ())


@dataclass(frozen=True)
class Observed(Result):
    """A result with what was made of it. found: what the filter lets through.

    marks: one for each of `found`, where that is boxes. lines: crossings by direction, since the
    process began. moved: what happened at this frame. wanted: what was asked for.
    """

    marks: tuple[Mark, ...]
    zones: dict[str, ZoneSums]
    lines: dict[str, dict[str, int]]
    moved: tuple[Moved, ...]
    wanted: Observation


class Observer:
    """Observes the results of one loop, each once. On the loop's thread.

    picture: (width, height) in pixels in which boxes count, of the frame just decoded. wanted: what
    is asked for now.
    """

    def __init__(self, wanted: Observation, picture: Callable[[], tuple[int, int]]) -> None:
        self._picture = picture
        self._numbers = itertools.count(1)  # of this process: none is given twice
        self._digest = ""
        self._size = (1, 1)
        self._tracker: Tracker | None = None
        self._early: dict[Track, Stand] = {}  # where tracks without a number are
        self._ground = Ground()
        self._moved: list[Moved] = []  # not told yet
        self._passages = Passages()
        self._inside: dict[str, int] = {}  # of each zone, at the newest result
        self.wanted = Observation()
        self._sieve = Sieve(self.wanted.filter)
        self.apply(wanted)

    def apply(self, wanted: Observation) -> None:
        """Go on with this. Tracks stay; what a zone or a line has counted stays where it did not
        change. What ends by it is told with the next result."""
        if wanted == self.wanted:
            return
        self.wanted = wanted
        self._sieve = Sieve(wanted.filter)
        self._ground.apply(wanted)
        tracking = wanted.tracking
        if tracking is None:
            self._end_all()
            self._tracker = None
            return
        settings = tracking.sure_score, tracking.lost_s, tracking.labels == "any"
        if self._tracker is None:
            self._tracker = Tracker(self._numbers, *settings)
        else:
            self._tracker.configure(*settings)

    @property
    def places(self) -> Places | None:
        """What telemetry says of zones and lines. None: there are none, and were none."""
        passed = self._passages.told()
        known = self._inside  # nothing before a result, or of a model that finds no boxes
        inside = {name: known[name] for name in self.wanted.zone if name in known}
        return Places(inside, passed) if inside or passed or self.wanted.line else None

    def __call__(self, result: Result) -> Result:
        """The result as it is to be shown and published; the same where nothing is asked for."""
        found = result.found
        if self.wanted.is_nothing or (found and not isinstance(found[0], Box)):
            return result
        self._notice(result.digest)
        boxes = tuple(box for box in found if isinstance(box, Box))
        if not self._sieve.is_open:
            boxes = tuple(box for box in boxes if self._sieve.passes(box, self._size))
        places = [self._place(box) for box in boxes]
        if self._tracker is None:
            marks = tuple(Mark(None, zones) for zones in self._zones_at(boxes, places))
            zones = self._ground.zone_counts([mark.zones for mark in marks])
        else:
            marks = self._follow(self._tracker, boxes, places, result.timing.captured_ns / 1e9)
            zones = self._ground.zone_sums(self._tracker.now_s)
        moved, self._moved = tuple(self._moved), []
        self._passages.add(moved)
        self._inside = {name: sums.count for name, sums in zones.items()}
        return Observed(
            result.seq, result.digest, boxes, result.timing,
            marks, zones, self._ground.line_sums(), moved, self.wanted, of=result.of,
        )  # fmt: skip

    def _notice(self, digest: str) -> None:
        """Another model may mean other things by its labels, another shape is another view."""
        size = self._picture()
        if min(size) <= 0:
            size = (1, 1)
        aspect = size[0] / size[1]
        if digest != self._digest or aspect != self._size[0] / self._size[1]:
            self._end_all()
            self._ground.scale(aspect)
        self._digest, self._size = digest, size

    def _end_all(self) -> None:
        if self._tracker is not None:
            self._farewell(self._tracker.end_all(), self._tracker.now_s)
        self._early.clear()

    def _farewell(self, ended: list[Track], now_s: float) -> None:
        for track in ended:
            if track.number is not None:
                self._moved += self._ground.end(track.number, now_s)

    def _place(self, box: Box) -> Place | None:
        """Middle x, bottom y, width, height in heights of the picture; None for what is no box."""
        wide, tall = self._size
        sides = (box.x + box.width / 2, box.y + box.height, box.width, box.height)
        place = (sides[0] / tall, sides[1] / tall, sides[2] / tall, sides[3] / tall)
        is_box = isfinite(sum(place)) and box.width > 0 and box.height > 0
        return place if is_box and max(map(abs, place)) < FAR * max(1.0, wide / tall) else None

    def _zones_at(self, boxes: tuple[Box, ...], places: list[Place | None]) -> list[Zones]:
        return [
            () if place is None else self._ground.zones_at(box.label, place)
            for box, place in zip(boxes, places, strict=True)
        ]

    def _follow(
        self, tracker: Tracker, boxes: tuple[Box, ...], places: list[Place | None], now_s: float
    ) -> tuple[Mark, ...]:
        real = [(i, place) for i, place in enumerate(places) if place is not None]
        sightings = [
            Sighting(boxes[i].index, boxes[i].label, boxes[i].score, middle(place))
            for i, place in real
        ]
        tracks = tracker.step(sightings, now_s)
        self._farewell(tracker.ended, tracker.now_s)
        marks = [NO_MARK] * len(boxes)
        early: dict[Track, Stand] = {}
        for (i, place), track in zip(real, tracks, strict=True):
            if track is None:
                marks[i] = Mark(None, self._ground.zones_at(boxes[i].label, place))
                continue
            stand = Stand(track.number or 0, track.label, place, tracker.now_s)
            if track.number is None:
                early[track] = stand
                marks[i] = Mark(None, self._ground.zones_at(boxes[i].label, place))
                continue
            first = self._early.get(track)
            if first is not None:  # it has its number now: what it did before counts
                self._moved += self._ground.see(first._replace(track=track.number))
            self._moved += self._ground.see(stand)
            marks[i] = Mark(track.number, self._ground.zones_of(track.number))
        self._early = early
        return tuple(marks)


def middle(place: Place) -> Place:
    """Middle x, middle y, width, height of (middle x, bottom y, width, height)."""
    return place[0], place[1] - place[3] / 2, place[2], place[3]
