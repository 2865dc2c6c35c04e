"""Latency and memory of several models, each in a process of its own, one at a time in turn.

Machines get warm, and others work on them: what one model has to bear the next one has, too.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeVar

import msgspec

from runtime.child import SMALL_PICTURES
from runtime.engines import EngineOptions
from runtime.frames import Frame, Layout
from runtime.measuring import spread
from runtime.suite.children import reason
from wire.troubles import Refused
from workshop.comparing.names import Named
from workshop.comparing.results import Latency, Memory
from workshop.comparing.timing import MIB, Ready, Subject, Turn
from workshop.step import ROOT

ROUNDS = 10
MOST_FRAMES = 12  # pictures that are looked at in turn
WARM = 3  # frames, before anything is counted: caches, clocks and allocators
PATIENCE_S = 120.0  # for one turn, and for opening a model
PATIENCE_TO_END_S = 2.0
LARGEST_TURN = 200  # frames

T = TypeVar("T", Ready, Turn)
Heard = Callable[[int, int], None]  # turns that are done, of how many


class Kept:
    """The first frames of some samples, in a new file that the processes read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.layouts: list[Layout] = []

    def keep(self, frame: Frame) -> None:
        """Copy a frame, unless there are enough of them."""
        if len(self.layouts) >= MOST_FRAMES:
            return
        memory = frame.memory
        assert memory is not None
        with open(self.path, "ab") as file:
            file.write(bytes(memoryview(memory)[: frame.layout.nbytes]))  # type: ignore[arg-type]
        self.layouts.append(frame.layout)


@dataclass(frozen=True)
class Timed:
    """Of one model: figures, or why there are none."""

    latency: Latency | None
    memory: Memory | None
    trouble: str | None = None


@dataclass
class _Child:
    """The process of one model, and what it has taken until now, in nanoseconds."""

    process: subprocess.Popen[bytes]
    errors: IO[bytes]
    before_bytes: int = 0
    peak_bytes: int = 0
    stages: dict[str, list[int]] = field(
        default_factory=lambda: {"preprocess": [], "inference": [], "postprocess": []}
    )
    trouble: str | None = None
    _rest: bytes = b""

    def ask(self, line: str, reply: type[T]) -> T:
        """Say one line and hear one. Raises Refused with why there is no answer."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(f"{line}\n".encode())
            self.process.stdin.flush()
        while True:
            said, mark, self._rest = self._heard().partition(b"\n")
            if mark and said.startswith(b"{"):  # drivers print, too
                return msgspec.json.decode(said, type=reply)

    def _heard(self) -> bytes:
        """What it said, up to the end of a line at least."""
        assert self.process.stdout is not None
        heard, end_s = self._rest, time.monotonic() + PATIENCE_S
        while b"\n" not in heard:
            ready, _, _ = select.select([self.process.stdout], [], [], end_s - time.monotonic())
            if not ready:
                raise Refused(f"is not done within {PATIENCE_S:g} s")
            more = os.read(self.process.stdout.fileno(), 1 << 16)
            if not more:
                raise Refused(self._why())
            heard += more
        return heard

    def _why(self) -> str:
        code = self.process.wait()
        self.errors.seek(0)
        return reason(code, self.errors.read().decode(errors="replace"), 0)

    def add(self, turn: Turn) -> None:
        for name, taken in self.stages.items():
            taken += getattr(turn, name)
        self.peak_bytes = turn.peak_bytes


def in_turns(
    models: Sequence[Named],
    options: EngineOptions,
    kept: tuple[Path, Sequence[Layout]],
    seconds: float,
    heard: Heard = lambda done, total: None,
) -> list[Timed]:
    """What each takes, measured for about so many seconds each. Every process is ended.

    kept: file and layouts of the frames, as Kept has them."""
    with contextlib.ExitStack() as stack:
        children = [_started(stack, model) for model in models]
        for child, model in zip(children, models, strict=True):
            _try(child, lambda child=child, model=model: _open(child, model, options, kept))  # type: ignore[misc]
        turns = [_turn_size(child, seconds) for child in children]
        for number in range(ROUNDS):
            for child, many in zip(children, turns, strict=True):
                _try(child, lambda child=child, many=many: child.add(child.ask(str(many), Turn)))  # type: ignore[misc]
            heard(number + 1, ROUNDS)
        return [_timed(child) for child in children]


def _started(stack: contextlib.ExitStack, model: Named) -> _Child:
    errors = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
    paths = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)
    process = subprocess.Popen(
        [sys.executable, "-m", "workshop.comparing.timing"], cwd=ROOT, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=errors, env=os.environ | {"PYTHONPATH": paths}
        | SMALL_PICTURES,
    )  # fmt: skip
    stack.callback(_end, process)
    return _Child(process, errors)


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        with contextlib.suppress(BrokenPipeError):
            pipe.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE_TO_END_S)  # what it unpacked goes with it
    process.kill()
    process.wait()


def _open(
    child: _Child, model: Named, options: EngineOptions, kept: tuple[Path, Sequence[Layout]]
) -> None:
    subject = Subject(
        os.path.abspath(model.path), model.engine, options.thread_count, options.accelerators,
        str(kept[0]), tuple(kept[1]),
    )  # fmt: skip
    ready = child.ask(msgspec.json.encode(subject).decode(), Ready)
    child.before_bytes = ready.before_bytes
    child.ask(str(WARM), Turn)


def _turn_size(child: _Child, seconds: float) -> int:
    """How many frames fit into a turn, by what three of them take."""
    if child.trouble is not None:
        return 1
    tried: list[Turn] = []
    _try(child, lambda: tried.append(child.ask("3", Turn)))
    if not tried:
        return 1
    turn = tried[0]
    each_s = sum(turn.preprocess + turn.inference + turn.postprocess) / 3e9
    return max(1, min(LARGEST_TURN, round(seconds / ROUNDS / each_s)))


def _try(child: _Child, act: Callable[[], None]) -> None:
    """What one of them cannot is no trouble of the others."""
    if child.trouble is not None:
        return
    try:
        act()
    except Refused as trouble:
        child.trouble = str(trouble)


def _timed(child: _Child) -> Timed:
    if child.trouble is not None:
        return Timed(None, None, child.trouble)
    stages = child.stages
    whole = [sum(each) for each in zip(*stages.values(), strict=True)]
    latency = Latency(
        len(whole), spread(whole), spread(stages["preprocess"]), spread(stages["inference"]),
        spread(stages["postprocess"]),
    )  # fmt: skip
    return Timed(latency, Memory(child.peak_bytes / MIB, child.before_bytes / MIB))
