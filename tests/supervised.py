"""A device of real processes that are supervised as systemd supervises them, only more quickly."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO

from tests import warm
from tests.device import ROOT

UNITS = ROOT / "systemd"
BOOT = "/proc/sys/kernel/random/boot_id"
PAGE = os.sysconf("SC_PAGE_SIZE")
LOOK_S = 0.02


@dataclass(frozen=True)
class Terms:
    """What the units say (RestartSec, WatchdogSec, MemoryMax), in the time of tests."""

    restart_s: float = 0.3
    watchdog_s: float = 3.0
    memory_max: float = float("inf")  # bytes


@dataclass
class Unit:
    """One service. results: how each process ended, in systemd's words, the newest last."""

    name: str
    process: warm.Process | subprocess.Popen[bytes] | None = None
    ear: socket.socket | None = None
    petted_s: float | None = None  # since it was ready
    due_s: float | None = None  # when it is to be started again
    is_hung: bool = False
    results: list[str] = field(default_factory=list)
    starts: int = 0


class Supervised:
    """The folders of one device, and its two services: `agent`, and `lane`, the runtime.

    environment: of each unit, on top of ours. Use it in a `with`: everything is ended.
    """

    def __init__(self, folder: Path, config: str, terms: Terms = Terms()) -> None:
        """config: the text of vedette.toml."""
        for name in ("run", "state", "cache"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.terms = terms
        self.environment: dict[str, dict[str, str]] = {"agent": {}, "lane": {}}
        self.boots = 0
        (folder / "vedette.toml").write_text(config)
        self._units = {name: Unit(name) for name in self.environment}
        self._held = threading.RLock()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="played systemd")

    def __enter__(self) -> Supervised:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._thread.join()
        self.cut()

    def start(self, *names: str) -> None:
        """systemctl start."""
        with self._held:
            for name in names:
                self._spawn(self._units[name])

    def stop(self, name: str) -> None:
        """systemctl stop."""
        with self._held:
            unit = self._units[name]
            unit.due_s = None
            if unit.process is not None:
                unit.process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    unit.process.wait(10)
            self._end(unit)

    def cut(self) -> None:
        """The board loses its power: everything ends at once, and nobody is told."""
        with self._held:
            for unit in self._units.values():
                if unit.process is not None:
                    unit.process.kill()
            for unit in self._units.values():
                self._end(unit)

    def boot(self, *names: str) -> None:
        """After a cut: what is in memory is gone, and the boot has another name. names: of the
        units that come up; without any, both."""
        self.boots += 1
        shutil.rmtree(self.folder / "run")
        (self.folder / "run").mkdir()
        self.start(*(names or self._units))

    def results(self, name: str) -> list[str]:
        return list(self._units[name].results)

    def starts(self, name: str) -> int:
        return self._units[name].starts

    def is_up(self, name: str) -> bool:
        """Whether it told systemd that it is ready."""
        return self._units[name].petted_s is not None

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def _run(self) -> None:
        while not self._is_over.wait(LOOK_S):
            with self._held:
                for unit in self._units.values():
                    self._look(unit, time.monotonic())

    def _look(self, unit: Unit, now_s: float) -> None:
        process = unit.process
        if process is None:
            if unit.due_s is not None and now_s >= unit.due_s:
                self._spawn(unit)
            return
        self._listen(unit, now_s)
        if process.poll() is not None:
            unit.results.append(result_of(process.returncode, unit.is_hung))
            self._post(unit, process.returncode)
            self._end(unit)
            unit.due_s = now_s + self.terms.restart_s
        elif unit.petted_s is not None and now_s - unit.petted_s > self.terms.watchdog_s:
            unit.is_hung = True
            process.send_signal(signal.SIGABRT)
        elif unit.name != "agent" and resident_bytes(process.pid) > self.terms.memory_max:
            process.kill()  # as the kernel does when a control group is full

    def _listen(self, unit: Unit, now_s: float) -> None:
        assert unit.ear is not None
        with contextlib.suppress(BlockingIOError):
            while True:
                lines = unit.ear.recv(65536).decode().splitlines()
                if "READY=1" in lines or ("WATCHDOG=1" in lines and unit.petted_s is not None):
                    unit.petted_s = now_s

    def _spawn(self, unit: Unit) -> None:
        assert unit.process is None
        place = self.folder / f"{unit.name}.notify"
        unit.ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        unit.ear.bind(os.fspath(place))
        unit.ear.setblocking(False)
        unit.petted_s, unit.due_s, unit.is_hung = None, None, False
        unit.starts += 1
        command = ["agent"] if unit.name == "agent" else ["runtime", unit.name]
        for option in ("config", "state", "run"):
            there = "vedette.toml" if option == "config" else option
            command += [f"--{option}", str(self.folder / there)]
        with open(self.folder / f"{unit.name}.log", "ab") as log:
            unit.process = self._begin(command, self._environment(unit, place), log)

    def _environment(self, unit: Unit, notify: Path) -> Mapping[str, str]:
        ours = {
            "NOTIFY_SOCKET": str(notify),
            "WATCHDOG_USEC": str(round(self.terms.watchdog_s * 1e6)),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "PYTHONFAULTHANDLER": "1",
        }
        return os.environ | ours | self.environment[unit.name]

    def _begin(
        self, words: list[str], environment: Mapping[str, str], log: IO[bytes]
    ) -> warm.Process | subprocess.Popen[bytes]:
        """Where the boot is not the machine's own, it has a name of its own in what the process
        sees of the kernel. Only root can do that."""
        if self.boots == 0 or os.geteuid() != 0:
            return warm.Process(words, env=environment, stdout=log, stderr=log)
        name = self.folder / "boot"
        name.write_text(f"{self.boots:08d}-0000-0000-0000-000000000000\n")
        script = f'mount --bind "{name}" {BOOT} && exec "$@"'
        unshare = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]
        return subprocess.Popen(
            [*unshare, sys.executable, "-m", "vedette", *words], cwd=ROOT, env=environment,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip

    def _post(self, unit: Unit, code: int) -> None:
        """What the unit has systemd do after a process ended."""
        file = UNITS / ("vedette-agent.service" if unit.name == "agent" else RUNTIME)
        found = re.search(r"(?m)^ExecStopPost=-/bin/sh -c '(.*)'$", file.read_text())
        if found is None:
            return
        script = found[1].replace("%i", unit.name).replace("$$", "$")
        result, status = result_of(code, unit.is_hung), str(code)
        if code < 0:
            status = signal.Signals(-code).name.removeprefix("SIG")
        told = {
            "SERVICE_RESULT": result.partition(" ")[0],
            "EXIT_STATUS": status,
            "RUNTIME_DIRECTORY": str(self.folder / "run"),
        }
        subprocess.run(["/bin/sh", "-c", script], env=os.environ | told, check=True)

    def _end(self, unit: Unit) -> None:
        if unit.process is not None:
            if unit.process.poll() is None:
                unit.process.kill()
            unit.process.wait()
            unit.process = None
        if unit.ear is not None:
            unit.ear.close()
            unit.ear = None
            (self.folder / f"{unit.name}.notify").unlink()
        unit.petted_s = None


RUNTIME = "vedette-runtime@.service"


def result_of(code: int, is_hung: bool) -> str:
    """In systemd's words (SERVICE_RESULT), with the signal."""
    if is_hung:
        return "watchdog"
    if code < 0:
        return f"signal {signal.Signals(-code).name}"
    return "success" if code == 0 else "exit-code"


def resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0
