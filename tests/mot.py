"""How well tracks follow the truth: CLEAR MOT and IDF1, by plain loops, over a whole run.

Bernardin and Stiefelhagen 2008, Evaluating Multiple Object Tracking Performance: The CLEAR MOT
Metrics; Ristani et al. 2016, Performance Measures and a Data Set for Multi-Target, Multi-Camera
Tracking (arXiv:1609.01775).
"""

from __future__ import annotations

from dataclasses import dataclass, field

Xywh = tuple[float, float, float, float]  # left, top, width, height
Named = dict[int, Xywh]  # what is where, by its number
LEAST = 0.5  # overlap at which a box is on a thing


def overlap(a: Xywh, b: Xywh) -> float:
    """Intersection over union."""
    across = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    down = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if across <= 0 or down <= 0:
        return 0.0
    return across * down / (a[2] * a[3] + b[2] * b[3] - across * down)


@dataclass
class Judge:
    """Adds up frames. switches: how often a thing got another number than it had before."""

    true: int = 0
    missed: int = 0
    wrong: int = 0
    switches: int = 0
    found: int = 0
    _number_of: dict[int, int] = field(default_factory=dict)  # of each thing, last
    _together: dict[tuple[int, int], int] = field(default_factory=dict)  # frames of thing, number

    def add(self, truth: Named, tracks: Named) -> None:
        """Judge one frame."""
        self.true += len(truth)
        self.found += len(tracks)
        for thing, box in truth.items():
            for number, other in tracks.items():
                if overlap(box, other) >= LEAST:
                    pair = thing, number
                    self._together[pair] = self._together.get(pair, 0) + 1
        left = dict(tracks)
        met: dict[int, int] = {}
        for thing, box in truth.items():  # who had each other keeps each other
            number = self._number_of.get(thing, -1)
            if number in left and overlap(box, left[number]) >= LEAST:
                met[thing] = number
                del left[number]
        for thing, box in truth.items():
            if thing in met or not left:
                continue
            number = max(left, key=lambda n: overlap(box, left[n]))
            if overlap(box, left[number]) >= LEAST:
                self.switches += self._number_of.get(thing, number) != number
                met[thing] = number
                del left[number]
        self._number_of |= met
        self.missed += len(truth) - len(met)
        self.wrong += len(left)

    @property
    def mota(self) -> float:
        """1 is without a fault."""
        return 1 - (self.missed + self.wrong + self.switches) / self.true

    @property
    def idf1(self) -> float:
        """How much of truth and tracks is covered when each thing may have one number only."""
        return 2 * self._named() / (self.true + self.found)

    def _named(self) -> int:
        """Frames in which a thing has its one number: the best pairs first, which may be a little
        less than the most that is possible."""
        pairs = sorted(self._together.items(), key=lambda pair: -pair[1])
        things: set[int] = set()
        numbers: set[int] = set()
        frames = 0
        for (thing, number), count in pairs:
            if thing not in things and number not in numbers:
                things.add(thing)
                numbers.add(number)
                frames += count
        return frames
