"""What systemd is told of a pipeline: ready and alive by frames, or by a camera that is missed."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.agent_line import AgentLine
from runtime.cameras import Ended
from runtime.engines import Tensor
from runtime.loop import HELD, NO_MODEL, Loop, Model
from runtime.reporting import Pipeline, Reporter
from runtime.serving import HELD_S, Service
from tests.by_hand import HandCamera, HandClock, grey, model_of
from wire.local import Leave, agent_mailbox, pipeline_socket
from wire.messages import PipelineSettings
from wire.systemd import Notifier

WATCHDOG_S = 9.0
MODEL = model_of()


class Unit:
    """A service by hand, and systemd's end of its socket."""

    def __init__(self, folder: Path, first: Model = MODEL) -> None:
        self.folder = folder
        self.ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.ear.bind(os.fspath(folder / "notify"))
        self.ear.setblocking(False)
        self._told = ""
        self.clock = HandClock()
        self.camera = HandCamera(self.clock)
        environment = {
            "NOTIFY_SOCKET": str(folder / "notify"),
            "WATCHDOG_USEC": str(round(WATCHDOG_S * 1e6)),
        }
        self.notifier = Notifier(environment, self.clock)
        self.line = AgentLine(folder, "door", lambda _: None)
        self.reporter = Reporter(
            Pipeline("door", "hand://"), self.camera, lambda: loop.model,
            PipelineSettings(results="off"), self.line, first, self.clock.ns,
        )  # fmt: skip
        self.loop = loop = Loop(
            self.camera, first, self.reporter.emit, self.reporter.glance, self.clock.ns
        )
        self.service = Service(
            loop, self.camera, self.reporter, self.notifier, lambda: "tiny 3 on hand://", self.clock
        )
        self.service.start()

    def frames(self, count: int, fps: float = 10) -> None:
        for _ in range(count):
            self.camera.frames.append(grey())
            assert self.service.step(0.5)
            self.clock.sleep(1 / fps)
            self._listen()

    def idle(self, seconds: float) -> None:
        end_s = self.clock() + seconds
        while self.clock() < end_s:
            assert self.service.step(0.5)
            self._listen()

    def told(self) -> list[str]:
        """What systemd was told since, line by line."""
        self._listen()
        told, self._told = self._told, ""
        return told.splitlines()

    def _listen(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._told += self.ear.recv(65536).decode()

    def close(self) -> None:
        self.reporter.close()
        self.notifier.close()
        self.ear.close()


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Unit]:
    unit = Unit(tmp_path)
    yield unit
    unit.close()


def test_ready_with_the_first_frame_and_only_once(unit: Unit) -> None:
    unit.idle(3)
    assert "READY=1" not in unit.told()
    unit.frames(1)
    told = unit.told()
    assert "READY=1" in told and "WATCHDOG=1" in told
    unit.frames(100)
    assert "READY=1" not in unit.told()


def test_ready_when_the_camera_is_reported_absent(unit: Unit) -> None:
    unit.camera.absent = "no /dev/video0"
    unit.idle(1)
    told = unit.told()
    assert "READY=1" in told
    assert "STATUS=no camera, trying again: no /dev/video0" in told


def test_the_watchdog_is_petted_while_frames_come_out(unit: Unit) -> None:
    unit.frames(600)
    assert unit.told().count("WATCHDOG=1") == pytest.approx(60 / (WATCHDOG_S / 3), abs=2)


def test_slow_frames_are_frames(unit: Unit) -> None:
    for _ in range(10):
        unit.frames(1)
        unit.told()
        unit.idle(5)
        unit.frames(1)
        assert "WATCHDOG=1" in unit.told()


def test_it_is_not_petted_while_a_camera_gives_nothing_and_does_not_say_why(unit: Unit) -> None:
    unit.frames(100)
    unit.told()
    unit.idle(60)
    assert "WATCHDOG=1" not in unit.told()


def test_it_is_petted_while_a_camera_waits_for_what_somebody_sends(unit: Unit) -> None:
    vars(unit.camera)["is_waiting"] = True
    unit.idle(2 * WATCHDOG_S)
    told = unit.told()
    assert "READY=1" in told and told.count("WATCHDOG=1") >= 2
    vars(unit.camera)["is_waiting"] = False
    unit.idle(2 * WATCHDOG_S)
    assert "WATCHDOG=1" not in unit.told()


def test_it_is_petted_while_the_camera_is_reported_absent(unit: Unit) -> None:
    unit.frames(10)
    unit.camera.absent = "unplugged"
    unit.told()
    unit.idle(60)
    assert unit.told().count("WATCHDOG=1") == pytest.approx(60 / (WATCHDOG_S / 3), abs=3)


def test_waiting_for_a_model_is_well(tmp_path: Path) -> None:
    unit = Unit(tmp_path, NO_MODEL)
    told: list[str] = []
    for _ in range(60):
        unit.service.step(0.001)
        unit.clock.sleep(1)
        told += unit.told()
    assert told[:2] == ["READY=1", "STATUS=tiny 3 on hand://"]
    assert told.count("WATCHDOG=1") == pytest.approx(60 / (WATCHDOG_S / 3), abs=2)
    assert "STATUS=no model: waiting until one is deployed" in told
    assert unit.camera.starts == 0
    unit.loop.swap(MODEL)
    unit.service.step(0.001)
    unit.frames(3)
    assert unit.camera.starts == 1 and "STATUS=serving: tiny 3 on hand://" in unit.told()
    unit.close()


def test_a_model_may_take_a_while_to_come_in_the_place_of_another_but_not_for_ever(
    unit: Unit,
) -> None:
    for _ in range(2):
        unit.frames(10)
        unit.loop.swap(HELD)
        unit.told()
        unit.idle(HELD_S - WATCHDOG_S)
        assert unit.told().count("WATCHDOG=1") > HELD_S / WATCHDOG_S
        assert unit.reporter.phase == "starting"
        unit.idle(2 * WATCHDOG_S)
        unit.told()
        unit.idle(60)
        assert "WATCHDOG=1" not in unit.told()
        unit.loop.swap(MODEL)
        unit.idle(0.5)


def test_an_engine_that_hangs_is_not_petted(tmp_path: Path) -> None:
    """A real hang, on a thread of its own: run() does not come back until it is let go."""
    unit = Unit(tmp_path)
    unit.frames(10)
    hangs, go = threading.Event(), threading.Event()
    run = MODEL.engine.run

    def hang() -> tuple[Tensor, ...]:
        hangs.set()
        go.wait(60)
        return run()

    MODEL.engine.run = hang  # type: ignore[method-assign]
    try:
        unit.told()
        unit.camera.frames.append(grey())
        loop = threading.Thread(target=unit.service.step, args=(0.5,))
        loop.start()
        assert hangs.wait(30)
        unit.clock.sleep(1000)
        assert unit.told() == []
        go.set()
        loop.join(30)
        assert "WATCHDOG=1" in unit.told()
    finally:
        go.set()
        MODEL.engine.run = run  # type: ignore[method-assign]
        unit.close()


def test_the_status_says_how_many_results_there_are(unit: Unit) -> None:
    unit.frames(250)
    status = [line for line in unit.told() if line.startswith("STATUS=")]
    assert status[0] == "STATUS=tiny 3 on hand://"
    assert status[-1] == "STATUS=tiny 3 on hand://: 10 results/s" or "9.9" in status[-1]
    unit.camera.absent = "unplugged"
    unit.idle(1)
    assert unit.told()[-1] == "STATUS=no camera, trying again: unplugged"
    unit.camera.absent = None
    unit.frames(3)
    assert "STATUS=serving: tiny 3 on hand://" in unit.told()


def test_the_end(unit: Unit) -> None:
    unit.frames(5)
    unit.told()
    unit.service.end()
    assert unit.told() == ["STOPPING=1", "STATUS=ending after 5 results"]


def test_the_end_of_a_recording_ends_it(unit: Unit) -> None:
    unit.camera.broken = Ended("over")
    assert not unit.service.step(0.5)
    assert unit.reporter.phase == "ended"


def test_the_agents_word_ends_it(unit: Unit) -> None:
    agent = agent_mailbox(unit.folder)
    assert agent.send(pipeline_socket(unit.folder, "door"), Leave("1"))
    unit.camera.frames.append(grey())
    unit.clock.sleep(1)
    assert not unit.service.step(0.5)
    agent.close()
