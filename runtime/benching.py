"""Measures the model beside the live loop: `vedette bench` in a process that gives way to all."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from runtime.child import MESSAGE_START
from runtime.engines import EngineOptions
from runtime.frames import Layout
from wire.troubles import one_line

ROOT = Path(__file__).resolve().parents[1]  # where `python -m vedette` is found
LEAST_FRAMES, MOST_FRAMES = 1, 10_000
PATIENCE_S = 300.0
GIVES_WAY = 19  # niceness: only what nobody else wants
SIDES = (32, 8192)  # that a synthetic camera can have
USUAL = (640, 480)


@dataclass(frozen=True)
class Subject:
    """What is measured. model: absolute, or the name of a zoo model."""

    model: str
    engine_kind: str
    options: EngineOptions


@dataclass(frozen=True)
class Figures:
    """How a bench ended: the JSON of its bill, or a text that says why there is none."""

    json: bytes | None
    text: str


class Benching:
    """One bench under way, on a thread of its own."""

    def __init__(self, command: list[str]) -> None:
        self._done: SimpleQueue[Figures] = SimpleQueue()
        self._stopped = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(
            target=self._work, args=(command,), name="bench", daemon=True
        )
        self._thread.start()

    def figures(self) -> Figures | None:
        """How it ended, once; None while it is under way."""
        try:
            return self._done.get_nowait()
        except Empty:
            return None

    def close(self) -> None:
        """Give up, if it is still under way: the child does not outlive us."""
        self._stopped.set()
        if self._child is not None:
            self._child.kill()
        self._thread.join(1.0)

    def _work(self, command: list[str]) -> None:
        paths = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)
        try:
            child = subprocess.Popen(
                command, cwd=ROOT, env=os.environ | {"PYTHONPATH": paths},
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
        except OSError as error:
            self._done.put(Figures(None, f"the bench cannot be started: {error.strerror}"))
            return
        self._child = child
        with child:
            with contextlib.suppress(OSError):  # a hardened unit may forbid it
                os.setpriority(os.PRIO_PROCESS, child.pid, GIVES_WAY)
            if self._stopped.is_set():
                child.kill()
            try:
                out, err = child.communicate(timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.communicate()
                self._done.put(Figures(None, f"the bench takes longer than {PATIENCE_S:g} s"))
                return
        self._done.put(judged(child.returncode, out, err))


def bench_command(subject: Subject, layout: Layout, frames: int) -> list[str]:
    """`vedette bench` of this model, on a synthetic camera as large as the live one."""
    options = subject.options
    command = [sys.executable, "-m", "vedette", "bench", "--json", "--frames", str(frames)]
    command += ["--model", subject.model, "--engine", subject.engine_kind]
    command += ["--camera", synthetic(layout), "--threads", str(options.thread_count)]
    return command + [f"--accelerator={name}" for name in options.accelerators]


def synthetic(layout: Layout) -> str:
    """The synthetic camera that gives pictures as large as this one's."""
    wide, tall = layout.source
    if not (wide and tall):
        wide, tall = USUAL
    least, most = SIDES
    return f"synthetic://{min(max(wide, least), most)}x{min(max(tall, least), most)}"


def judged(code: int, out: bytes, err: bytes) -> Figures:
    """What came of the child."""
    if code == 0 and out.strip():
        return Figures(out.strip(), "measured beside the live loop, at the lowest priority")
    lines = err.decode("utf-8", "replace").strip().splitlines() or [f"exit code {code}"]
    why = one_line(lines[-1].removeprefix(MESSAGE_START))[:500]
    return Figures(None, f"the bench failed: {why}")
