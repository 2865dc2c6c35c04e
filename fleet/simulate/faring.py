"""How a simulated device fares in one window: heat, load, frames, and what goes wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fleet.simulate.character import Character
from fleet.simulate.running import Running
from fleet.simulate.shapes import spread
from wire.health import Disk, Health, Memory, Throttle, Traffic
from wire.histogram import Counts
from wire.messages import Losses, Scores, StageCounts, Window
from wire.results import Figures, Spread, StageSpreads

DISK_BYTES = 32 << 30
SOFT, WEAK = "soft_temperature_limit", "under_voltage"
WRONG = (
    ("camera", "it went away: plug it in again"),
    ("memory", "less than 5 % is free: what needs so much?"),
    ("clock", "it is not synchronised: is a time server within reach?"),
    ("latency", "frames take longer than they may: is something else running?"),
)
BENCH_S = 60.0  # over which a bench's figures are made up
ILL_WINDOWS, WELL_WINDOWS = 6, 40  # of a frail one, in turns


@dataclass(frozen=True)
class Faring:
    """load: 0 to 1. is_hot: too much so. chance: 0 to 1, of this window."""

    warm_c: float
    load: float
    is_hot: bool
    is_weak: bool
    chance: float

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is slowed down."""
        return (WEAK,) * self.is_weak + (SOFT,) * self.is_hot


def fault_of(character: Character, windows: int) -> tuple[str, str] | None:
    """What is wrong with it in this window: a subject, and what."""
    if not character.is_frail:
        return None
    turn = windows + int(character.place * 1000)
    round_, at = divmod(turn, ILL_WINDOWS + WELL_WINDOWS)
    return WRONG[round_ % len(WRONG)] if at < ILL_WINDOWS else None


def window_of(
    character: Character,
    faring: Faring,
    seconds: float,
    runs: Running,
    seen: tuple[str, Literal["serving", "no_model", "no_camera"], str | None],
) -> Window:
    """seen: the camera, the phase, and why the camera is absent."""
    kind = character.kind
    slowness = character.slowness * (1.6 if faring.is_hot else 1.0) * (0.97 + 0.06 * faring.chance)
    inference_us = kind.inference_us * slowness
    came = int(kind.fps * seconds) if seen[1] == "serving" else 0
    took_us = inference_us * 1.08 + 600.0
    frames = min(came, int(1e6 * seconds / took_us))
    frames -= int(frames * character.skips * faring.chance)
    losses = Losses(
        skipped=came - frames, driver=int(character.skips * came * 0.05 * (faring.chance > 0.7))
    )
    stages = StageCounts(
        queue=spread(frames, 220.0, 0.3),
        preprocess=spread(frames, 0.02 * kind.inference_us + 90.0, 0.12),
        inference=spread(frames, inference_us, 0.12),
        postprocess=spread(frames, 45.0, 0.3),
        end_to_end=spread(frames, took_us, 0.12),
    )
    found = int(frames * (0.2 + 0.6 * faring.chance))
    return Window(
        model=runs.model,
        version=runs.version,
        digest=runs.digest,
        engine=runs.engine,
        camera=seen[0],
        phase=seen[1],
        absent=seen[2],
        seconds=seconds,
        frames=frames,
        fps=frames / seconds if seconds >= 1 else None,
        losses=losses,
        stages=stages,
        restarts=0,
        scores=Scores(found, found * (0.75 + 0.2 * faring.chance)),
        rss_bytes=90 << 20,
        throttled=faring.reasons,
    )


def bench_of(character: Character, runs: Running, frames: int) -> Figures:
    """A bench of so many frames, on a usual day."""
    usual = Faring(character.kind.idle_c, 0.4, is_hot=False, is_weak=False, chance=0.5)
    window = window_of(character, usual, BENCH_S, runs, ("", "serving", None))
    assert window.fps is not None
    seconds = frames / window.fps
    stages = window.stages
    return Figures(
        frames=frames,
        wanted=frames,
        seconds=round(seconds, 3),
        fps=window.fps,
        model=runs.model,
        version=runs.version,
        digest=runs.digest,
        engine=runs.engine,
        losses=Losses(skipped=int(window.losses.skipped * seconds / BENCH_S)),
        stages_us=StageSpreads(
            queue=_spread_of(stages.queue),
            preprocess=_spread_of(stages.preprocess),
            inference=_spread_of(stages.inference),
            postprocess=_spread_of(stages.postprocess),
            end_to_end=_spread_of(stages.end_to_end),
        ),
    )


def _spread_of(counts: Counts) -> Spread:
    p50, p95, p99 = (round(counts.percentile(share) or 0.0, 1) for share in (0.5, 0.95, 0.99))
    return Spread(p50, p95, p99)


def health_of(character: Character, faring: Faring, uptime_s: float) -> Health:
    kind, percent = character.kind, 100.0 * faring.load
    is_slowed = bool(faring.reasons)
    used = int(kind.memory_bytes * (0.25 + 0.15 * character.place + 0.02 * faring.chance))
    load = round(4 * faring.load, 2)
    carried = int(uptime_s * 300)
    return Health(
        cpu_percent=tuple(round(percent * share, 1) for share in (1.3, 0.8, 1.0, 0.9)),
        load=(load, load, load),
        memory=Memory(kind.memory_bytes, kind.memory_bytes - used),
        process_rss={"agent": 31 << 20, "runtime": 90 << 20},
        disk=Disk(DISK_BYTES, int(DISK_BYTES * (0.4 + 0.4 * character.place))),
        temperatures_c={kind.sensor: round(faring.warm_c, 1)},
        clocks_mhz={"cpu": kind.clock_mhz * (0.6 if is_slowed else 1.0)},
        network={"eth0": Traffic(carried, 3 * carried, 0, 0)},
        uptime_s=round(uptime_s, 1),
        clock_synchronised=True,
        throttle=Throttle(faring.reasons, faring.reasons),
    )
