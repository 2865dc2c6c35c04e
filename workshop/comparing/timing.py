"""A process that opens one model and runs it when told: `python -m workshop.comparing.timing`.

Each model has one, so that its memory is its own and a crash is its alone; who tells them lets
them take turns. First line of its standard input: a Subject; then a number of frames in each, until
the end. It answers each with a line: Ready, and Turn.
"""

from __future__ import annotations

import sys
from pathlib import Path
from time import monotonic_ns

import msgspec
from msgspec import Struct

from runtime.engines import EngineOptions
from runtime.frames import Frame, Layout
from runtime.loop import Model
from runtime.memory import peak_rss_bytes
from wire.troubles import exit_code
from workshop.comparing.answers import opened

MIB = 2**20


class Subject(Struct, frozen=True):
    """What to open. frames: a file with the memory of some frames, one behind the other, whose
    layouts these are."""

    path: str
    engine: str | None
    threads: int
    accelerators: tuple[str, ...]
    frames: str
    layouts: tuple[Layout, ...]


class Ready(Struct, frozen=True):
    """The model is open. before_bytes: the most memory that was resident before that."""

    before_bytes: int


class Turn(Struct, frozen=True):
    """Nanoseconds of each frame, by stage. peak_bytes: the most that was resident until now."""

    preprocess: list[int]
    inference: list[int]
    postprocess: list[int]
    peak_bytes: int


def main(argv: object) -> int:
    lines = iter(sys.stdin)
    subject = msgspec.json.decode(next(lines), type=Subject)
    before = peak_rss_bytes()
    options = EngineOptions(threads=subject.threads, accelerators=subject.accelerators)
    frames = _frames(subject)
    with opened(Path(subject.path), options, subject.engine) as model:
        _say(Ready(before))
        at = 0
        for line in lines:
            many = int(line)
            _say(_turn(model, frames, at, many))
            at += many
    return 0


def _frames(subject: Subject) -> list[Frame]:
    """The frames, in memory of this process."""
    content = memoryview(bytearray(Path(subject.frames).read_bytes()))
    frames, at = [], 0
    for number, layout in enumerate(subject.layouts):
        frames.append(Frame(number, 0, layout, content[at : at + layout.nbytes], _nothing))
        at += layout.nbytes
    return frames


def _turn(model: Model, frames: list[Frame], at: int, many: int) -> Turn:
    """Some frames, from frame `at` on: in hand, prepared, run, decoded."""
    turn = Turn([], [], [], 0)
    for number in range(at, at + many):
        began = monotonic_ns()
        view = model.prepare(frames[number % len(frames)], model.engine.input())
        prepared = monotonic_ns()
        outputs = model.engine.run()
        inferred = monotonic_ns()
        model.decode(outputs, view)
        turn.preprocess.append(prepared - began)
        turn.inference.append(inferred - prepared)
        turn.postprocess.append(monotonic_ns() - inferred)
    return msgspec.structs.replace(turn, peak_bytes=peak_rss_bytes())


def _say(reply: Struct) -> None:
    print(msgspec.json.encode(reply).decode(), flush=True)


def _nothing() -> None:
    """The memory goes with the process."""


if __name__ == "__main__":
    sys.exit(exit_code(main, ()))
