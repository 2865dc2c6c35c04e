"""A day of a device, with its clock driven fast: whatever dies, every record arrives once."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.brokers import Mosquitto
from tests.device import until
from tests.driven_agent import FRAMES_PER_MINUTE
from tests.registry import Registry
from wire.config import Broker
from wire.messages import Telemetry, parse
from wire.mqtt.mqtt import MqttLink

DAY = 24 * 60  # minutes
MEMORY = "/dev/shm"  # noqa: S108  as /run is on a device
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


class Driven:
    """The process of a driven agent; it can be killed and started again."""

    def __init__(self, folder: Path, run: str, port: int, by: str, mib: int) -> None:
        self._folder = folder
        self._words = [str(folder), run, str(port), by, str(mib)]
        self.start()

    def start(self) -> None:
        with open(self._folder / "log", "a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.driven_agent", *self._words],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        self.hear("ready")

    def tell(self, words: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(words + "\n")
        self._process.stdin.flush()

    def hear(self, expected: str) -> None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        assert line == expected, f"{line!r}: {(self._folder / 'log').read_text()[-3000:]}"

    def to(self, minute: int) -> None:
        self.tell(f"to {minute}")
        self.hear(f"at {minute}")

    def settle(self) -> None:
        self.tell("settle")
        self.hear("settled")

    def kill_on_the_way_to(self, minute: int) -> None:
        """kill -9, somewhere on the way."""
        self.tell(f"to {minute}")
        time.sleep(random.uniform(0.1, 0.6))
        self._process.kill()
        self._end()
        self.start()
        self.to(minute)

    def end(self) -> None:
        if self._process.poll() is None:
            self.tell("end")
            self.hear("ended")
        self._end()

    def _end(self) -> None:
        self._process.wait(20)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@contextmanager
def driven(folder: Path, port: int, by: str, mib: int = 64) -> Iterator[Driven]:
    folder.mkdir()
    with tempfile.TemporaryDirectory(dir=MEMORY if os.path.isdir(MEMORY) else None) as run:
        agent = Driven(folder, run, port, by, mib)
        try:
            yield agent
        finally:
            agent._process.kill()
            agent._end()


StartRegistry = Callable[[int], Registry]


@pytest.fixture
def registry_on(tmp_path: Path) -> Iterator[StartRegistry]:
    """Starts a registry at the broker on a port; it goes on with what an earlier one has stored."""
    with ExitStack() as stack:

        def start(port: int) -> Registry:
            broker = Broker(url=f"mqtt://127.0.0.1:{port}")
            path = tmp_path / "registry.db"
            registry = Registry(path, lambda post: MqttLink(broker, "registry", post), "yard")
            registry.start()
            stack.callback(registry.stop)
            return registry

        yield start


def spool_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "device" / "state").glob("spool*"))


def telemetry(registry: Registry) -> list[Telemetry]:
    return [parse(row.message, Telemetry) for row in registry.rows() if row.kind == "telemetry"]


def frames_of(registry: Registry) -> int:
    records = telemetry(registry)
    return sum(record.pipelines["lane"].frames for record in records if record.pipelines)


def missing(registry: Registry) -> int:
    """Numbers that never came, of every spool id, up to the highest that came."""
    highest: dict[str, int] = {}
    for row in registry.rows():
        highest[row.spool] = max(row.seq, highest.get(row.spool, 0))
    return sum(highest.values()) - len(registry.rows())


def test_a_day_of_trouble_arrives_whole_and_once(
    tmp_path: Path, registry_on: StartRegistry
) -> None:
    with Mosquitto(tmp_path) as broker:
        registry = registry_on(broker.port)
        with driven(tmp_path / "device", broker.port, "registry") as agent:
            agent.to(120)
            broker.stop()  # the outage
            agent.to(300)
            broker.start()
            agent.kill_on_the_way_to(700)
            broker.kill()  # the restart of the broker, unannounced
            broker.start()
            agent.to(900)
            agent.settle()
            largest = spool_bytes(tmp_path)
            registry.stop()  # the restart of the registry
            agent.to(1000)
            registry = registry_on(broker.port)
            agent.kill_on_the_way_to(1200)
            agent.to(DAY)
            agent.settle()
            agent.end()
        until(lambda: frames_of(registry) == DAY * FRAMES_PER_MINUTE)
        registry.stop()
    assert_whole(registry)
    assert max(largest, spool_bytes(tmp_path)) <= 8 * 2**20


def test_with_the_brokers_word_alone_a_listener_that_is_there_gets_all(
    tmp_path: Path, registry_on: StartRegistry
) -> None:
    with Mosquitto(tmp_path) as broker:
        registry = registry_on(broker.port)
        assert registry.connected.wait(60)
        with driven(tmp_path / "device", broker.port, "broker") as agent:
            agent.to(60)
            agent.settle()
            # the broker has it; what a registry that stops has not stored is gone
            until(lambda: frames_of(registry) == 60 * FRAMES_PER_MINUTE)
            registry.stop()
            broker.stop()
            agent.to(200)
            broker.start()
            registry = registry_on(broker.port)
            assert registry.connected.wait(60)
            agent.kill_on_the_way_to(400)
            agent.settle()
            agent.end()
        until(lambda: frames_of(registry) == 400 * FRAMES_PER_MINUTE)
        registry.stop()
    assert_whole(registry)


def assert_whole(registry: Registry) -> None:
    assert missing(registry) == 0
    assert all(row.contradicted == 0 for row in registry.rows())
    assert telemetry(registry)[-1].lost == 0


def test_of_a_spool_too_small_what_is_missing_was_reported_lost(
    tmp_path: Path, registry_on: StartRegistry
) -> None:
    with Mosquitto(tmp_path) as broker:
        registry = registry_on(broker.port)
        with driven(tmp_path / "device", broker.port, "registry", mib=1) as agent:
            agent.to(10)
            agent.settle()
            broker.stop()
            agent.to(DAY)
            assert spool_bytes(tmp_path) <= 2**20
            broker.start()
            assert registry.connected.wait(60)
            agent.settle()
            agent.to(DAY + 1)
            agent.settle()
            agent.end()
        registry.stop()
    records = telemetry(registry)
    assert records[-1].lost > 100
    assert missing(registry) == records[-1].lost
    assert all(row.contradicted == 0 for row in registry.rows())
