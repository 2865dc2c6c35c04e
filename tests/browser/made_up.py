"""A fleet that was never there: every kind of trouble, plausible figures, always the same."""

from __future__ import annotations

import random

from msgspec.structs import replace

from fleet.registry.words import Known
from wire.happenings import Passage, Places
from wire.health import Disk, Health, Memory, Throttle
from wire.histogram import Counts, Histogram
from wire.messages import (
    Losses,
    PipelineSettings,
    PipelineState,
    Presence,
    StageCounts,
    State,
    Telemetry,
    Trusted,
    Update,
    Window,
)

BOARDS = (
    "Raspberry Pi 5 Model B Rev 1.0",
    "Raspberry Pi 4 Model B Rev 1.4",
    "NVIDIA Jetson Orin Nano",
)
TRYING = (5, 6, 7, 8)  # of each 211 devices
PLACES = ("dock", "gate", "yard", "hall", "lift", "belt", "door", "ramp")
COUNTED = Places(
    {"porch": 2},
    (
        Passage("line", "gate", "in", 3, "person"),
        Passage("line", "gate", "in", 1, "dog"),
        Passage("line", "gate", "out", 2, "person"),
        Passage("zone", "porch", "entered", 4, "person"),
    ),
)
DIGESTS = {"8": "0b3d1f6c" * 8, "7": "72285004" * 8, "9": "5feceb66" * 8}
USUAL_US = {"queue": 180, "preprocess": 900, "inference": 11_000, "postprocess": 140}
MEMORY = Memory(total=4 << 30, available=3 << 30)


def made_up(many: int, now_s: float, seed: int = 7) -> list[Known]:
    """So many devices, about 3 % of them with a trouble."""
    chance = random.Random(seed)
    return [device(number, many, now_s, chance) for number in range(many)]


def device(number: int, many: int, now_s: float, chance: random.Random) -> Known:
    width = len(str(many // len(PLACES)))
    name = f"{PLACES[number % len(PLACES)]}-{number // len(PLACES) + 1:0{width}}"
    board = BOARDS[(number * 7) % 11 % 3]
    version = "8" if chance.random() < 0.84 else "7"
    spool = f"{number:016x}"
    boot = f"{number:032x}"
    speed = {BOARDS[0]: 1.0, BOARDS[1]: 2.3, BOARDS[2]: 0.6}[board] * chance.uniform(0.92, 1.08)
    heat = chance.uniform(48, 66)
    known = Known(
        name=name,
        first_heard_s=now_s - 40 * 86400,
        heard_s=now_s - chance.uniform(0, 10),
        online_since_s=now_s - chance.uniform(3600, 20 * 86400),
        presence=Presence(True, boot, f"{number:x}", spool),
        state=State(
            agent="0.1.0",
            board=board,
            groups=("north" if number % 3 else "south",),
            boot=boot,
            acknowledged_by="registry",
            telemetry_s=10.0,
            log_level="info",
            snapshots=number % 4 == 0,
            faults=(),
            config=None,
            pipelines={"lane": pipeline(version)},
            trusted=Trusted(1, 90, 3, 4, now_s + 90 * 86400),
        ),
        telemetry=telemetry(spool, boot, version, now_s, heat, speed, chance),
        reached_s=now_s - chance.uniform(0, 10),
    )
    return troubled(known, number, now_s, speed, chance)


def troubled(known: Known, number: int, now_s: float, speed: float, chance: random.Random) -> Known:
    """Some devices have a trouble, each number always the same one."""
    state, record = known.state, known.telemetry
    assert state is not None and record is not None and known.presence is not None
    lane, window = state.pipelines["lane"], record.pipelines["lane"]
    fate = number % 211
    if fate == 17:
        gone_s = now_s - 3 * 3600
        presence = replace(known.presence, online=False)
        return replace(
            known, presence=presence, online_since_s=gone_s, heard_s=gone_s, reached_s=gone_s - 5
        )
    if fate == 40:
        absent = "/dev/video0 went away: plug it in again"
        stopped = replace(lane, phase="no_camera", absent="/dev/video0 went away")
        empty = replace(window, phase="no_camera", frames=0, fps=0.0, stages=stages(0, 1, chance))
        state = replace(state, faults=(f"lane: camera: {absent}",), pipelines={"lane": stopped})
        return replace(known, state=state, telemetry=replace(record, pipelines={"lane": empty}))
    if fate == 77:
        return rolled_back(known, now_s)
    if fate in (101, 140):
        hot = replace(
            record.health,
            temperatures_c={"cpu-thermal": 86.2},
            throttle=Throttle(("soft_temperature_limit",), ("soft_temperature_limit",)),
        )
        slowed = replace(window, throttled=("soft_temperature_limit",))
        return replace(known, telemetry=replace(record, health=hot, pipelines={"lane": slowed}))
    if fate == 160:
        slow = replace(window, stages=stages(300, 3.4 * speed, chance))
        return replace(known, telemetry=replace(record, pipelines={"lane": slow}))
    if fate == 190:
        return replace(known, heard_s=now_s - 700, reached_s=now_s - 700)
    return replace(
        known,
        state=replace(state, pipelines={"lane": lane_of(lane, fate, now_s)}),
        telemetry=replace(record, pipelines={"lane": window_of(window, fate)}),
    )


def rolled_back(known: Known, now_s: float) -> Known:
    state, record = known.state, known.telemetry
    assert state is not None and record is not None
    why = "p95 took 61.0 ms, the limit is 40 ms"
    update = Update("rolled_back", "digits", "8", DIGESTS["8"], 4, now_s - 1500, None, why)
    back = replace(state.pipelines["lane"], version="7", digest=DIGESTS["7"], update=update)
    slower = replace(record.pipelines["lane"], version="7", digest=DIGESTS["7"])
    return replace(
        known,
        state=replace(state, pipelines={"lane": back}),
        telemetry=replace(record, pipelines={"lane": slower}),
    )


def lane_of(lane: PipelineState, fate: int, now_s: float) -> PipelineState:
    """Some get a new model, and some try it."""
    if fate in TRYING:
        update = Update("trial", "digits", "9", DIGESTS["9"], 5, now_s - 40)
        return replace(lane, version="9", digest=DIGESTS["9"], update=update)
    if fate == 9:
        update = Update("fetching", "digits", "9", DIGESTS["9"], 5, now_s - 40, 42)
        return replace(lane, update=update)
    return lane


def window_of(window: Window, fate: int) -> Window:
    return replace(window, version="9", digest=DIGESTS["9"]) if fate in TRYING else window


def pipeline(version: str) -> PipelineState:
    return PipelineState(
        phase="serving",
        model="digits",
        version=version,
        digest=DIGESTS[version],
        engine="litert",
        camera="v4l2:///dev/video0",
        absent=None,
        restarts=0,
        settings=PipelineSettings(),
    )


def telemetry(
    spool: str,
    boot: str,
    version: str,
    now_s: float,
    heat: float,
    speed: float,
    chance: random.Random,
) -> Telemetry:
    frames = round(chance.uniform(294, 300))
    window = Window(
        model="digits",
        version=version,
        digest=DIGESTS[version],
        engine="litert",
        camera="v4l2:///dev/video0",
        phase="serving",
        absent=None,
        seconds=10.0,
        frames=frames,
        fps=frames / 10,
        losses=Losses(skipped=300 - frames),
        stages=stages(frames, speed, chance),
        restarts=0,
        rss_bytes=97_718_272,
        throttled=(),
        places=COUNTED,
    )
    return Telemetry(
        spool=spool,
        seq=1,
        oldest=1,
        boot=boot,
        time=now_s - 5,
        uptime_s=24746.7,
        window_s=10.0,
        lost=0,
        pipelines={"lane": window},
        health=health(heat, chance),
    )


def health(heat: float, chance: random.Random) -> Health:
    """Of a board that is well."""
    return Health(
        cpu_percent=tuple(chance.uniform(20, 60) for _ in range(4)),
        load=(1.2, 1.1, 0.9),
        memory=replace(MEMORY, available=int(MEMORY.total * chance.uniform(0.5, 0.8))),
        process_rss={"agent": 31_735_808},
        disk=Disk(total=31_268_536_320, free=21_586_394_112),
        temperatures_c={"cpu-thermal": heat},
        clocks_mhz={"cpu": 1500.0},
        uptime_s=24746.7,
        clock_synchronised=True,
        throttle=Throttle(),
    )


def stages(frames: int, speed: float, chance: random.Random) -> StageCounts:
    """So many frames, at `speed` times the usual time."""
    parts = {name: counts(usual * speed, frames, chance) for name, usual in USUAL_US.items()}
    whole = counts(sum(USUAL_US.values()) * speed, frames, chance)
    return StageCounts(**parts, end_to_end=whole)


def counts(usual_us: float, frames: int, chance: random.Random) -> Counts:
    """A tenth of them drawn, each counted ten times: cheaper."""
    grown = Histogram()
    for _ in range(-(-frames // 10)):
        grown.record_ns(int(usual_us * 1000 * chance.lognormvariate(0.0, 0.16)))
    found = grown.counts()
    return replace(
        found,
        count=found.count * 10,
        sum_us=found.sum_us * 10,
        counts=tuple(count * 10 for count in found.counts),
    )
