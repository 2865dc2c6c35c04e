"""What the loop costs beside the bare engine call: measured in one run, interleaved."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from runtime.cameras import Camera
from runtime.loop import Loop, Result
from runtime.panel import Spread

BLOCKS = 8  # camera alone, engine alone and the whole loop take turns so many times
PATIENCE_S = 10.0
PR_SET_PTRACER = 0x59616D61


class NoFrames(Exception):
    """The camera gave too few frames to measure."""


@dataclass(frozen=True)
class Paired:
    """Bare engine calls and whole frames in turn, as pairs of neighbours.

    overhead_ratio: the median of end_to_end over raw, pair by pair; overhead_us likewise.
    own_us: what a frame costs besides the engine call and preprocessing, the result's way included.
    """

    raw: Spread
    end_to_end: Spread
    preprocess: Spread
    own: Spread
    overhead_us: float
    overhead_ratio: float


@dataclass(frozen=True)
class Flowing:
    """Time per frame of the camera alone, the engine alone, and the loop flat out; medians of
    blocks, in microseconds. ratio: the loop over the slower of the two."""

    camera_us: float
    raw_us: float
    frame_us: float
    ratio: float


class Bench:
    """Steps a loop and keeps the stamps. The loop must have been made with `emit=bench.emit`."""

    def __init__(self) -> None:
        self.newest: Result | None = None

    def emit(self, result: Result) -> None:
        self.newest = result

    def step(self, loop: Loop) -> Result:
        """One whole frame."""
        end_s = time.monotonic() + PATIENCE_S
        while not loop.step(0.5):
            if time.monotonic() > end_s:
                raise NoFrames(f"no frame came within {PATIENCE_S:g} s")
        assert self.newest is not None
        return self.newest


def paired(bench: Bench, loop: Loop, frames: int) -> Paired:
    """One bare engine call, one whole frame, and again."""
    raws, ends, prepares, owns, ratios = [], [], [], [], []
    run = loop.model.engine.run
    for _ in range(frames):
        before = time.monotonic_ns()
        run()
        raw = time.monotonic_ns() - before
        timing = bench.step(loop).timing
        out = time.monotonic_ns()
        prepare = timing.prepared_ns - timing.read_ns
        end = timing.decoded_ns - timing.captured_ns
        raws.append(raw)
        ends.append(end)
        prepares.append(prepare)
        owns.append(out - timing.captured_ns - prepare - (timing.inferred_ns - timing.prepared_ns))
        ratios.append(end / raw)
    overhead = median(end - raw for end, raw in zip(ends, raws, strict=True)) / 1e3
    return Paired(
        spread(raws), spread(ends), spread(prepares), spread(owns), overhead, median(ratios)
    )


def flowing(bench: Bench, loop: Loop, camera: Camera, frames: int) -> Flowing:
    """The camera alone, the engine alone, and both joined, in turn."""
    count = max(2, frames // BLOCKS)
    run = loop.model.engine.run
    alone, raws, joined = [], [], []
    for _ in range(BLOCKS):
        _drain(camera, 2)
        alone.append(_timed(lambda: _drain(camera, 1), count))
        raws.append(_timed(run, count))
        bench.step(loop)
        joined.append(_timed(lambda: bench.step(loop), count))
    camera_us, raw_us, frame_us = median(alone), median(raws), median(joined)
    return Flowing(camera_us, raw_us, frame_us, frame_us / max(camera_us, raw_us))


def allocated_per_frame(bench: Bench, loop: Loop, frames: int) -> int:
    """The most bytes that one frame had allocated at a time, as Python's allocators and numpy
    count them (OpenCV's and the engine's inner work is not seen)."""
    tracemalloc.start()
    try:
        for _ in range(5):
            bench.step(loop)
        most = 0
        for _ in range(frames):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            bench.step(loop)
            most = max(most, tracemalloc.get_traced_memory()[1] - before)
        return most
    finally:
        tracemalloc.stop()


def calls_per_frame(bench: Bench, loop: Loop, frames: int) -> float | None:
    """System calls of the whole process per frame, counted by strace; None where it cannot."""
    strace = shutil.which("strace")
    if strace is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder) / "counts"
        tracer = subprocess.Popen(
            [strace, "-f", "-c", "-U", "calls,name", "-o", str(counts), "-p", str(os.getpid())],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        ctypes.CDLL(None).prctl(PR_SET_PTRACER, tracer.pid, 0, 0, 0)
        attached = _wait_for_tracer(tracer)
        for _ in range(frames):
            bench.step(loop)
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
        if not attached or not counts.exists():
            return None
        return _total(counts.read_text()) / frames


def _wait_for_tracer(tracer: subprocess.Popen[bytes]) -> bool:
    end_s = time.monotonic() + 3
    while time.monotonic() < end_s and tracer.poll() is None:
        if f"TracerPid:\t{tracer.pid}" in Path("/proc/self/status").read_text():
            return True
        time.sleep(0.02)
    return False


def _total(table: str) -> int:
    for line in table.splitlines():
        columns = line.split()
        if columns[-1:] == ["total"]:
            return int(columns[0])
    return 0


def _drain(camera: Camera, frames: int) -> None:
    for _ in range(frames):
        frame = camera.read(PATIENCE_S)
        if frame is None:
            raise NoFrames(f"no frame came within {PATIENCE_S:g} s")
        frame.release()


def _timed(call: object, count: int) -> float:
    """Microseconds per call."""
    assert callable(call)
    before = time.monotonic_ns()
    for _ in range(count):
        call()
    return (time.monotonic_ns() - before) / count / 1e3


def spread(durations_ns: Sequence[int]) -> Spread:
    """Exact median, 95 % and 99 %, in microseconds."""
    ordered = sorted(durations_ns)
    last = len(ordered) - 1
    return Spread(*(ordered[round(share * last)] / 1e3 for share in (0.5, 0.95, 0.99)))
