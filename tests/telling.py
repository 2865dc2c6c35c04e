"""Messages as devices send them, for tests of whoever reads them."""

from __future__ import annotations

from msgspec import Struct

from wire import topics
from wire.health import Disk, Health, Memory, Throttle, Traffic
from wire.histogram import Counts, Histogram
from wire.link import Received
from wire.messages import (
    Event,
    EventKind,
    Losses,
    Phase,
    PipelineSettings,
    PipelineState,
    Presence,
    StageCounts,
    State,
    Telemetry,
    Window,
    to_json,
)
from wire.results import Result, StageDurations, Thing

FLEET = "home"
NOW_S = 1_790_000_000.0
DIGEST = "9f86d081" * 8
HEALTH = Health(
    cpu_percent=(12.0, 30.5, 7.0, 99.0),
    load=(0.5, 0.4, 0.3),
    memory=Memory(4 * 2**30, 3 * 2**30, 2**30, 0),
    process_rss={"agent": 42 * 2**20},
    disk=Disk(32 * 10**9, 20 * 10**9),
    temperatures_c={"cpu": 61.3},
    clocks_mhz={"arm": 1800.0},
    network={"wlan0": Traffic(10**9, 10**8, 0, 3)},
    uptime_s=3600.0,
    clock_synchronised=True,
    throttle=Throttle((), ("under_voltage",)),
)


def counts(*durations_us: float) -> Counts:
    histogram = Histogram()
    for duration_us in durations_us:
        histogram.record_ns(int(duration_us * 1000))
    return histogram.counts()


def stage_counts(*durations_us: float) -> StageCounts:
    """The same durations in every stage."""
    same = counts(*durations_us)
    return StageCounts(same, same, same, same, same)


def window(
    frames: int = 1800,
    phase: Phase = "serving",
    absent: str | None = None,
    losses: Losses | None = None,
    throttled: tuple[str, ...] | None = (),
    durations_us: tuple[float, ...] = (6400.0, 6400.0, 10200.0),
) -> Window:
    return Window(
        model="digits",
        version="1",
        digest=DIGEST,
        engine="litert",
        camera="synthetic://640x480@30",
        phase=phase,
        absent=absent,
        seconds=60.0,
        frames=frames,
        fps=frames / 60.0,
        losses=losses or Losses(skipped=12),
        stages=stage_counts(*durations_us),
        restarts=1,
        rss_bytes=120 * 2**20,
        throttled=throttled,
    )


def record(
    seq: int,
    pipelines: dict[str, Window] | None = None,
    spool: str = "spool-1",
    boot: str = "boot-1",
    time: float = NOW_S,
    uptime_s: float = 3600.0,
    oldest: int | None = None,
    lost: int = 0,
    health: Health = HEALTH,
) -> Telemetry:
    return Telemetry(
        spool=spool,
        seq=seq,
        oldest=seq if oldest is None else oldest,
        boot=boot,
        time=time,
        uptime_s=uptime_s,
        window_s=60.0,
        lost=lost,
        pipelines={"door": window()} if pipelines is None else pipelines,
        health=health,
    )


def event(
    seq: int,
    text: str = "the camera is absent",
    kind: EventKind = "fault",
    time: float = NOW_S,
    uptime_s: float = 3600.0,
) -> Event:
    return Event("spool-1", seq, seq, "boot-1", time, uptime_s, kind, "camera", "door", text)


def presence(online: bool, session: str = "s1", spool: str = "spool-1") -> Presence:
    return Presence(online, "boot-1", session, spool)


def state(
    phase: Phase = "serving",
    absent: str | None = None,
    faults: tuple[str, ...] = (),
    config: str | None = None,
    pipelines: tuple[str, ...] = ("door",),
    telemetry_s: float = 60.0,
) -> State:
    one = PipelineState(
        phase=phase,
        model="digits",
        version="1",
        digest=DIGEST,
        engine="litert",
        camera="synthetic://640x480@30",
        absent=absent,
        restarts=1,
        settings=PipelineSettings(),
    )
    return State(
        agent="0.3.0",
        board="raspberry",
        groups=("doors",),
        boot="boot-1",
        acknowledged_by="broker",
        telemetry_s=telemetry_s,
        log_level="info",
        snapshots=False,
        faults=faults,
        config=config,
        pipelines=dict.fromkeys(pipelines, one),
    )


def result(pipeline: str = "door", found: tuple[Thing, ...] = (Thing("seven", 7, 0.97),)) -> Result:
    return Result(
        pipeline=pipeline,
        model="digits",
        version="1",
        digest=DIGEST,
        frame=17,
        captured=NOW_S,
        stages_us=StageDurations(100.0, 200.0, 5000.0, 50.0, 5350.0),
        found=found,
    )


KIND_OF = {
    "Presence": "presence",
    "State": "state",
    "Telemetry": "telemetry",
    "Event": "event",
    "Reply": "reply",
}


def said(device: str, message: Struct, retained: bool = False) -> Received:
    """The message as it arrives from the broker."""
    if isinstance(message, Result):
        topic = topics.result(FLEET, device, message.pipeline)
    else:
        topic = f"vedette/{FLEET}/device/{device}/{KIND_OF[type(message).__name__]}"
    return Received(topic, to_json(message), retained)
