"""Builds what TensorRT needs for this very device, in a process of its own, while others serve."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import msgspec

from models.plans import Plan
from runtime.child import ROOT
from runtime.ending import Allowance, judge
from runtime.locating import Located
from wire.troubles import Refused, Unavailable

BUILT = ("tensorrt",)  # engines that run no model before something was built of it
MOST_S = 3600  # the largest models take half of that on the smallest boards
LOOK_S = 0.2
SAY_S = 60.0  # systemd waits for who starts no longer than some minutes after a word


class Build:
    """One that is under way. percent: how far it is, as far as is known."""

    def __init__(self, located: Located) -> None:
        self.model_file = located.file
        self.percent = 0
        command = [sys.executable, "-m", "runtime", "build", os.path.abspath(located.file)]
        command += ["--seconds", str(MOST_S)]
        if located.manifest is not None:
            command += ["--shape", "x".join(map(str, located.manifest.takes.shape))]
            command += [f"--plan={msgspec.json.encode(each).decode()}" for each in _plans(located)]
        paths = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        self._child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._errors,
            cwd=ROOT, env=os.environ | {"PYTHONPATH": paths},
        )  # fmt: skip
        assert self._child.stdout is not None
        self._lines = self._child.stdout
        os.set_blocking(self._lines.fileno(), False)

    def is_over(self) -> bool:
        """Look how far it is. Never waits."""
        for word in (self._lines.read() or b"").split():
            self.percent = int(word) if word.isdigit() else self.percent
        return self._child.poll() is not None

    def end(self) -> None:
        """Close it, whether it is over or not. Raises Refused, Unavailable as `judge` does."""
        self._child.kill()
        code = self._child.wait()
        self._lines.close()
        self._errors.seek(0)
        said = self._errors.read()
        self._errors.close()
        judge(self.model_file, code, said, Allowance(MOST_S, None, "built for this device"))


def _plans(located: Located) -> tuple[Plan, ...]:
    """Those that may be run: who holds the release keys has signed them."""
    if located.manifest is None or not located.is_signed:
        return ()
    return located.manifest.plans


class Builds:
    """What one pipeline has built, one at a time. On one thread."""

    def __init__(self) -> None:
        self._now: Build | None = None

    def need(self, located: Located) -> None:
        """Returns when it is there. Raises Unavailable while it is being built, and says how far
        that is; Refused if it cannot be. Never waits for long: ask again."""
        if located.engine_kind not in BUILT:
            return
        if self._now is not None and self._now.model_file != located.file:
            self.close()
        if self._now is None:
            self._now = Build(located)
            self._pass(5.0)  # where it was built before, or is small, that is enough
        if not self._now.is_over():
            raise Unavailable(f"it is being built for this device: {self._now.percent} %")
        now, self._now = self._now, None
        now.end()

    def close(self) -> None:
        """Give up what is under way."""
        now, self._now = self._now, None
        if now is not None:
            try:
                now.end()
            except (Refused, Unavailable):
                return

    def _pass(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        while self._now and not self._now.is_over() and time.monotonic() < until_s:
            time.sleep(LOOK_S)


def build_now(located: Located, told: Callable[[str], None]) -> None:
    """Wait until it is built. told: how far it is, in a line, at every ten percent, and every
    minute at least. Raises as Build does."""
    if located.engine_kind not in BUILT:
        return
    build, said, due_s = Build(located), 0, time.monotonic() + SAY_S
    try:
        while not build.is_over():
            if build.percent >= said + 10 or time.monotonic() >= due_s:
                said, due_s = build.percent // 10 * 10, time.monotonic() + SAY_S
                told(f"{located.file.name} is being built for this device: {build.percent} %")
            time.sleep(LOOK_S)
    finally:
        build.end()
