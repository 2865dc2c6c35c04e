"""A detector that errs as detectors do, before a scene whose truth is known; and what tracks make
of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runtime.cameras.scene import Walkers, held_out
from runtime.loop import Result
from runtime.tasks import Box
from runtime.timing import Timing
from runtime.tracking.observer import Observed, Observer
from tests.mot import Judge, Named
from wire.observation import Line, Observation, Tracking, Zone

SIZE = (640, 480)
SECOND = 1_000_000_000


@dataclass(frozen=True)
class Errors:
    """What goes wrong with a box. jitter: deviation of its edges, in its size. missed: share that
    is not found; unsure: share that is found with a low score. ghosts: false boxes a frame."""

    jitter: float = 0.03
    missed: float = 0.05
    unsure: float = 0.1
    ghosts: float = 0.05


NONE = Errors(0, 0, 0, 0)


def found_in(truth: tuple[Box, ...], errors: Errors, rng: np.random.Generator) -> tuple[Box, ...]:
    """What such a detector says of one frame, the surest first."""
    boxes = []
    for box in truth:
        if rng.random() < errors.missed:
            continue
        score = rng.uniform(0.15, 0.45) if rng.random() < errors.unsure else rng.uniform(0.6, 0.99)
        dx, dy, dw, dh = rng.normal(0, errors.jitter, 4)
        wide, tall = box.width * (1 + dw), box.height * (1 + dh)
        left = box.x + (box.width - wide) / 2 + dx * box.width
        top = box.y + (box.height - tall) / 2 + dy * box.height
        boxes.append(Box(box.index, box.label, float(score), left, top, wide, tall))
    for _ in range(rng.poisson(errors.ghosts)):
        x, y = rng.uniform(0, SIZE[0] - 60), rng.uniform(0, SIZE[1] - 60)
        boxes.append(Box(0, "0", float(rng.uniform(0.3, 0.7)), float(x), float(y), 60.0, 60.0))
    return tuple(sorted(boxes, key=lambda box: -box.score))


@dataclass
class Walk:
    """A run over a scene. fps: of the results; the scene moves at 30 frames a second."""

    digits: int
    seed: int
    wanted: Observation
    fps: float = 30.0
    errors: Errors = Errors()
    seconds: float = 40.0

    def __post_init__(self) -> None:
        self.scene = Walkers(held_out(), SIZE, self.digits, self.seed)
        self.observer = Observer(self.wanted, lambda: SIZE)
        self.judge = Judge()
        self.results: list[Observed] = []

    def run(self) -> Walk:
        rng = np.random.default_rng(self.seed + 1)
        for seq in self.frames():
            truth = self.scene.truth(seq)
            result = self.observer(result_of(found_in(truth, self.errors, rng), seq / 30))
            assert isinstance(result, Observed)
            self.results.append(result)
            self.judge.add({k: place(box) for k, box in enumerate(truth)}, tracks_of(result))
        return self

    def frames(self) -> Iterator[int]:
        """The frames of the scene that become results."""
        step = 30 / self.fps
        yield from (round(i * step) for i in range(int(self.seconds * self.fps)))


def place(box: Box) -> tuple[float, float, float, float]:
    return box.x, box.y, box.width, box.height


def tracks_of(result: Observed) -> Named:
    """Where each track is."""
    return {
        mark.track: place(box)
        for box, mark in zip(result.found, result.marks, strict=True)
        if mark.track is not None and isinstance(box, Box)
    }


def result_of(found: tuple[Box, ...], at_s: float, digest: str = "ab" * 32) -> Result:
    """A result of a frame taken at this moment."""
    at_ns = round(at_s * SECOND)
    return Result(round(at_s * 30), digest, found, Timing(*[at_ns] * 5))


TRACKING = Observation(tracking=Tracking())
WATCHED = Observation(
    tracking=Tracking(),
    zone={"left": Zone(((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))},
    line={"middle": Line(((0.5, 0.0), (0.5, 1.0)), ("west", "east"))},
)
