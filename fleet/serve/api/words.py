"""What the JSON API says. Times are Unix seconds, durations in the unit of their name."""

from __future__ import annotations

from msgspec import Struct

from fleet.concerns import Kind
from fleet.live.kinds import Level
from wire.health import Health
from wire.histogram import Counts
from wire.messages import Losses, Presence, State


class Mishap(Struct, frozen=True):
    """Why there is no answer."""

    error: str


class Latency(Struct, frozen=True):
    """A stage. mean and percentiles in microseconds, None of no frames. counts: the histogram, if
    it was asked for: bucket i is (2^(i/16), 2^((i+1)/16)] microseconds, counts[0] is bucket
    `offset`; histograms add up, percentiles do not."""

    count: int
    mean_us: float | None
    p50_us: float | None
    p95_us: float | None
    p99_us: float | None
    maximum_us: float | None
    offset: int | None = None
    counts: tuple[int, ...] | None = None


Stages = dict[str, Latency]


class Worry(Struct, frozen=True):
    """Something that is wrong. weight: how bad, to 100."""

    kind: Kind
    weight: int
    words: str


class PipelineLine(Struct, frozen=True):
    """What a pipeline runs and how fast. update: the phase of the newest change of its model."""

    pipeline: str
    phase: str
    model: str
    version: str | None
    digest: str | None
    engine: str | None
    restarts: int
    update: str | None
    fps: float | None
    p50_us: float | None
    p95_us: float | None
    p99_us: float | None


class DeviceLine(Struct, frozen=True):
    """A device as it is now. heard_s: when anything came of it; reached_s: when its newest record
    was made. lost: records that never came."""

    name: str
    level: Level
    concerns: tuple[Worry, ...]
    online: bool | None
    board: str
    groups: tuple[str, ...]
    pipelines: tuple[PipelineLine, ...]
    fps: float | None
    p50_us: float | None
    p95_us: float | None
    p99_us: float | None
    hottest_c: float | None
    heard_s: float | None
    reached_s: float | None
    lost: int


class DevicePage(Struct, frozen=True):
    """found: devices on all pages; whole: in the fleet. page: from 1."""

    found: int
    whole: int
    page: int
    pages: int
    devices: tuple[DeviceLine, ...]


class DeviceWhole(Struct, frozen=True):
    """Everything that is known of a device now. clock_off_s: how far its clock is ahead."""

    now: DeviceLine
    first_heard_s: float
    online_since_s: float | None
    clock_off_s: float
    presence: Presence | None
    state: State | None
    health: Health | None


class StretchLine(Struct, frozen=True):
    """What was counted from start_s on, for `seconds`."""

    start_s: float
    seconds: float
    model: str
    version: str
    frames: int
    fps: float | None
    losses: Losses
    restarts: int
    stages: Stages


class PassedLine(Struct, frozen=True):
    """How often tracks did the same. kind: "zone" or "line"; way: "entered" or "left" of a zone,
    the direction of a line; label: what they were, "" for all that had no room of their own."""

    device: str
    pipeline: str
    kind: str
    where: str
    way: str
    label: str
    count: int


class PartLine(Struct, frozen=True):
    """A part of this server: starting, working, broken or ended, since when, and its words."""

    name: str
    status: str
    words: str
    since_s: float


class RunningModel(Struct, frozen=True):
    """A model version, how many pipelines run it, and how many of these are trying it."""

    model: str
    version: str
    pipelines: int
    on_trial: int


def latency(counts: Counts, with_counts: bool) -> Latency:
    """with_counts: whether the histogram itself is wanted."""
    return Latency(
        counts.count,
        counts.sum_us / counts.count if counts.count else None,
        counts.percentile(0.50),
        counts.percentile(0.95),
        counts.percentile(0.99),
        counts.maximum_us,
        counts.offset if with_counts else None,
        counts.counts if with_counts else None,
    )
