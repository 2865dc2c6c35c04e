"""Runs one load: its pipelines in processes of their own, all of them for the same moments."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

import msgspec
from msgspec import Struct

from runtime.child import ROOT, SMALL_PICTURES
from runtime.ending import Allowance, judge
from runtime.measuring import spread
from runtime.panel import Spread
from wire.troubles import Trouble, Unavailable
from workshop.loading import Load, Point
from workshop.loading.cameras import Feed
from workshop.loading.cost import busy_s
from workshop.loading.pipeline import Asked, Counted, Ready, Window, sleep_until

LOADING_S = 60  # of all pipelines together; a model of many megabytes takes longer
SETTLE_S = 0.3  # with all of them at work, before it counts
LATE_S = 15  # for what they say when it is over

Said = TypeVar("Said")


class Wish(Struct, frozen=True):
    """What all loads have in common. model: from the root on."""

    model: Path
    feed: Feed
    engine: str | None
    accelerators: tuple[str, ...]
    seconds: float


class Child:
    """The process of one pipeline. trouble: why it ended, once it has."""

    def __init__(self, asked: Asked, said: IO[bytes]) -> None:
        paths = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)
        self._asked = asked
        self._said = said
        self._process = subprocess.Popen(
            [sys.executable, "-m", "workshop.loading.pipeline"], cwd=ROOT,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said,
            env=os.environ | {"PYTHONPATH": paths} | SMALL_PICTURES,
        )  # fmt: skip
        self.trouble: Trouble | None = None
        self.tell(asked)

    def tell(self, words: Struct) -> None:
        """One line to it. One that is gone does not hear."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(msgspec.json.encode(words) + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return

    def hear(self, kind: type[Said], until_s: float) -> Said | None:
        """What it says next, None if it ended or said nothing in time: `trouble` says why."""
        if self.trouble is not None:
            return None
        out = self._process.stdout
        assert out is not None
        poll = select.poll()
        poll.register(out, select.POLLIN)
        if not poll.poll(max(0.0, until_s - time.monotonic()) * 1000):
            self.trouble = Unavailable(f"{self._asked.model}: does not answer under this load")
            return None
        line = out.readline()
        if not line:
            self.trouble = self._ended()
            return None
        return msgspec.json.decode(line, type=kind)

    def _ended(self) -> Trouble:
        code = self._process.wait()
        self._said.seek(0)
        said = self._said.read().decode(errors="replace")
        try:
            allowed = Allowance(self._asked.limit_s, None, "loaded and run")
            judge(Path(self._asked.model), code, said, allowed)
        except Trouble as trouble:
            return trouble
        return Unavailable(f"{self._asked.model}: ended by itself")

    def close(self) -> None:
        """End it, whatever it does."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):  # words that it did not wait for
                if pipe is not None:
                    pipe.close()


@dataclass(frozen=True)
class Ran:
    """What the pipelines of one load said; None for one that ended.

    busy_cores: processors that the whole machine had at work; None where it is not told.
    """

    ready: tuple[Ready | None, ...]
    counted: tuple[Counted | None, ...]
    troubles: tuple[Trouble, ...]
    busy_cores: float | None


def run(wish: Wish, load: Load) -> Ran:
    """One load, for wish.seconds."""
    cameras = [wish.feed(load.rate, number) for number in range(load.pipelines)]
    return _run(wish, cameras, load.threads, wish.seconds)


def run_flat_out(wish: Wish, pipelines: int, threads: int, seconds: float) -> Ran:
    """Every picture as soon as it is wanted."""
    cameras = [wish.feed(None, number) for number in range(pipelines)]
    return _run(wish, cameras, threads, seconds)


def _run(wish: Wish, cameras: Sequence[str], threads: int, seconds: float) -> Ran:
    """Start all of them, let them work at the same time, and end them."""
    limit_s = int(LOADING_S + _megabytes(wish.model) + seconds + LATE_S)
    with ExitStack() as stack:
        children = []
        for camera in cameras:
            asked = Asked(str(wish.model), camera, wish.engine, threads, wish.accelerators, limit_s)
            said = stack.enter_context(open(os.memfd_create("said", os.MFD_CLOEXEC), "r+b"))
            child = Child(asked, said)
            stack.callback(child.close)
            children.append(child)
        until_s = time.monotonic() + limit_s
        ready = tuple([child.hear(Ready, until_s) for child in children])
        start_ns = time.monotonic_ns() + round(SETTLE_S * 1e9)
        window = Window(start_ns, start_ns + round(seconds * 1e9))
        for child in children:
            child.tell(window)
        busy_cores = _busy_cores(window)
        until_s = time.monotonic() + LATE_S
        counted = tuple([child.hear(Counted, until_s) for child in children])
        troubles = tuple(child.trouble for child in children if child.trouble)
        return Ran(ready, counted, troubles, busy_cores)


def _busy_cores(window: Window) -> float | None:
    """Sleeps until the window is over."""
    sleep_until(window.start_ns)
    before = (busy_s(), time.monotonic())
    sleep_until(window.end_ns)
    after = (busy_s(), time.monotonic())
    if before[0] is None or after[0] is None:
        return None
    return (after[0] - before[0]) / (after[1] - before[1])


def point_of(load: Load, seconds: float, ran: Ran) -> Point:
    """What they said, added up."""
    counted = [each for each in ran.counted if each is not None]
    due = round(load.rate * seconds)
    # one that hardly answers knows no numbers of pictures: then as many came as were due
    came = [each.pictures if len(each.end_to_end_ns) > 1 else due for each in counted]
    answered = sum(len(each.end_to_end_ns) for each in counted)
    gone = due * (load.pipelines - len(counted))
    pictures = sum(came) + gone
    broken = sum(each.broken for each in counted)
    cores = sum(each.cpu_cores for each in counted)
    memory = [each.memory_bytes for each in counted if each.memory_bytes is not None]
    return Point(
        load,
        pictures,
        load.rate * load.pipelines,
        answered / seconds,
        _share(sum(came) - answered, pictures),
        _share(gone + broken, pictures),
        _spread(each.end_to_end_ns for each in counted),
        _spread(each.inference_ns for each in counted),
        100 * cores,
        None if ran.busy_cores is None else max(0.0, 100 * (ran.busy_cores - cores)),
        sum(memory) / 2**20 if memory else None,
        str(ran.troubles[0]) if ran.troubles else None,
    )


def _share(part: int, whole: int) -> float:
    return max(0, part) / whole if whole else 0.0


def _spread(parts: Iterable[Sequence[int]]) -> Spread | None:
    taken = [one for part in parts for one in part]
    return spread(taken) if taken else None


def _megabytes(path: Path) -> int:
    files = path.iterdir() if path.is_dir() else [path]
    return sum(each.stat().st_size for each in files if each.is_file()) // 1_000_000
