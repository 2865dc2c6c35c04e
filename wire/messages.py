"""What travels over MQTT: JSON, frozen and typed. Unknown fields are ignored: peers may be newer.

Topics and their meaning are in docs/wire.md. `time` is Unix time in seconds by the device's clock,
which may be wrong; `uptime_s` is seconds since its boot, which is not. `boot` names that boot.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from wire.happenings import Places
from wire.health import Health
from wire.histogram import Counts
from wire.histogram import Natural as Natural  # for all messages
from wire.names import Name
from wire.troubles import Refused
from wire.unreadable import UNREADABLE, why

LARGEST = 256 * 1024  # bytes; larger payloads are refused unread
LARGEST_SNAPSHOT = 60_000  # bytes of JPEG: it fits every broker

Text = Annotated[str, Meta(max_length=1000)]
Identity = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]
Phase = Literal["starting", "serving", "no_camera", "no_model", "ended", "silent"]
UpdatePhase = Literal["fetching", "staged", "checking", "trial", "good", "rejected", "rolled_back"]
ResultMode = Literal["off", "change", "every"]
EventKind = Literal["fault", "recovered", "note", "update"]
LogLevel = Literal["debug", "info", "warning", "error"]


class Presence(Struct, frozen=True):
    """Whether the device is connected. session: of the connection. spool: tells devices apart that
    were given the same name."""

    online: bool
    boot: str
    session: str
    spool: str


class Losses(Struct, frozen=True):
    """Frames that gave no result, by reason: overtaken by a newer frame; never reached us by the
    driver's own count; could not be decoded; came with an error flag or a wrong size."""

    skipped: Natural = 0
    driver: Natural = 0
    decode: Natural = 0
    refused: Natural = 0


class Scores(Struct, frozen=True, omit_defaults=True):
    """How sure the model was. frames: results in which something with a score was found; sum: of
    the highest score of each; broken: results that held a score that is no number from 0 to 1."""

    frames: Natural = 0
    sum: Annotated[float, Meta(ge=0, le=1e12)] = 0.0
    broken: Natural = 0


class StageCounts(Struct, frozen=True):
    """The five stages of a frame as histograms of microseconds."""

    queue: Counts
    preprocess: Counts
    inference: Counts
    postprocess: Counts
    end_to_end: Counts


class PipelineSettings(Struct, frozen=True, omit_defaults=True):
    """What an operator may change on a running pipeline.

    results_per_s: the most that are published. min_score: lower ones are not published; None: as
    the model has it.
    """

    results: ResultMode = "change"
    results_per_s: Annotated[float, Meta(ge=0.01, le=30)] = 1.0
    min_score: Annotated[float, Meta(ge=0, le=1)] | None = None


class Window(Struct, frozen=True):
    """One pipeline over one stretch of time.

    seconds: that it covers. frames: results in it. fps: None below one second. restarts: of its
    process, since the spool was made. throttled: why the board was slowed down at any time in it;
    None where that is not known. unsent: datagrams for which the socket to the agent had no room.
    places: its zones and lines, None where there are none.
    """

    model: str
    version: str
    digest: str
    engine: str
    camera: str
    phase: Phase
    absent: str | None
    seconds: float
    frames: Natural
    fps: float | None
    losses: Losses
    stages: StageCounts
    restarts: Natural
    unsent: Natural = 0
    scores: Scores = Scores()
    rss_bytes: Natural | None = None
    throttled: tuple[str, ...] | None = None
    places: Places | None = None


class Telemetry(Struct, frozen=True):
    """One record. Known by (spool, seq); oldest: the lowest seq that the spool still has; lost:
    records that the spool had to drop unacknowledged since it was made."""

    spool: Identity
    seq: Natural
    oldest: Natural
    boot: str
    time: float
    uptime_s: float
    window_s: float
    lost: Natural
    pipelines: dict[str, Window]
    health: Health


class Update(Struct, frozen=True):
    """How far a pipeline is with a model that the fleet wants it to run.

    digest: None before the variant for this board is known. percent: of the bytes, while fetching.
    reason: why it is as it is, for a person. since: Unix time of the phase's begin, by the device's
    clock. deployment: version of the deployments metadata that asks for it.
    """

    phase: UpdatePhase
    model: str
    version: str
    digest: str | None
    deployment: Natural
    since: float
    percent: Natural | None = None
    reason: Text | None = None


class Event(Struct, frozen=True):
    """Something that happened. kind "fault" begins what "recovered" ends; "note" just happened;
    "update": a model came into another phase, which `update` says.

    subject: what it is about: agent, broker, camera, pipeline, model, spool, name, config,
    latency, memory, power, clock...
    """

    spool: Identity
    seq: Natural
    oldest: Natural
    boot: str
    time: float
    uptime_s: float
    kind: EventKind
    subject: Name
    pipeline: str | None
    text: Text
    update: Update | None = None


class PipelineState(Struct, frozen=True):
    """What one pipeline really runs. phase "silent": its process has not been heard for a while.
    One that was never heard is told as it is configured; what is not known of it is None."""

    phase: Phase
    model: str
    version: str | None
    digest: str | None
    engine: str | None
    camera: str
    absent: str | None
    restarts: Natural
    settings: PipelineSettings
    update: Update | None = None


class Trusted(Struct, frozen=True):
    """The versions of the signed metadata that the device believes. expires: Unix time when the
    first of it does."""

    root: Natural
    timestamp: Natural
    targets: Natural
    deployments: Natural
    expires: float


class State(Struct, frozen=True):
    """What the device is and does.

    acknowledged_by: whose word makes a record leave the spool. telemetry_s: seconds between two
    records now. faults: those that last, one sentence each. config: why the newest configuration
    is not in force, or None. trusted: None before signed metadata was believed.
    """

    agent: str
    board: str
    groups: tuple[str, ...]
    boot: str
    acknowledged_by: Literal["broker", "registry"]
    telemetry_s: float
    log_level: LogLevel
    snapshots: bool
    faults: tuple[str, ...]
    config: str | None
    pipelines: dict[str, PipelineState]
    trusted: Trusted | None = None


class Reply(Struct, frozen=True):
    """The answer to a command. text: what was done, or why not and what to do. content: what the
    verb gives (`status`: the state; `bench`: the figures)."""

    id: str
    ok: bool
    text: str
    content: dict[str, Any] | None = None


class Ack(Struct, frozen=True):
    """The registry has stored every record of this spool up to seq, or knows that it was lost."""

    spool: Identity
    seq: Natural


Message = TypeVar("Message", bound=Struct)


def to_json(message: Struct) -> bytes:
    return msgspec.json.encode(message)


def parse(payload: bytes, kind: type[Message]) -> Message:
    """A message from the wire. Raises Refused, whatever the bytes are."""
    if len(payload) > LARGEST:
        raise Refused(f"{len(payload)} bytes are too many for a {kind.__name__}")
    try:
        return msgspec.json.decode(payload, type=kind)
    except UNREADABLE as error:
        raise Refused(f"not a {kind.__name__}: {why(error)}") from None


_EMPTY = b'{"spool":"","seq":0,"oldest":0,'


def body_of(record: Telemetry | Event) -> bytes:
    """A record as the spool keeps it: JSON without spool, seq and oldest, which must be empty."""
    payload = to_json(record)
    assert payload.startswith(_EMPTY)
    return b"{" + payload[len(_EMPTY) :]


def enveloped(body: bytes, spool: str, seq: int, oldest: int) -> bytes:
    """A record ready to send."""
    return b'{"spool":"%s","seq":%d,"oldest":%d,%s' % (spool.encode(), seq, oldest, body[1:])
