"""A real `vedette runtime` process for stories, with the agent's mailbox and systemd's socket."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from tests import warm
from tests.story.shell import Shell
from wire.local import (
    Answer,
    Found,
    FromAgent,
    FromRuntime,
    Mailbox,
    Totals,
    agent_mailbox,
    pipeline_socket,
)

PATIENCE_S = 60.0
T = TypeVar("T")


@dataclass
class Heard:
    """Everything that came so far, oldest first."""

    totals: list[Totals] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    systemd: list[tuple[float, str]] = field(default_factory=list)  # when it was heard, a line


class Service:
    """One pipeline called door. Use it in a `with`: nothing of it is left afterwards."""

    def __init__(self, folder: Path, table: str, *words: str, watchdog_s: float = 30.0) -> None:
        """table: the keys of [pipeline.door]. watchdog_s: as the unit says."""
        self.folder = folder
        self.run = folder / "run"
        self.run.mkdir(exist_ok=True)
        self.shell = Shell(folder)
        self.shell.make_home()
        self.heard = Heard()
        self.agent: Mailbox[FromRuntime] | None = None
        self.process: warm.Process | None = None
        self._words = words
        self._watchdog_s = watchdog_s
        self._ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ear.bind(os.fspath(folder / "notify"))
        self._ear.setblocking(False)
        self._notes = folder / "notes"
        self._notes.touch()
        self.configure(table)

    def configure(self, table: str) -> None:
        """Write vedette.toml."""
        text = f'device = "d1"\n[broker]\nurl = "mqtt://localhost"\n[pipeline.door]\n{table}\n'
        (self.folder / "vedette.toml").write_text(text)

    def start(self) -> None:
        places = ("--config", "vedette.toml", "--state", "state", "--run", "run")
        environment = self.shell.environment | {
            "NOTIFY_SOCKET": os.fspath(self.folder / "notify"),
            "WATCHDOG_USEC": str(round(self._watchdog_s * 1e6)),
        }
        with open(self._notes, "a") as notes:
            self.process = warm.Process(
                ["runtime", "door", *places, *self._words], cwd=self.folder, env=environment,
                stdout=subprocess.PIPE, stderr=notes,
            )  # fmt: skip

    def open_agent(self) -> None:
        """From now on somebody listens."""
        self.agent = agent_mailbox(self.run)

    def close_agent(self) -> None:
        if self.agent is not None:
            self.agent.close()
            self.agent = None

    def listen(self) -> None:
        """Take in what has come."""
        while self.agent is not None and (message := self.agent.receive()) is not None:
            if isinstance(message, Totals):
                self.heard.totals.append(message)
            elif isinstance(message, Found):
                self.heard.found.append(message)
            else:
                self.heard.answers.append(message)
        with contextlib.suppress(BlockingIOError):
            while True:
                lines = self._ear.recv(65536).decode().splitlines()
                now_s = time.monotonic()
                self.heard.systemd += [(now_s, line) for line in lines]

    def wait_for(self, what: Callable[[], T], seconds: float = PATIENCE_S) -> T:
        """Listen until `what` gives something."""
        end_s = time.monotonic() + seconds
        while True:
            self.listen()
            got = what()
            if got:
                return got
            assert self.process is None or self.process.poll() is None, self.said()
            assert time.monotonic() < end_s, (self.said(), self.heard.systemd[-5:])
            time.sleep(0.02)

    def totals_where(self, what: Callable[[Totals], bool]) -> Totals:
        """The first totals that are so, heard already or still to come."""
        return self.wait_for(lambda: next((each for each in self.heard.totals if what(each)), None))

    def answer_to(self, message: FromAgent, id: str) -> Answer:
        self.wish(message)
        return self.wait_for(
            lambda: next((each for each in self.heard.answers if each.id == id), None)
        )

    def wish(self, message: FromAgent) -> None:
        assert self.agent is not None
        assert self.agent.send(pipeline_socket(self.run, "door"), message)

    def serving(self) -> None:
        """Wait until frames come out."""
        self.wait_for(lambda: "READY=1" in self.lines())

    def lines(self) -> list[str]:
        """What systemd was told."""
        return [line for _, line in self.heard.systemd]

    def said(self) -> str:
        return self._notes.read_text()

    def send(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def end(self, number: int | None = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal (or none) and wait for its end. Its exit code, and what was on stdout."""
        assert self.process is not None
        if number is not None:
            self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=PATIENCE_S)
        code = self.process.returncode
        self.process = None
        self.listen()
        return code, out

    def __enter__(self) -> Service:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:  # fmt: skip
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
        self.close_agent()
        self._ear.close()
        if kind is None:
            assert "Traceback" not in self.said(), self.said()
