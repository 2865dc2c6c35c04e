"""Which combinations a suite has: what is possible of what was asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.engines import FOR_FORMAT
from runtime.engines.accelerators import is_delegate, parse
from runtime.suite import Combination, Job, Row
from runtime.suite.naming import Named
from wire.masking import masked

ENGINES = tuple(
    dict.fromkeys(kind for kinds in FOR_FORMAT.values() for kind in kinds if kind != "null")
)
CAMERAS = ("synthetic://320x240", "synthetic://640x480", "synthetic://1280x720")


@dataclass(frozen=True)
class Wanted:
    """What the user asks for, or what is usual."""

    engines: tuple[str, ...]
    accelerators: tuple[str, ...]
    threads: tuple[int, ...]
    cameras: tuple[str, ...]


def usual_threads() -> tuple[int, ...]:
    """One, and all but one; where these are the same, once."""
    return tuple(dict.fromkeys((1, max(1, len(os.sched_getaffinity(0)) - 1))))


def jobs(models: Sequence[Named], wanted: Wanted, engines: Sequence[str]) -> list[Job]:
    """Every combination that can be tried. engines: of those wanted, the ones that work here."""
    return [
        Job(Combination(model.name, engine, accelerator, threads, masked(camera)),
            model.path, camera)
        for model in models
        for engine in engines if _runs(engine, model)
        for accelerator, threads in _processors(engine, wanted)
        for camera in wanted.cameras
    ]  # fmt: skip


def impossible(models: Sequence[Named], wanted: Wanted) -> list[Row]:
    """Models of which nothing can be measured, and why."""
    rows = []
    for model in models:
        why = model.trouble
        if why is None and not any(_runs(engine, model) for engine in wanted.engines):
            why = f"no engine that was asked for runs {' or '.join(model.formats)}"
        if why is not None:
            rows.append(Row(Combination(model.name, "", None, 0, ""), None, why))
    return rows


def command_of(job: Job, seconds: float) -> list[str]:
    """The words after `python -m runtime measure`."""
    words = [str(job.path), "--engine", job.of.engine, "--camera", absolute(job.camera)]
    words += ["--threads", str(job.of.threads), "--seconds", f"{seconds:g}"]
    return words + ([f"--accelerator={job.of.accelerator}"] if job.of.accelerator else [])


def absolute(camera: str) -> str:
    """A file's URI from the root on: the process that opens it runs elsewhere."""
    kind, mark, path = camera.partition("file://")
    if kind or not mark or path.startswith("/"):
        return camera
    return f"file://{Path.cwd()}/{path}"


def _runs(engine: str, model: Named) -> bool:
    return any(engine in FOR_FORMAT[each] for each in model.formats)


def _processors(engine: str, wanted: Wanted) -> Iterator[tuple[str | None, int]]:
    """The processor with each number of threads; each accelerator with the most of them, since what
    it cannot do is left to the processor."""
    if engine == "tensorrt":  # is an accelerator, and its host's threads are no business of ours
        yield None, 1
        return
    for threads in wanted.threads:
        yield None, threads
    for words in wanted.accelerators:
        if home_of(words) == engine:
            yield words, max(wanted.threads)


def home_of(accelerator: str) -> str:
    """The engine that it belongs to."""
    return "litert" if is_delegate(parse(accelerator)[0]) else "onnxruntime"
