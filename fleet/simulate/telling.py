"""What a simulated device says of itself: made up, and as a real one of its character would."""

from __future__ import annotations

import math
import random
import secrets
import time
from dataclasses import dataclass
from typing import Literal

from msgspec.structs import replace

from fleet.simulate.character import character_of
from fleet.simulate.faring import Faring, fault_of, health_of, window_of
from fleet.simulate.running import Running
from wire.messages import (
    Event,
    EventKind,
    LogLevel,
    PipelineSettings,
    PipelineState,
    Presence,
    State,
    Telemetry,
    Trusted,
    Update,
)
from wire.version import VERSION

CAMERA = "simulated"
WATCH_S = 10.0  # between two records while somebody watches


@dataclass(frozen=True)
class Saying:
    """A word for an event."""

    kind: EventKind
    subject: str
    text: str


class Teller:
    """The words of one device. Its records have no number yet: see fleet/simulate/records.py."""

    def __init__(
        self, device: str, pipeline: str, period_s: float, allows_snapshots: bool = False
    ) -> None:
        self.character = character_of(device)
        self.runs: Running | None = None
        self.update: Update | None = None
        self.trusted: Trusted | None = None
        self.trouble: str | None = None  # with its trust
        self.settings = PipelineSettings()
        self.log_level: LogLevel = "info"
        self.restarts = 0
        self.is_watched = False  # it tells more often
        self._fault: tuple[str, str] | None = None  # what is made up: its subject, what is wrong
        self._pipeline = pipeline
        self._period_s = period_s
        self._allows_snapshots = allows_snapshots
        self._boot = secrets.token_hex(16)
        # for weeks, or for a while
        self._uptime_s = 3600.0 * (1 + 900 * self.character.place)
        self._began_s = time.monotonic()
        self._windows = 0
        self._chance = random.Random(device)  # noqa: S311 - made-up figures

    @property
    def who(self) -> tuple[tuple[str, ...], str]:
        """Its groups and its board."""
        return self.character.groups, self.character.kind.board

    def presence(self, session: str, spool: str, online: bool) -> Presence:
        return Presence(online, self._boot, session, spool)

    def state(self, acknowledged_by: Literal["broker", "registry"]) -> State:
        runs = self.runs
        pipeline = PipelineState(
            phase=self._phase,
            model="" if runs is None else runs.model,
            version=None if runs is None else runs.version,
            digest=None if runs is None else runs.digest,
            engine=None if runs is None else runs.engine,
            camera=CAMERA,
            absent=self.absent,
            restarts=self.restarts,
            settings=self.settings,
            update=self.update,
        )
        return State(
            agent=VERSION,
            board=self.character.kind.board,
            groups=self.character.groups,
            boot=self._boot,
            acknowledged_by=acknowledged_by,
            telemetry_s=min(self._period_s, WATCH_S) if self.is_watched else self._period_s,
            log_level=self.log_level,
            snapshots=self._allows_snapshots,
            faults=self._faults(),
            config=None,
            pipelines={self._pipeline: pipeline},
            trusted=self.trusted,
        )

    def said(self, saying: Saying) -> Event:
        """An event about its pipeline."""
        update = self.update if saying.kind == "update" else None
        return Event(
            "", 0, 0, self._boot, time.time(), self._now_s(), saying.kind, saying.subject,
            self._pipeline, saying.text, update,
        )  # fmt: skip

    def turned(self) -> Saying | None:
        """How it is with what is made up to be wrong: what is new about that, once a window."""
        before = self._fault
        self._fault = fault_of(self.character, self._windows)
        if self._fault == before:
            return None
        if self._fault is not None:
            return Saying("fault", *self._fault)
        assert before is not None
        return Saying("recovered", before[0], f"over: {before[1]}")

    def seen(self) -> tuple[int, float]:
        """What its camera shows now: a digit, and where, 0 to 1."""
        return self._chance.randrange(10), round(self._chance.random(), 1)

    def telemetry(self, seconds: float | None = None) -> Telemetry:
        """Of the window that ends now. seconds: that it covers, usually a period."""
        self._windows += 1
        window_s = self._period_s if seconds is None else seconds
        faring = self._faring()
        runs = self.runs or Running("", "", "", "")
        return Telemetry(
            spool="",
            seq=0,
            oldest=0,
            boot=self._boot,
            time=time.time(),
            uptime_s=self._now_s(),
            window_s=window_s,
            lost=0,
            pipelines={
                self._pipeline: replace(
                    window_of(
                        self.character, faring, window_s, runs,
                        (CAMERA, self._phase, self.absent),
                    ),
                    restarts=self.restarts,
                )
            },
            health=health_of(self.character, faring, self._now_s()),
        )  # fmt: skip

    def _faring(self) -> Faring:
        """How it fares in this window."""
        one, chance = self.character, self._chance.random
        # a day of a quarter of an hour, so that something is seen of it
        day = math.sin(2 * math.pi * (self._now_s() / 900.0 + one.place))
        warm_c = one.kind.idle_c + one.warmth_c + 4.0 * day + chance()
        load = 0.35 + 0.1 * day + 0.1 * chance() if self._phase == "serving" else 0.05
        return Faring(warm_c, load, warm_c >= one.kind.hot_c, one.is_weak and chance() < 0.5,
                      chance())  # fmt: skip

    @property
    def _phase(self) -> Literal["serving", "no_model", "no_camera"]:
        if self.runs is None:
            return "no_model"
        return "no_camera" if self.absent else "serving"

    @property
    def absent(self) -> str | None:
        """Why its camera is not there."""
        is_camera = self._fault is not None and self._fault[0] == "camera"
        return "it went away" if is_camera else None

    def _faults(self) -> tuple[str, ...]:
        found = [] if self.trouble is None else [f"trust: {self.trouble}"]
        if self._fault is not None:
            found.append(f"{self._pipeline}: {self._fault[0]}: {self._fault[1]}")
        return tuple(found)

    def _now_s(self) -> float:
        """Since its boot."""
        return self._uptime_s + time.monotonic() - self._began_s
