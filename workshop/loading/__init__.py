"""How a model holds up as frame rate, pipelines and threads rise."""

from __future__ import annotations

from msgspec import Struct

from runtime.panel import Spread
from runtime.suite import Machine

FORM = 1  # of the JSON
KEPT_UP = 0.01  # of the pictures may be lost where a load is kept up with; one of each pipeline may


class Load(Struct, frozen=True):
    """What is asked of the machine. rate: pictures per second of each pipeline's camera."""

    rate: float
    pipelines: int
    threads: int


class Point(Struct, frozen=True):
    """What one load came to, all of its pipelines together.

    offered, answered: pictures that came, and results, per second. skipped: share of the pictures
    that a newer one overtook. errors: share that came to a score which is no number, or to a
    pipeline that had ended. latency_us: from the frames' own stamps, captured to decoded.
    cpu_percent: of all its processes, 100 is one core; others_percent: what other programs had of
    the machine meanwhile, which makes the figures worse. memory_mib: what they share is counted
    once. pictures: what the shares are of. trouble: why a pipeline ended.
    """

    load: Load
    pictures: int
    offered: float
    answered: float
    skipped: float
    errors: float
    latency_us: Spread | None
    inference_us: Spread | None
    cpu_percent: float
    others_percent: float | None
    memory_mib: float | None
    trouble: str | None = None

    @property
    def keeps_up(self) -> bool:
        """Whether the machine carries this load."""
        lost = round((self.skipped + self.errors) * self.pictures)
        few = max(KEPT_UP * self.pictures, self.load.pipelines)
        return lost <= few and self.trouble is None and self.latency_us is not None


class Knee(Struct, frozen=True):
    """Of one curve: the rate at which power (answers per second over p95) is at its most, of those
    that are kept up with.

    rate, keeps_up: pictures per second of each pipeline, the knee and the highest rate before the
    first that is not kept up with; None: not even the lowest is. reached: whether it bends within
    what was measured. words: all of it for a person.
    """

    pipelines: int
    threads: int
    rate: float | None
    keeps_up: float | None
    reached: bool
    words: str


class Subject(Struct, frozen=True):
    """The model that was loaded."""

    name: str
    version: str
    digest: str
    engine: str


class LoadTest(Struct, frozen=True):
    """One load test, as its JSON has it. camera_us: processor time that a picture takes the camera,
    which is part of every cpu_percent; None where it could not be told. seconds: of each load.

    left_out: loads that were not measured, since a lower one was far too much already.
    """

    form: int
    subject: Subject
    machine: Machine
    camera: str
    camera_us: float | None
    seconds: float
    points: tuple[Point, ...]
    knees: tuple[Knee, ...]
    left_out: tuple[Load, ...] = ()
