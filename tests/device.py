"""A device of real processes on this machine: `vedette agent` and `vedette runtime`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO

from tests import warm

ROOT = Path(__file__).parent.parent
CONFIG = """\
fleet = "yard"
device = "{name}"

[broker]
url = "mqtt://127.0.0.1:{port}"
keepalive_s = 5

[telemetry]
period_s = 10
{telemetry}

[pipeline.lane]
camera = "{camera}"
model = "digits"
{pipeline}

{tables}
"""

Process = warm.Process | subprocess.Popen[bytes]


class Device:
    """Its folders and processes. Start what is wanted; everything is ended at the end."""

    def __init__(
        self,
        folder: Path,
        port: int,
        name: str = "door",
        camera: str = "synthetic://160x120@30",
        telemetry: str = "",
        pipeline: str = "",
        tables: str = "",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.config = folder / "vedette.toml"
        self.config.write_text(
            CONFIG.format(
                name=name, port=port, camera=camera, telemetry=telemetry, pipeline=pipeline,
                tables=tables,
            )
        )  # fmt: skip
        self._processes: dict[str, Process] = {}

    def __enter__(self) -> Device:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name in list(self._processes):
            self.signal(name, signal.SIGCONT)
            self.kill(name)

    def start(self, name: str, *words: str) -> Process:
        """name: `agent`, or `lane`: the runtime process of that pipeline. One that runs under this
        name must be about to end by itself."""
        if name in self._processes:
            self._processes.pop(name).wait(20)
        command = ["agent"] if name == "agent" else ["runtime", name]
        places = ["--config", str(self.config), "--state", str(self.folder / "state")]
        places += ["--run", str(self.folder / "run")]
        (self.folder / "run").mkdir(exist_ok=True)
        with open(self.folder / f"{name}.log", "ab") as log:
            process = self._begin([*command, *places, *words], log)
        self._processes[name] = process
        return process

    def _begin(self, words: list[str], log: IO[bytes]) -> Process:
        return warm.Process(words, stdout=log, stderr=log)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def pid(self, name: str) -> int:
        return self._processes[name].pid

    def runs(self, name: str) -> bool:
        return self._processes[name].poll() is None

    def signal(self, name: str, number: signal.Signals) -> None:
        if self.runs(name):
            os.kill(self.pid(name), number)

    def kill(self, name: str) -> None:
        """kill -9."""
        process = self._processes.pop(name)
        process.kill()
        process.wait(20)

    def stop(self, name: str, patience_s: float = 20.0) -> int:
        """SIGTERM, and what it left with."""
        process = self._processes.pop(name)
        process.terminate()
        try:
            return process.wait(patience_s)
        finally:
            process.kill()
            process.wait()


class ColdDevice(Device):
    """Its processes hold nothing but what they need: for what measures them."""

    def _begin(self, words: list[str], log: IO[bytes]) -> Process:
        return subprocess.Popen(
            [sys.executable, "-m", "vedette", *words], cwd=ROOT, stdin=subprocess.DEVNULL,
            stdout=log, stderr=log,
        )  # fmt: skip


def until(holds: Callable[[], object], patience_s: float = 40.0, why: str = "") -> None:
    """Wait until something holds."""
    end_s = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < end_s, why or "it never came to that"
        time.sleep(0.05)
