"""Measures one combination in this process, within about so many seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from runtime.cameras import open_camera
from runtime.engines import EngineOptions
from runtime.locating import locate
from runtime.loop import Loop, Model
from runtime.measuring import Bench, paired
from runtime.memory import peak_rss_bytes
from runtime.opening import open_model
from runtime.suite import Measured

WARM_S = 0.2  # until caches, clocks and allocators are as they will be
FEWEST, MOST = 10, 2000  # pairs, and frames
PAIRED_SHARE = 0.75  # of the time; the rest is for whole frames alone


def measure(
    path: Path, engine_kind: str, options: EngineOptions, camera_uri: str, seconds: float
) -> Measured:
    """Open model and camera, and measure both. Raises Refused, Unavailable, Ended, NoFrames.

    The accelerator is the one that was asked for, or there is a trouble: figures of the processor
    would pass for its own."""
    with locate(path, engine_kind) as located:
        model = open_model(located, options)
        try:
            return _measured(model, camera_uri, seconds)
        finally:
            model.engine.close()


def _measured(model: Model, camera_uri: str, seconds: float) -> Measured:
    bench = Bench()
    with open_camera(camera_uri, model.aim) as camera:
        loop = Loop(camera, model, bench.emit)

        def pair() -> None:
            model.engine.run()
            bench.step(loop)

        _warm(pair)
        count = _fitting(pair, PAIRED_SHARE * seconds)
        pairs = paired(bench, loop, count)
        carried_us = _carried_us(bench, loop, (1 - PAIRED_SHARE) * seconds)
    return Measured(
        f"{model.manifest.name} {model.manifest.version}",
        model.digest,
        count,
        pairs.raw,
        pairs.end_to_end,
        pairs.preprocess,
        pairs.overhead_us,
        pairs.overhead_ratio,
        1e6 / carried_us,
        peak_rss_bytes() / 2**20,
    )


def _warm(pair: Callable[[], None]) -> None:
    end_s = time.monotonic() + WARM_S
    pair()
    while time.monotonic() < end_s:
        pair()


def _fitting(turn: Callable[[], None], seconds: float) -> int:
    """How many turns fit into that time, by the median of three."""
    each_s = []
    for _ in range(3):
        before_s = time.monotonic()
        turn()
        each_s.append(time.monotonic() - before_s)
    return max(FEWEST, min(MOST, int(seconds / median(each_s))))


def _carried_us(bench: Bench, loop: Loop, seconds: float) -> float:
    """The median time from a frame in hand until its result was given away, one after another."""
    taken: list[int] = []
    end_s = time.monotonic() + seconds
    while len(taken) < FEWEST or (time.monotonic() < end_s and len(taken) < MOST):
        read_ns = bench.step(loop).timing.read_ns
        taken.append(time.monotonic_ns() - read_ns)
    return median(taken) / 1e3
