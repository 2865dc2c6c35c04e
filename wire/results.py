"""What a pipeline found in a frame, and what a bench of it measured. JSON, as all messages."""

from __future__ import annotations

from msgspec import Struct

from wire.happenings import Happening, ZoneSums
from wire.messages import Losses, Natural
from wire.names import Name


class Mask(Struct, frozen=True):
    """Which cells of a grid over the box belong to a thing. size: rows, columns. counts: COCO's
    uncompressed run lengths: cells outside, inside, outside, ... column by column."""

    size: tuple[Natural, Natural]
    counts: tuple[Natural, ...]


class Thing(Struct, frozen=True, omit_defaults=True):
    """One thing that a model found, one number that it predicts (value), or one of its outputs.

    box: x, y, width, height in pixels of the source frame. score: 0 to 1. label: the class, or the
    output's name; then minimum, maximum, mean are of its real values, or values are a vector whose
    length was `length`. share: of the picture. points: x, y and score of each keypoint by its name,
    in the model's order. track: its number, while the process lives never given to another; zones:
    those that it is in.
    """

    label: str
    index: int | None = None
    score: float | None = None
    box: tuple[float, float, float, float] | None = None
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    share: float | None = None
    mask: Mask | None = None
    points: dict[str, tuple[float, float, float] | None] | None = None
    length: float | None = None
    values: tuple[float, ...] | None = None
    value: float | None = None
    track: Natural | None = None
    zones: tuple[Name, ...] = ()


class LeftOut(Struct, frozen=True, omit_defaults=True):
    """What a result had no room for: how many things, and of how many the mask, points, values."""

    things: Natural = 0
    masks: Natural = 0
    points: Natural = 0
    values: Natural = 0


class StageDurations(Struct, frozen=True):
    """How long the stages of one frame took, in microseconds."""

    queue: float
    preprocess: float
    inference: float
    postprocess: float
    end_to_end: float


class Result(Struct, frozen=True, omit_defaults=True):
    """What the model found in one frame. captured: Unix time, in seconds, of the sensor's stamp.
    of: the box, found in this frame by the pipeline that owns the camera, at which alone it looked.

    zones: each one's sums. lines: crossings by direction since the process began. happened: what
    tracks did since the result before, also in frames that no result tells of.
    """

    pipeline: Name
    model: str
    version: str
    digest: str
    frame: int
    captured: float
    stages_us: StageDurations
    found: tuple[Thing, ...]
    left_out: LeftOut = LeftOut()
    zones: dict[Name, ZoneSums] = {}
    lines: dict[Name, dict[Name, Natural]] = {}
    happened: tuple[Happening, ...] = ()
    of: Thing | None = None


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
