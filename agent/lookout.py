"""Looks at what may be wrong with the device; what is new in that becomes events."""

from __future__ import annotations

import contextlib
import faulthandler
import sys
from collections.abc import Callable

from agent.clock import Clock
from agent.recorder import Recorder
from agent.reported import pipeline_fault
from agent.runtimes import Runtimes
from wire.config import Pipeline, PipelineLimits
from wire.health import Health
from wire.messages import Window
from wire.pulse import Watch

JUMP_S = 60.0  # a clock that jumps by more is worth an event
LEAST_FRAMES = 20  # a 95th percentile of fewer says nothing

THROTTLED = {
    "under_voltage": "the supply voltage is too low: use a stronger supply or a shorter cable",
    "frequency_capped": "the processor's clock is capped",
    "throttled": "the processor is slowed down by heat or by low voltage",
    "soft_temperature_limit": "the processor is near its temperature limit: cool it better",
}


class Lookout:
    """What the device's own parts say is wrong; the broker side is told by its owner."""

    def __init__(
        self,
        recorder: Recorder,
        runtimes: Runtimes,
        pipelines: dict[str, Pipeline],
        clock: Clock,
    ) -> None:
        self._recorder = recorder
        self._runtimes = runtimes
        self._pipelines = pipelines
        self._clock = clock
        self._wall_ahead_s = clock.wall_s() - clock.uptime_s()
        recorder.faults.keep_only(frozenset(pipelines))
        recorder.ledger.keep_only(frozenset(pipelines))

    def look(self, now_s: float, damage: Callable[[str], str | None]) -> None:
        """Find what is wrong now. What is new in it becomes events. damage: which model of a
        pipeline is damaged on disk."""
        faults, missing = self._recorder.faults, self._runtimes.missing(now_s)
        for name in sorted(self._runtimes.names):
            totals = self._recorder.ledger.latest(name)
            failure = self._runtimes.failure(name)
            if self._runtimes.is_known(name, now_s) or failure is not None:
                wrong = pipeline_fault(totals, failure, name in missing, name)
                faults.tell("pipeline", name, wrong)  # else what was said before we started stands
            if totals is not None and name not in missing:
                faults.tell("camera", name, totals.absent)
                faults.tell("model", name, damage(name) or totals.unloaded)
                faults.tell("accelerator", name, totals.degraded)
        faults.tell("power", None, power_fault(self._recorder.health))
        self._recorder.say(faults.due(now_s))

    def judge(self, windows: dict[str, Window]) -> None:
        """Hold the newest windows against the limits of the configuration."""
        faults = self._recorder.faults
        for name in windows.keys() & self._pipelines.keys():
            window, limits = windows[name], self._pipelines[name].limits
            if window.stages.end_to_end.count >= LEAST_FRAMES:  # else nothing new is known
                faults.tell("latency", name, latency_fault(window, limits))
            if window.rss_bytes is not None:
                faults.tell("memory", name, memory_fault(window.rss_bytes, limits))

    def look_at_threads(self, watch: Watch) -> None:
        """Raises RuntimeError if one hangs: nobody can end it, but who starts anew has others."""
        if (why := watch.look()) is None:
            return
        self._recorder.note("agent", None, f"{why}: the agent starts anew")
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # there may be no stderr
            faulthandler.dump_traceback(sys.__stderr__ or 2)
        raise RuntimeError(why)

    def look_at_clock(self) -> bool:
        """Whether the system clock jumped. That is an event: it explains times that make no
        sense."""
        ahead_s = self._clock.wall_s() - self._clock.uptime_s()
        by_s = ahead_s - self._wall_ahead_s
        self._wall_ahead_s = ahead_s
        if abs(by_s) <= JUMP_S:
            return False
        way = "forward" if by_s > 0 else "back"
        self._recorder.note("clock", None, f"the clock was set {way} by {abs(by_s):.0f} s")
        return True


def latency_fault(window: Window, limits: PipelineLimits) -> str | None:
    """Whether the frames of a window took longer than [pipeline.NAME.limits] allows."""
    p95_us = window.stages.end_to_end.percentile(0.95)
    if limits.p95_ms is None or p95_us is None or p95_us <= limits.p95_ms * 1000:
        return None
    slowed = f" (throttled: {', '.join(window.throttled)})" if window.throttled else ""
    took = f"95 % of the frames took up to {p95_us / 1000:.1f} ms"
    return f"{took}, {limits.p95_ms:g} ms is the limit{slowed}"


def memory_fault(rss_bytes: int, limits: PipelineLimits) -> str | None:
    """Whether a runtime uses more memory than [pipeline.NAME.limits] allows."""
    if limits.memory_mib is None or rss_bytes <= limits.memory_mib * 2**20:
        return None
    return f"its process uses {rss_bytes / 2**20:.0f} MiB, {limits.memory_mib} MiB is the limit"


def power_fault(health: Health) -> str | None:
    """Why the board is slowed down now, or None."""
    if health.throttle is None or not health.throttle.now:
        return None
    return "; ".join(THROTTLED.get(reason, reason) for reason in health.throttle.now)
