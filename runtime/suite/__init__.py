"""What a suite is: every engine that works here, with every model, camera and number of threads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runtime.panel import Spread

FORM = 1  # of the JSON


@dataclass(frozen=True)
class Combination:
    """What is measured together. model: its short name. accelerator: None: the processor alone.
    camera: its URI, without secrets."""

    model: str
    engine: str
    accelerator: str | None
    threads: int
    camera: str


@dataclass(frozen=True)
class Job:
    """One combination, and what its process must be told. camera: the URI as it was typed."""

    of: Combination
    path: Path
    camera: str


@dataclass(frozen=True)
class Measured:
    """What one combination takes; times in microseconds, from bare engine calls and whole frames in
    turn.

    version: the model's own name and version. pairs: of such turns. overhead_us, overhead_ratio:
    what a whole frame takes beside the bare call, and the medians of frame over call, pair by pair.
    frames_per_s: what the loop carries, by the median time from a frame in hand to its result: a
    camera gives as many only if it is as quick. peak_rss_mib: of the whole process.
    """

    version: str
    digest: str
    pairs: int
    raw_us: Spread
    end_to_end_us: Spread
    preprocess_us: Spread
    overhead_us: float
    overhead_ratio: float
    frames_per_s: float
    peak_rss_mib: float


@dataclass(frozen=True)
class Row:
    """A combination and its figures, or why there are none."""

    of: Combination
    measured: Measured | None
    trouble: str | None


@dataclass(frozen=True)
class EngineHere:
    """An engine that was asked for, and why it does not work here."""

    name: str
    trouble: str | None


@dataclass(frozen=True)
class Machine:
    """Where and when it was measured. load: the system's, over a minute, when it began: what
    other programs take makes figures worse."""

    processor: str
    cores: int
    system: str
    python: str
    vedette: str
    began: str
    load: float


@dataclass(frozen=True)
class Worse:
    """What the earlier run did better. before, now: of `figure`; None: it does not run any more."""

    of: Combination
    figure: str
    before: float
    now: float | None


@dataclass(frozen=True)
class Suite:
    """One run of the suite, as its JSON has it. worse: None where nothing was compared."""

    form: int
    machine: Machine
    engines: tuple[EngineHere, ...]
    rows: tuple[Row, ...]
    worse: tuple[Worse, ...] | None = None


def threads_in_words(of: Combination) -> str:
    return f"{of.threads} thread" + ("s" if of.threads > 1 else "")


def engine_in_words(of: Combination) -> str:
    """`onnxruntime`, or `onnxruntime+cuda`"""
    return of.engine + (f"+{of.accelerator}" if of.accelerator else "")


def camera_in_words(of: Combination) -> str:
    """The size alone of a synthetic camera."""
    return of.camera.removeprefix("synthetic://")
