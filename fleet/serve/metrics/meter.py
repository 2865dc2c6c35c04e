"""Counters of the whole fleet, as Prometheus wants them: they only grow while this process lives.

They begin when somebody first asks for them, and grow by each newest record of a device. A record
that comes late, when a newer one is there already, is in the registry and not here: a rate over the
last minutes is of what devices do now.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from msgspec.structs import asdict

from fleet.live.totals import STAGES
from fleet.live.view import LiveView
from fleet.registry.words import Known
from fleet.serve.metrics.grown import Grown
from fleet.wording import plural
from wire.messages import Window

MOST_RELEASES = 200  # names of models are strangers' words; what is beyond counts together
BEYOND = ("other", "other")
STEP_S = 1.0


@dataclass
class Release:
    """What one model version counted. losses: frames, by reason."""

    frames: int = 0
    losses: dict[str, int] = field(default_factory=dict)
    stages: dict[str, Grown] = field(default_factory=lambda: {each: Grown() for each in STAGES})

    def copy(self) -> Release:
        stages = {stage: grown.copy() for stage, grown in self.stages.items()}
        return Release(self.frames, dict(self.losses), stages)


class Meter:
    """Any thread; one at a time works. is_wanted: somebody has asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, Known] | None = None
        self.is_wanted = False
        self.releases: dict[tuple[str, str], Release] = {}
        self.records = 0

    def take(self, known: dict[str, Known]) -> None:
        """The devices as they are now. The first time is what later ones are compared with."""
        with self._lock:
            before, self._seen = self._seen, known
            if before is None or before is known:
                return
            for name, each in known.items():
                was = before.get(name)
                if was is not each and _is_new(was, each):
                    self._add(each)

    def counted(self) -> tuple[int, dict[tuple[str, str], Release]]:
        """How many records there were, and what was counted of each model and version: all of one
        moment, as Prometheus refuses a histogram whose buckets are not its count."""
        with self._lock:
            return self.records, {name: each.copy() for name, each in self.releases.items()}

    def _add(self, known: Known) -> None:
        assert known.telemetry is not None
        self.records += 1
        for window in known.telemetry.pipelines.values():
            release = self._release(window)
            release.frames += window.frames
            for reason, count in asdict(window.losses).items():
                release.losses[reason] = release.losses.get(reason, 0) + count
            for stage in STAGES:
                release.stages[stage].add(getattr(window.stages, stage))

    def _release(self, window: Window) -> Release:
        name = (window.model, window.version)
        if name not in self.releases and len(self.releases) >= MOST_RELEASES:
            name = BEYOND
        return self.releases.setdefault(name, Release())


def _is_new(was: Known | None, now: Known) -> bool:
    """Whether a record came that was not there before."""
    if now.telemetry is None:
        return False
    if was is None or was.telemetry is None:
        return True
    return (was.telemetry.spool, was.telemetry.seq) != (now.telemetry.spool, now.telemetry.seq)


class MeterPart:
    """Counts on a thread of its own, once somebody wants it."""

    def __init__(self, meter: Meter, live: LiveView) -> None:
        self._meter = meter
        self._live = live
        self._ended = threading.Event()

    def step(self) -> None:
        if self._meter.is_wanted:
            self._meter.take(self._live.sight.known)
        self._ended.wait(STEP_S)

    def status(self) -> str:
        if not self._meter.is_wanted:
            return "nobody asks for /metrics"
        return f"{plural(self._meter.records, 'record')} counted"

    def trouble(self) -> str | None:
        return None

    def close(self) -> None:
        self._ended.set()
