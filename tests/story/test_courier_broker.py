"""The courier over a real broker: whatever dies during a replay, nothing is missing."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest

from agent.clock import SystemClock
from agent.courier import Courier
from agent.inbox import Inbox
from agent.keeping import Keeping
from agent.pace import RECORDS_PER_S
from tests.brokers import Heard, Listener, Mosquitto, TcpGate
from tests.delivery import Envelope
from tests.registry import rows_of
from wire import topics
from wire.backoff import Backoff
from wire.config import Broker, Config, TelemetryTable
from wire.link import Connected, Delivered, Disconnected, Received
from wire.messages import Ack, Event, body_of, parse
from wire.mqtt.mqtt import MqttLink

BACKLOG = 300  # at 20 a second
DEADLINE_S = 90.0
pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]


class Device:
    """A courier with a spool on disk and a link, without the rest of the agent."""

    def __init__(self, folder: Path, port: int, by: Literal["broker", "registry"]) -> None:
        table = TelemetryTable(acknowledged_by=by)
        config = Config(broker=Broker(url=f"mqtt://127.0.0.1:{port}"), device="door")
        self.clock = SystemClock()
        self.keeping = Keeping(folder, table, self.clock)
        self.made: set[tuple[str, int]] = set()
        self.connections = 0
        self._inbox = Inbox()
        backoff = Backoff(first_s=0.1, most_s=0.5)
        self._link = MqttLink(config.broker, "door", self._inbox.post, backoff=backoff)
        self._link.subscribe(topics.ack("home", "door"))
        config = Config(broker=config.broker, device="door", telemetry=table)
        self._courier = Courier(self.keeping, self._link.publish, config, self.clock)

    def append(self, count: int) -> None:
        for _ in range(count):
            event = Event("", 0, 0, "b", 1.0, 1.0, "note", "agent", None, f"n{len(self.made)}")
            for record in self.keeping.append([("event", body_of(event))], {}):
                self.made.add((record.spool, record.seq))
        self._courier.fresh()

    def open(self) -> None:
        self._link.open()

    def until(self, is_so: Callable[[], bool]) -> None:
        """Turn until something is so."""
        end_s = time.monotonic() + DEADLINE_S
        while not is_so():
            assert time.monotonic() < end_s, f"{self.keeping.waiting} records still wait"
            event = self._inbox.take(0.1)
            if isinstance(event, Connected):
                self.connections += 1
                self._courier.connected(event)
            elif isinstance(event, Disconnected):
                self._courier.disconnected()
            elif isinstance(event, Delivered):
                self._courier.delivered(event.number)
            elif isinstance(event, Received):
                self._courier.acked(parse(event.payload, Ack))
            self._courier.tick()
            self.keeping.tick()

    def waits_for(self, most: int) -> Callable[[], bool]:
        return lambda: self.keeping.waiting <= most

    def close(self) -> None:
        self._link.close()
        self.keeping.close()


@contextmanager
def device_on(folder: Path, port: int, by: Literal["broker", "registry"]) -> Iterator[Device]:
    (folder / "state").mkdir()
    device = Device(folder / "state", port, by)
    try:
        device.append(BACKLOG)
        device.open()
        yield device
    finally:
        device.close()


@contextmanager
def registry_on(port: int, path: Path) -> Iterator[subprocess.Popen[str]]:
    """A registry as a process, that hears already."""
    command = [sys.executable, "-m", "tests.registry", f"mqtt://127.0.0.1:{port}", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "connected\n"
            yield process
        finally:
            process.kill()


def test_the_registry_has_all_after_its_own_death_and_the_broker_s(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    with (
        Mosquitto() as broker,
        TcpGate(broker.port) as gate,
        device_on(tmp_path, gate.port, "registry") as device,
    ):
        with registry_on(broker.port, path) as registry:
            device.until(device.waits_for(BACKLOG - 80))
            registry.kill()  # in the middle of the replay
            registry.wait()
        with registry_on(broker.port, path):
            device.append(1)
            device.until(device.waits_for(BACKLOG - 160))
            broker.kill()
            device.append(10)
            broker.start()
            device.until(device.waits_for(BACKLOG - 240))
            gate.cut()
            device.until(device.waits_for(0))
        assert device.connections == 3
        made, lost = device.made, device.keeping.lost
    rows = rows_of(path)
    assert {(row.spool, row.seq) for row in rows} == made
    assert lost == 0
    assert not any(row.contradicted for row in rows)
    # three deaths and one wait: what was on its way then, and a new question or two
    assert sum(row.copies - 1 for row in rows) <= 3 * 64 + 10


def test_the_broker_had_all_though_the_way_to_it_broke_in_mid_publish(tmp_path: Path) -> None:
    with (
        Mosquitto() as broker,
        TcpGate(broker.port) as gate,
        Listener(broker.port, "vedette/home/device/door/event") as witness,
        device_on(tmp_path, gate.port, "broker") as device,
    ):
        start_s = time.monotonic()
        for step in range(1, 5):
            device.until(device.waits_for(BACKLOG - 60 * step))
            gate.cut_after(1000 + 137 * step)  # in the middle of some record
            device.append(1)
        device.until(device.waits_for(0))
        took_s = time.monotonic() - start_s
        made = device.made
        heard = witness.wait_for(lambda heard: counted(heard).keys() >= made)
        assert device.connections >= 4
    counts = counted(heard)
    assert set(counts) == made
    assert sum(counts.values()) - len(counts) <= 5 * 20
    assert took_s >= BACKLOG / RECORDS_PER_S - 1


def test_new_records_arrive_at_once_while_the_backlog_goes(tmp_path: Path) -> None:
    with (
        Mosquitto() as broker,
        Listener(broker.port, "vedette/home/device/door/event") as witness,
        device_on(tmp_path, broker.port, "broker") as device,
    ):
        device.until(device.waits_for(BACKLOG - 40))
        waits_s = []
        for _ in range(20):
            device.append(1)
            newest, now_s = device.keeping.newest(device.keeping.ids()[-1]), time.monotonic()
            device.until(lambda n=newest: any(seq_of(h.payload) == n for h in witness.heard))
            waits_s.append(time.monotonic() - now_s)
        assert device.keeping.waiting > BACKLOG / 2
        # behind the backlog each would wait for more than half of it
        assert sorted(waits_s)[10] < BACKLOG / RECORDS_PER_S / 8


def counted(heard: list[Heard]) -> Counter[tuple[str, int]]:
    """How often each record came."""
    records = [parse(message.payload, Envelope) for message in heard]
    return Counter((record.spool, record.seq) for record in records)


def seq_of(payload: bytes) -> int:
    return parse(payload, Envelope).seq
