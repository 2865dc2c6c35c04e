"""What devices of a made-up fleet say, for tests of who stores it: true to the wire, and cheap."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from fleet.registry.words import Heard
from wire.happenings import Places
from wire.health import Disk, Health, Memory, Throttle
from wire.histogram import Histogram
from wire.messages import (
    Event,
    EventKind,
    Losses,
    PipelineSettings,
    PipelineState,
    Presence,
    StageCounts,
    State,
    Telemetry,
    Update,
    UpdatePhase,
    Window,
    to_json,
)

MEMORY = Memory(total=4_000_000_000, available=1_000_000_000)
DISK = Disk(total=32_000_000_000, free=8_000_000_000)
USUAL_US = (150.0, 900.0, 9000.0, 60.0, 10_100.0)
NOW_S = 1_795_284_000.0  # begins an hour


def stages(chance: random.Random, frames: int) -> StageCounts:
    """Of so many frames."""

    def counts(usual_us: float) -> Histogram:
        grown = Histogram()
        for _ in range(frames):
            grown.record_ns(int(usual_us * 1000 * chance.lognormvariate(0.0, 0.25)))
        return grown

    return StageCounts(*(counts(usual_us).counts() for usual_us in USUAL_US))


@dataclass
class Talker:
    """One device; its clock is right."""

    name: str
    spool: str = "5b001"
    seq: int = 0
    boot: str = "b1"
    booted_s: float = NOW_S - 86_400
    pipelines: Sequence[str] = ("lane",)
    version: str = "1"
    frames: int = 30
    seconds: float = 10.0
    hottest_c: float = 55.0
    throttled: tuple[str, ...] = ()
    places: Places | None = None
    chance: random.Random = field(default_factory=lambda: random.Random(7))

    def window(self) -> Window:
        return Window(
            model="digits", version=self.version, digest="d" * 64, engine="null",
            camera="synthetic://", phase="serving", absent=None, seconds=self.seconds,
            frames=self.frames, fps=self.frames / self.seconds,
            losses=Losses(skipped=2, driver=1), stages=stages(self.chance, self.frames),
            restarts=0, throttled=self.throttled, places=self.places,
        )  # fmt: skip

    def record(self, at_s: float, oldest: int | None = None) -> Telemetry:
        """The next one."""
        self.seq += 1
        return Telemetry(
            spool=self.spool, seq=self.seq, oldest=self.seq if oldest is None else oldest,
            boot=self.boot, time=at_s, uptime_s=at_s - self.booted_s, window_s=self.seconds,
            lost=0, pipelines={name: self.window() for name in self.pipelines},
            health=Health(
                cpu_percent=(20.0, 40.0), memory=MEMORY, disk=DISK,
                temperatures_c={"cpu": self.hottest_c}, clock_synchronised=True,
                throttle=Throttle(now=self.throttled),
            ),
        )  # fmt: skip

    def telemetry(self, at_s: float, oldest: int | None = None) -> Heard:
        return Heard(self.name, "telemetry", to_json(self.record(at_s, oldest)), at_s)

    def event(
        self, at_s: float, text: str, kind: EventKind = "note", update: Update | None = None
    ) -> Heard:
        self.seq += 1
        told = Event(
            self.spool, self.seq, self.seq, self.boot, at_s, at_s - self.booted_s, kind,
            "camera" if kind != "update" else "model", self.pipelines[0], text, update,
        )  # fmt: skip
        return Heard(self.name, "event", to_json(told), at_s)

    def phase(self, at_s: float, phase: UpdatePhase, deployment: int = 3) -> Heard:
        told = Update(phase, "digits", "2", "e" * 64, deployment, at_s, reason=f"so {phase}")
        return self.event(at_s, f"digits 2: {phase}", "update", told)

    def presence(self, at_s: float, online: bool) -> Heard:
        told = Presence(online, self.boot, "session", self.spool)
        return Heard(self.name, "presence", to_json(told), at_s)

    def state(self, at_s: float) -> Heard:
        lane = PipelineState(
            "serving", "digits", self.version, "d" * 64, "null", "synthetic://", None, 0,
            PipelineSettings(),
        )  # fmt: skip
        told = State(
            "1.0", "Raspberry Pi 4", ("north",), self.boot, "registry", self.seconds, "info",
            False, (), None, dict.fromkeys(self.pipelines, lane),
        )  # fmt: skip
        return Heard(self.name, "state", to_json(told), at_s)
