"""`vedette watch` as an operator runs it: a real broker, devices that talk, pipe or terminal."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import warm
from tests.brokers import Listener, Mosquitto, free_port
from tests.story.shell import Shell
from tests.telling import FLEET, event, presence, record, result, said, state
from wire import topics
from wire.link import Received

PATIENCE_S = 60.0


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    shell.make_home()
    return shell


class Watch:
    """One `vedette watch` that writes into a file."""

    def __init__(self, shell: Shell, *words: str) -> None:
        self._out, self._err = shell.folder / "out", shell.folder / "err"
        with open(self._out, "w") as out, open(self._err, "w") as err:
            self.process = warm.Process(
                ["watch", *words], cwd=shell.folder, env=shell.environment, stdout=out, stderr=err
            )

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        assert "Traceback" not in self.told()

    def told(self) -> str:
        return self._err.read_text()

    def text(self) -> str:
        return self._out.read_text()

    def lines(self) -> list[Any]:
        whole = [line for line in self.text().splitlines(keepends=True) if line.endswith("\n")]
        return [json.loads(line) for line in whole]

    def until(self, holds: Callable[[], bool]) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < end_s, self.told() + self.text()
            assert self.process.poll() is None, self.told() + self.text()
            time.sleep(0.02)

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


def tell(device: Listener, message: Received) -> None:
    retain = message.topic.endswith(("presence", "state"))
    device.publish(message.topic, message.payload, retain=retain)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_json_tells_everything_once_over_a_restart_of_the_broker(
    shell: Shell, number: signal.Signals
) -> None:
    with Mosquitto() as broker, Listener(broker.port) as device:
        tell(device, said("door-1", presence(True)))
        with Watch(shell, "--json", "--broker", broker.url()) as watch:
            watch.until(lambda: len(watch.lines()) == 1)
            for message in (record(1), record(1), event(2), result()):
                tell(device, said("door-1", message))
            device.publish(topics.state(FLEET, "door-1"), b"\xff{")
            device.publish("vedette/other/device/x/telemetry", said("x", record(1)).payload)
            watch.until(lambda: len(watch.lines()) == 4)
            broker.kill()
            watch.until(lambda: watch.told().count("\n") >= 2)
            broker.start()
            watch.until(lambda: watch.told().count("connected to") == 2)
            for seq in (1, 3):
                tell(device, said("door-1", record(seq)))
            watch.until(lambda: len(watch.lines()) >= 5)
            assert watch.end(number) == 0
            lines = watch.lines()
    kinds = [line["kind"] for line in lines]
    assert kinds == ["presence", "telemetry", "event", "unreadable", "telemetry"]
    assert [line["message"]["seq"] for line in lines if line["kind"] == "telemetry"] == [1, 3]
    assert lines[0]["retained"] and not lines[1]["retained"]
    assert all(abs(line["received"] - time.time()) < 600 for line in lines)
    assert lines[1]["message"]["pipelines"]["door"]["frames"] == 1800


def test_results_come_when_they_are_asked_for_and_of_one_device(shell: Shell) -> None:
    with Mosquitto() as broker, Listener(broker.port) as device:
        words = ("--json", "--results", "--device", "door-2", "--broker", broker.url())
        with Watch(shell, *words) as watch:
            watch.until(lambda: "connected to" in watch.told())
            for name in ("door-1", "door-2"):
                tell(device, said(name, result()))
                tell(device, said(name, record(1)))
            watch.until(lambda: len(watch.lines()) >= 2)
            assert watch.end() == 0
            assert [(x["device"], x["kind"]) for x in watch.lines()] == [
                ("door-2", "result"),
                ("door-2", "telemetry"),
            ]


def test_a_pipe_gets_plain_lines_that_command_nothing(shell: Shell) -> None:
    with (
        Mosquitto() as broker,
        Listener(broker.port) as device,
        Watch(shell, "--broker", broker.url()) as watch,
    ):
        watch.until(lambda: "connected to" in watch.told())
        tell(device, said("door-1", event(1, text="\x1b[2J\x9b1mlost\r\n\u202eits way")))
        tell(device, said("door-1", state(faults=("x",))))
        watch.until(lambda: watch.text().count("\n") == 2)
        assert watch.end() == 0
        first, second = watch.text().splitlines()
    assert first.isprintable() and "lost its way" in first
    assert "door-1 state: agent 0.3.0 on raspberry" in second


def test_a_reader_that_has_seen_enough_ends_it_quietly(shell: Shell) -> None:
    with Mosquitto() as broker, Listener(broker.port) as device:
        tell(device, said("door-1", presence(True)))
        process = shell.start("watch", "--json", "--broker", broker.url())
        try:
            assert process.stdout is not None and process.stderr is not None
            assert json.loads(process.stdout.readline())["kind"] == "presence"
            process.stdout.close()
            assert process.wait(PATIENCE_S) == 0, "without another message"
            told = process.stderr.read()
        finally:
            process.kill()
            process.wait()
            process.stderr.close()  # type: ignore[union-attr]
    assert told.splitlines() == [f"vedette: connected to {broker.url()}"]


def test_no_broker_in_all_the_time_is_a_failure_that_is_explained(shell: Shell) -> None:
    ended = shell.run(
        "watch", "--json", "--seconds", "1.5", "--broker", f"mqtt://127.0.0.1:{free_port()}"
    )
    assert (ended.code, ended.out) == (1, "")
    (line,) = ended.lines
    assert "nothing listens" in line


@pytest.mark.slow
def test_the_time_that_was_asked_for_ends_it_well(shell: Shell) -> None:
    with Mosquitto() as broker:
        ended = shell.run("watch", "--seconds", "5", "--broker", broker.url())
    assert ended.code == 0, ended.err


def test_a_wrong_password_is_explained(shell: Shell) -> None:
    (shell.folder / "password").write_text("wrong\n")
    words = ("--username", "me", "--password-file", "password")
    with (
        Mosquitto(users={"me": "right"}) as broker,
        Watch(shell, *words, "--broker", broker.url()) as watch,
    ):
        watch.until(lambda: "user name or the password is wrong" in watch.told())
        assert watch.end() == 0


class Terminal:
    """`vedette watch` in a terminal of its own. shown: all that it ever wrote there."""

    def __init__(self, shell: Shell, *words: str, rows: int = 40, columns: int = 180) -> None:
        self._ours, self._theirs = pty.openpty()
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, size)
        self.modes = termios.tcgetattr(self._theirs)
        self.shown = ""
        self.process = subprocess.Popen(
            shell.command("watch", *words), cwd=shell.folder,
            env=shell.environment | {"TERM": "xterm-256color"},
            stdin=self._theirs, stdout=self._theirs, stderr=self._theirs,
            start_new_session=True, preexec_fn=self._take_terminal,
        )  # fmt: skip

    def _take_terminal(self) -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def read(self) -> None:
        while select.select([self._ours], [], [], 0.05)[0]:
            self.shown += os.read(self._ours, 65536).decode("utf-8", "replace")

    def until(self, *texts: str) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while any(text not in self.shown for text in texts):
            assert time.monotonic() < end_s and self.process.poll() is None, self.shown
            self.read()

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def end(self) -> int:
        end_s = time.monotonic() + PATIENCE_S
        while self.process.poll() is None and time.monotonic() < end_s:
            self.read()
        assert termios.tcgetattr(self._theirs) == self.modes, "the terminal is as it was"
        return self.process.wait(0)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)
        assert "Traceback" not in self.shown


@pytest.fixture
def terminal(shell: Shell) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(*words: str, **size: int) -> Terminal:
        opened.append(Terminal(shell, *words, **size))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


@pytest.mark.slow
def test_a_terminal_shows_the_fleet_and_keys_work(terminal: Callable[..., Terminal]) -> None:
    with Mosquitto() as broker, Listener(broker.port) as device:
        for message in (presence(True), state(), record(1)):
            tell(device, said("door-1", message))
        screen = terminal("--broker", broker.url())
        screen.until("1 device", "door-1", "digits 1", "what is wrong")
        broker.kill()
        screen.until("not connected")
        broker.start()
        tell(device, said("door-2", presence(False)))
        screen.until("2 devices", "OFFLINE")
        screen.type("nnp q")
        assert screen.end() == 0


def test_a_terminal_shows_one_device_in_depth_with_what_it_finds(
    terminal: Callable[..., Terminal],
) -> None:
    with Mosquitto() as broker, Listener(broker.port) as device:
        screen = terminal("--broker", broker.url(), "--device", "door-1", rows=60)
        screen.until("door-1: waiting")
        for message in (presence(True), state(), record(1), result(), event(2)):
            tell(device, said("door-1", message))
        screen.until("door-1 online", "postprocess", "p99", "seven (97 %)", "the camera is absent")
        screen.type("\x03")
        assert screen.end() == 0
