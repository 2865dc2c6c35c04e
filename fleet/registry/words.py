"""What goes into the registry and what comes out of it. Times are Unix seconds, durations us."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from wire.histogram import Counts
from wire.messages import (
    Event,
    EventKind,
    Losses,
    Presence,
    StageCounts,
    State,
    Telemetry,
    UpdatePhase,
)

HeardKind = Literal["presence", "state", "telemetry", "event"]
NONE = Counts(0, 0.0, 0, ())
NO_STAGES = StageCounts(NONE, NONE, NONE, NONE, NONE)


class Heard(Struct, frozen=True):
    """What a device said. payload: as it came; empty: a retained message was taken away. at_s: when
    it came, by our clock. is_retained: it is from before we listened."""

    device: str
    kind: HeardKind
    payload: bytes
    at_s: float
    is_retained: bool = False


class Floor(Struct, frozen=True):
    """What may be acknowledged: every record of the spool up to `seq` is stored, or is lost."""

    device: str
    spool: str
    seq: int


class Written(Struct, frozen=True):
    """What became of a batch. acks: one for each spool of which a record came. stored: records;
    duplicates: records that were stored before. refused: messages that cannot be read or for which
    there is no room; why: of one of these."""

    acks: tuple[Floor, ...] = ()
    stored: int = 0
    duplicates: int = 0
    refused: int = 0
    why: str | None = None


class Span(Struct, frozen=True):
    """From one moment to another, which is not in it."""

    from_s: float
    to_s: float


class Known(Struct, frozen=True):
    """The last word of a device, of each kind. What was not heard yet is None.

    heard_s: when anything came. online_since_s: when presence last changed between online and
    offline, None where that was not seen. telemetry: the newest record; of a device with many
    pipelines, of which one moment takes several records, these together. reached_s: when that was
    made, by our clock; clock_off_s: how far the device's clock was ahead, 0 if it is believed.
    lost: records that never came (beside those that the device itself counts in telemetry.lost).
    is_removed: an operator took the device away; only its name still counts.
    """

    name: str
    first_heard_s: float
    heard_s: float
    online_since_s: float | None = None
    presence: Presence | None = None
    state: State | None = None
    telemetry: Telemetry | None = None
    reached_s: float | None = None
    clock_off_s: float = 0.0
    lost: int = 0
    is_removed: bool = False


class Changed(Struct, frozen=True):
    """Devices of which something came since a mark, in the order of the batches; `mark` is what to
    ask with next. has_more: ask again at once."""

    mark: int
    devices: tuple[Known, ...]
    has_more: bool = False


class Stretch(Struct, frozen=True):
    """What one pipeline counted from `start_s` on, for `seconds`; over several devices, all of them
    together. fps: frames a second, None where less than a second was counted. restarts: of its
    process, since the spool was made (the highest)."""

    start_s: float
    seconds: float
    model: str
    version: str
    frames: int
    fps: float | None
    losses: Losses
    stages: StageCounts
    restarts: int


class Vital(Struct, frozen=True):
    """How a board was, at `start_s` or from there to the next one: the worst of each. What could
    not be read is None; throttled: why it was slowed down."""

    start_s: float
    hottest_c: float | None
    cpu_percent: float | None
    memory_percent: float | None
    disk_percent: float | None
    throttled: tuple[str, ...] = ()


class PassedInHour(Struct, frozen=True):
    """How often tracks of one kind did the same in the hour that begins at start_s. kind, where,
    way, label: as in a Passage."""

    start_s: float
    device: str
    pipeline: str
    kind: Literal["zone", "line"]
    where: str
    way: str
    label: str
    count: int


class Scope(Struct, frozen=True):
    """Whose records count; None: all."""

    devices: Sequence[str] | None = None
    pipeline: str | None = None
    model: str | None = None
    version: str | None = None


class EventQuery(Struct, frozen=True):
    """Which events; None: whatever it is. text: a part of the text, in any case. before_id: what
    follows this one, to go on where a page ended. after_id: what came after this one, in the order
    in which it came and not in that of time."""

    device: str | None = None
    kind: EventKind | None = None
    subject: str | None = None
    text: str | None = None
    span: Span | None = None
    before_id: int | None = None
    after_id: int | None = None
    most: int = 100


class EventRow(Struct, frozen=True):
    """One event. at_s: when it was, by our clock; heard_s: when it came."""

    id: int
    device: str
    at_s: float
    heard_s: float
    event: Event


class EventPage(Struct, frozen=True):
    """The newest first, by the time at which they happened; of the same time, what came last.
    before_id: ask with it for what follows; None: this is the last page. newest_id: of the event
    that came last of all; ask with it as `after_id` for what comes later."""

    events: tuple[EventRow, ...]
    before_id: int | None = None
    newest_id: int = 0


class UpdateQuery(Struct, frozen=True):
    """Which updates; None: whatever it is. is_open: still under way (True), ended (False)."""

    device: str | None = None
    pipeline: str | None = None
    model: str | None = None
    version: str | None = None
    deployment: int | None = None
    is_open: bool | None = None
    span: Span | None = None
    most: int = 200


class PhaseStep(Struct, frozen=True):
    """A phase of an update, and when it began, by our clock."""

    phase: UpdatePhase
    at_s: float
    percent: int | None = None
    reason: str | None = None


class UpdateLife(Struct, frozen=True):
    """What became of one model that a device was to run in a pipeline, step by step; `phase` is the
    newest. The newest first."""

    device: str
    pipeline: str
    model: str
    version: str
    digest: str | None
    deployment: int
    phase: UpdatePhase
    began_s: float
    changed_s: float
    steps: tuple[PhaseStep, ...]


class Gap(Struct, frozen=True):
    """Records `first` to `last` of a spool that never came. at_s: when that was seen."""

    spool: str
    first: int
    last: int
    at_s: float


class TableSize(Struct, frozen=True):
    """oldest_s: the time of the oldest row; None where rows have no time, or there is none."""

    name: str
    rows: int
    bytes: int
    oldest_s: float | None


class Sizes(Struct, frozen=True):
    """bytes: of the whole database. free_bytes: of these, what can be used again."""

    bytes: int
    free_bytes: int
    tables: tuple[TableSize, ...]


class Terms(Struct, frozen=True):
    """How long and how much is kept. keep_bytes: of the database; then the oldest goes first."""

    keep_bytes: int = 10 << 30
    fine_s: float = 7 * 86400.0
    tens_s: float = 90 * 86400.0
    hours_s: float = 730 * 86400.0
    events_s: float = 365 * 86400.0


class Expired(Struct, frozen=True):
    """Rows that were removed. is_done: nothing is left that is to go now."""

    rows: int
    is_done: bool


class Service(Struct, frozen=True):
    """A process that works on the database, as it last said. name: what it is ("ingest"); holder:
    which of them. status: a line; trouble: what is wrong now, None if nothing is."""

    name: str
    holder: str
    at_s: float
    status: str
    trouble: str | None = None
