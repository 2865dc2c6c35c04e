"""What a simulated device says of itself: made up, and as a real one would say it."""

from __future__ import annotations

import random
import secrets
import time
from dataclasses import dataclass

from wire.health import Disk, Health, Memory
from wire.histogram import Counts, Histogram
from wire.messages import (
    Event,
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
from wire.version import VERSION

FPS = 30
CAMERA, ENGINE, BOARD = "simulated", "simulated", "Simulated"
MEMORY = Memory(total=4 << 30, available=3 << 30)
DISK = Disk(total=32 << 30, free=20 << 30)


@dataclass(frozen=True)
class Running:
    """What a pipeline runs. digest: of the bundle."""

    model: str
    version: str
    digest: str


class Teller:
    """The words of one device. What it counts is in nobody's spool: each record is sent once."""

    def __init__(self, device: str, pipeline: str, period_s: float) -> None:
        self.runs: Running | None = None
        self.update: Update | None = None
        self.trusted: Trusted | None = None
        self.faults: tuple[str, ...] = ()
        self._pipeline = pipeline
        self._period_s = period_s
        self._boot = secrets.token_hex(16)
        self._spool = f"{secrets.token_hex(8)}-simulated"
        self._seq = 0
        self._began_s = time.monotonic()
        self._stages = _stages(random.Random(device))  # noqa: S311 - made-up figures

    def presence(self, session: str, online: bool) -> Presence:
        return Presence(online, self._boot, session, self._spool)

    def state(self) -> State:
        runs = self.runs
        pipeline = PipelineState(
            phase="no_model" if runs is None else "serving",
            model="" if runs is None else runs.model,
            version=None if runs is None else runs.version,
            digest=None if runs is None else runs.digest,
            engine=None if runs is None else ENGINE,
            camera=CAMERA,
            absent=None,
            restarts=0,
            settings=PipelineSettings(),
            update=self.update,
        )
        return State(
            agent=VERSION,
            board=BOARD,
            groups=(),
            boot=self._boot,
            acknowledged_by="broker",
            telemetry_s=self._period_s,
            log_level="info",
            snapshots=False,
            faults=self.faults,
            config=None,
            pipelines={self._pipeline: pipeline},
            trusted=self.trusted,
        )

    def event(self, text: str) -> Event:
        """That the update came into another phase."""
        self._seq += 1
        return Event(
            self._spool, self._seq, self._seq, self._boot, time.time(), self._uptime_s(),
            "update", "model", self._pipeline, text, self.update,
        )  # fmt: skip

    def telemetry(self) -> Telemetry:
        self._seq += 1
        return Telemetry(
            spool=self._spool,
            seq=self._seq,
            oldest=self._seq,
            boot=self._boot,
            time=time.time(),
            uptime_s=self._uptime_s(),
            window_s=self._period_s,
            lost=0,
            pipelines={self._pipeline: self._window()},
            health=Health(cpu_percent=(20.0,) * 4, memory=MEMORY, disk=DISK),
        )

    def _window(self) -> Window:
        runs = self.runs or Running("", "", "")
        is_serving = self.runs is not None
        return Window(
            model=runs.model,
            version=runs.version,
            digest=runs.digest,
            engine=ENGINE,
            camera=CAMERA,
            phase="serving" if is_serving else "no_model",
            absent=None,
            seconds=self._period_s,
            frames=int(FPS * self._period_s) if is_serving else 0,
            fps=float(FPS) if is_serving else 0.0,
            losses=Losses(),
            stages=self._stages,
            restarts=0,
        )

    def _uptime_s(self) -> float:
        return time.monotonic() - self._began_s


def _stages(chance: random.Random) -> StageCounts:
    """A second's worth of plausible figures, always the same of one device."""

    def counts(usual_us: float) -> Counts:
        grown = Histogram()
        for _ in range(FPS):
            grown.record_ns(int(usual_us * 1000 * chance.lognormvariate(0.0, 0.2)))
        return grown.counts()

    return StageCounts(*(counts(usual_us) for usual_us in (150.0, 100.0, 4000.0, 40.0, 4300.0)))
