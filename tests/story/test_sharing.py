"""Two pipelines on one camera, as real processes: who dies, who is stopped, and who goes on."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests import warm
from wire.local import Totals, agent_mailbox

CONFIG = """\
broker = { url = "mqtt://127.0.0.1:1" }
device = "box"

[pipeline.door]
camera = "synthetic://64x48@30"
model = "digits"

[pipeline.faces]
camera = "pipeline://door"
model = "digits"
"""


def until(happens: Callable[[], Any], seconds: float = 60.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := happens()):
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)
    return found


class Device:
    """The services of vedette.toml, and what they say to the agent."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        (folder / "vedette.toml").write_text(CONFIG)
        (folder / "run").mkdir()
        self.said: dict[str, Totals] = {}
        self._folder = folder
        self._stack = stack
        self._agent = stack.enter_context(contextlib.closing(agent_mailbox(folder / "run")))

    def start(self, name: str) -> warm.Process:
        words = ["runtime", name, "--config", "vedette.toml", "--state", "state", "--run", "run"]
        process = warm.Process(words, cwd=self._folder)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process

    def says(self, name: str, phase: str, absent: str = "") -> Totals:
        """Wait until the pipeline is in this phase, for a reason that has these words."""

        def said() -> Totals | None:
            message = self._agent.receive(0.1)
            if isinstance(message, Totals):
                self.said[message.pipeline] = message
            newest = self.said.get(name)
            is_so = newest and newest.phase == phase and absent in (newest.absent or "")
            return newest if is_so else None

        found: Totals = until(said)
        return found


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    with ExitStack() as stack:
        yield Device(tmp_path, stack)


def test_services_find_each_other_in_any_order_and_again(device: Device) -> None:
    device.start("faces")
    device.says("faces", "no_camera", "pipeline door does not share its camera")
    door = device.start("door")
    assert device.says("faces", "serving").absent is None
    device.says("door", "serving")
    door.kill()
    door.wait()
    device.says("faces", "no_camera", "pipeline door")
    door = device.start("door")
    device.says("faces", "serving")
    door.terminate()
    assert door.wait(30) == 0
    device.says("faces", "no_camera", "pipeline door")


class Running:
    """`vedette run` with its results."""

    def __init__(self, stack: ExitStack, folder: Path, camera: str, *words: str) -> None:
        self._file = folder / f"results-{time.monotonic_ns()}"
        common = ["--model", "digits", "--run", str(folder), "--results", str(self._file), "--json"]
        self.process = warm.Process(["run", "--camera", camera, *common, *words])
        stack.callback(self.process.wait)
        stack.callback(self.process.kill)

    def results(self) -> list[dict[str, Any]]:
        """Of the whole lines so far."""
        try:
            lines = self._file.read_text().split("\n")[:-1]
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines]

    def newest(self) -> int:
        """The number of the last frame; -1 before the first."""
        found = self.results()
        return int(found[-1]["seq"]) if found else -1

    def goes_on(self) -> None:
        first = self.newest()
        until(lambda: self.newest() >= max(0, first) + 5)


def test_who_is_stopped_or_killed_costs_the_owner_nothing(tmp_path: Path) -> None:
    with ExitStack() as stack:
        door = Running(stack, tmp_path, "synthetic://64x48@30", "--share", "door")
        door.goes_on()
        for _ in range(4):  # more than may share it at a time
            killed = Running(stack, tmp_path, "pipeline://door")
            killed.goes_on()
            killed.process.kill()
            killed.process.wait()
        stopped = Running(stack, tmp_path, "pipeline://door")
        other = Running(stack, tmp_path, "pipeline://door")
        stopped.goes_on()
        other.goes_on()
        stopped.process.send_signal(signal.SIGSTOP)
        before = stopped.newest()
        for one in (door, other):
            first = one.newest()
            until(lambda one=one, first=first: one.newest() >= first + 40)  # type: ignore[misc]
        stopped.process.send_signal(signal.SIGCONT)
        fresh: list[dict[str, Any]] = until(
            lambda: [one for one in stopped.results() if one["seq"] > before + 30][5:]
        )
        timing = fresh[0]["timing"]  # those before were on their way to it
        assert timing["read_ns"] - timing["captured_ns"] < 1e9
        both = {one["seq"]: one["timing"]["captured_ns"] for one in door.results()}
        assert all(both[one["seq"]] == one["timing"]["captured_ns"] for one in fresh)
        door.process.terminate()
        assert door.process.wait(30) == 0
