"""One pipeline of a load test: a process with a runtime's own loop, which says what it did.

`python -m workshop.loading.pipeline`. On its standard input the parent writes one line, `Asked`,
and a second one, `Window`, when all pipelines answer; the end of the input is the end of it. On its
standard output it writes `Ready`, and `Counted` when the window is over.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from runtime.cameras import open_camera
from runtime.confidence import Confidence
from runtime.engines import EngineOptions
from runtime.limits import end_before_others
from runtime.loader import open_tried
from runtime.loop import Loop, Model, Result
from wire.troubles import exit_code
from workshop.loading.cost import memory_bytes

PATIENCE_S = 0.5  # of a step, before it is looked whether the window is over
WARM = 3  # results before a pipeline is ready


class Asked(Struct, frozen=True):
    """What to run. model: a path from the root on. limit_s: the process ends itself then."""

    model: str
    camera: str
    engine: str | None
    threads: int
    accelerators: tuple[str, ...]
    limit_s: int


class Ready(Struct, frozen=True):
    """It answers."""

    name: str
    version: str
    digest: str
    engine: str


class Window(Struct, frozen=True):
    """Pictures that were captured from start_ns on and before end_ns count (CLOCK_MONOTONIC)."""

    start_ns: int
    end_ns: int


class Counted(Struct, frozen=True):
    """What happened in the window.

    pictures: that came, by their numbers. broken: results with a score that is no number.
    cpu_cores: processor time of the whole process over the time that passed.
    """

    pictures: int
    end_to_end_ns: tuple[int, ...]
    inference_ns: tuple[int, ...]
    broken: int
    cpu_cores: float
    memory_bytes: int | None


class Watch:
    """Waits for the window on a thread of its own, and takes what it costs at its two ends."""

    def __init__(self, words: IO[str]) -> None:
        self.window: Window | None = None
        self.over = threading.Event()
        self.cpu_cores = 0.0
        self.memory_bytes: int | None = None
        self._words = words
        threading.Thread(target=self._run, name="window", daemon=True).start()

    def _run(self) -> None:
        line = self._words.readline()
        if not line:  # the parent is gone
            os._exit(1)
        self.window = window = msgspec.json.decode(line, type=Window)
        sleep_until(window.start_ns)
        before = (time.process_time(), time.monotonic())
        sleep_until(window.end_ns)
        passed_s = time.monotonic() - before[1]  # a busy machine wakes us late
        self.cpu_cores = (time.process_time() - before[0]) / passed_s
        self.memory_bytes = memory_bytes()
        self.over.set()


class Notes:
    """Keeps the stamps of every result. `add` is for the loop's thread."""

    def __init__(self) -> None:
        self.results = 0
        self._stamps: list[tuple[int, int, int, int]] = []
        self._broken: list[int] = []  # by result, how many there were by then
        self._confidence = Confidence()

    def add(self, result: Result, model: Model) -> None:
        timing = result.timing
        took = timing.decoded_ns - timing.captured_ns
        inferred = timing.inferred_ns - timing.prepared_ns
        self._confidence.add(result.found, model)
        self._stamps.append((timing.captured_ns, result.seq, took, inferred))
        self._broken.append(self._confidence.scores().broken)
        self.results += 1

    def counted(self, window: Window, watch: Watch) -> Counted:
        """What belongs to the window. Pictures before the first result in it and behind the last
        are nobody's: a picture that is late by a period is not lost."""
        kept = [
            index for index, (captured_ns, *_) in enumerate(self._stamps)
            if window.start_ns <= captured_ns < window.end_ns
        ]  # fmt: skip
        stamps = [self._stamps[index] for index in kept]
        broken = 0
        if kept:
            before = self._broken[kept[0] - 1] if kept[0] else 0
            broken = self._broken[kept[-1]] - before
        return Counted(
            stamps[-1][1] - stamps[0][1] + 1 if stamps else 0,
            tuple(took for _, _, took, _ in stamps),
            tuple(inferred for *_, inferred in stamps),
            broken,
            watch.cpu_cores,
            watch.memory_bytes,
        )


def main(argv: Sequence[str]) -> int:
    said = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # drivers print, too
    asked = msgspec.json.decode(sys.stdin.readline(), type=Asked)
    end_before_others(None, asked.limit_s)
    options = EngineOptions(threads=asked.threads, accelerators=asked.accelerators)
    model = open_tried(Path(asked.model), asked.engine, options, lambda line: None)
    watch, notes = Watch(sys.stdin), Notes()
    with open_camera(asked.camera, model.aim) as camera:
        loop = Loop(camera, model, lambda result: notes.add(result, model))
        while notes.results < WARM:
            loop.step(PATIENCE_S)
        described = model.manifest
        ready = Ready(described.name, described.version, model.digest, model.engine_kind)
        print(msgspec.json.encode(ready).decode(), file=said)
        while not watch.over.is_set():
            loop.step(PATIENCE_S)
    assert watch.window is not None
    print(msgspec.json.encode(notes.counted(watch.window, watch)).decode(), file=said)
    return 0


def sleep_until(then_ns: int) -> None:
    """Until a moment of CLOCK_MONOTONIC."""
    time.sleep(max(0.0, (then_ns - time.monotonic_ns()) / 1e9))


if __name__ == "__main__":
    sys.exit(exit_code(main, sys.argv[1:]))
