"""What a pipeline found in a frame, and what a bench of it measured. JSON, as all messages."""

from __future__ import annotations

from msgspec import Struct

from wire.messages import Losses, Natural
from wire.names import Name


class Thing(Struct, frozen=True, omit_defaults=True):
    """One thing that a model found, or one of its outputs.

    box: x, y, width, height in pixels of the source frame. score: 0 to 1. label: the class, or the
    output's name; then minimum, maximum, mean are of its real values.
    """

    label: str
    index: int | None = None
    score: float | None = None
    box: tuple[float, float, float, float] | None = None
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None


class StageDurations(Struct, frozen=True):
    """How long the stages of one frame took, in microseconds."""

    queue: float
    preprocess: float
    inference: float
    postprocess: float
    end_to_end: float


class Result(Struct, frozen=True):
    """What the model found in one frame. captured: Unix time, in seconds, of the sensor's stamp."""

    pipeline: Name
    model: str
    version: str
    digest: str
    frame: int
    captured: float
    stages_us: StageDurations
    found: tuple[Thing, ...]


class Spread(Struct, frozen=True):
    """Microseconds that half of the frames, 95 % and 99 % of them stayed under."""

    p50: float
    p95: float
    p99: float


class StageSpreads(Struct, frozen=True):
    """How long the stages of a frame took."""

    queue: Spread
    preprocess: Spread
    inference: Spread
    postprocess: Spread
    end_to_end: Spread


class Figures(Struct, frozen=True):
    """A bench of the live loop. frames: that were measured; wanted: that were asked for. fps:
    results per second. losses: frames without a result meanwhile."""

    frames: Natural
    wanted: Natural
    seconds: float
    fps: float | None
    model: str
    version: str
    digest: str
    engine: str
    losses: Losses
    stages_us: StageSpreads
