"""`vedette fleet ingest` as a process, on a fleet's folder of a few lines."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from tests.yard import ROOT

FLEET = "yard"


def make_folder(folder: Path, url: str, *lines: str) -> Path:
    """url: of the broker. lines: more of its table."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n".join([f'name = "{FLEET}"', "[broker]", f'url = "{url}"', *lines, ""])
    (folder / "fleet.toml").write_text(text)
    return folder


class Ingesting:
    """One process; `with` ends it."""

    def __init__(self, fleet: Path, database: str, log: Path) -> None:
        self._log = log
        command = [sys.executable, "-m", "vedette", "fleet", "ingest", "--dir", str(fleet),
                   "--database", database, "--json"]  # fmt: skip
        with open(log, "ab") as file:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=file,
                text=True,
            )  # fmt: skip

    def __enter__(self) -> Ingesting:
        self.until_says("connected to the broker")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        return self._log.read_text()

    def until_says(self, words: str, patience_s: float = 60.0) -> None:
        until(lambda: words in self.log, lambda: f"never: {words}\n{self.log}", patience_s)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def end(self) -> dict[str, int]:
        """In order. Returns what it counted."""
        self._process.send_signal(signal.SIGTERM)
        told, _ = self._process.communicate(timeout=60)
        assert self._process.returncode == 0, self.log
        counted: dict[str, int] = json.loads(told)
        return counted


def until(is_so: Callable[[], bool], why: Callable[[], str], patience_s: float = 60.0) -> None:
    until_s = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < until_s, why()
        time.sleep(0.05)
