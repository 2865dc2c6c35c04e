"""The registry that tests use: it stores, then acknowledges what has no hole."""

from __future__ import annotations

from pathlib import Path

from tests.registry import Registry, rows_of
from wire import topics
from wire.health import Health
from wire.link import LinkEvent, Received
from wire.memory_link import MemoryBroker, MemoryLink
from wire.messages import Ack, Event, Telemetry, enveloped, parse, to_json


def record(spool: str, seq: int, oldest: int = 1, text: str = "") -> bytes:
    event = Event(spool, seq, oldest, "b", 1.0, 1.0, "note", "agent", None, text)
    return to_json(event)


class Device:
    """Publishes records and collects acks."""

    def __init__(self, broker: MemoryBroker, name: str) -> None:
        self.acks: list[Ack] = []
        self._name = name
        self._link: MemoryLink = broker.link(name, self._hear)
        self._link.subscribe(topics.ack("home", name))
        self._link.open()

    def send(self, payload: bytes) -> None:
        self._link.publish(topics.event("home", self._name), payload)

    def _hear(self, event: LinkEvent) -> None:
        if isinstance(event, Received):
            self.acks.append(parse(event.payload, Ack))


def registry_of(broker: MemoryBroker, path: Path) -> Registry:
    registry = Registry(path, lambda post: broker.link("registry", post))
    registry.open()
    return registry


def test_it_acknowledges_up_to_the_first_hole(tmp_path: Path) -> None:
    broker = MemoryBroker()
    registry = registry_of(broker, tmp_path / "r.db")
    door, gate = Device(broker, "door"), Device(broker, "gate")
    for seq in (1, 2, 4, 5):
        door.send(record("a", seq))
    gate.send(record("a", 1))
    assert door.acks == []
    registry.turn()
    assert (door.acks, gate.acks) == ([Ack("a", 2)], [Ack("a", 1)])
    door.send(record("a", 3))
    registry.turn()
    door.send(record("a", 9, oldest=8))
    registry.turn()
    door.send(record("a", 8, oldest=8))
    registry.turn()
    assert door.acks[1:] == [Ack("a", 5), Ack("a", 7), Ack("a", 9)]
    registry.stop()
    assert [(row.device, row.seq) for row in registry.rows()] == [
        *(("door", seq) for seq in (1, 2, 3, 4, 5, 8, 9)),
        ("gate", 1),
    ]


def test_it_goes_on_after_a_restart_and_counts_what_came_twice(tmp_path: Path) -> None:
    broker = MemoryBroker()
    registry = registry_of(broker, tmp_path / "r.db")
    door = Device(broker, "door")
    door.send(record("a", 1))
    registry.turn()
    door.send(record("a", 2))
    registry.stop()  # it heard 2, and dies
    registry = registry_of(broker, tmp_path / "r.db")
    door.send(record("a", 1, oldest=1))
    door.send(record("a", 2, oldest=2))
    door.send(record("a", 2, oldest=1, text="other"))
    door.send(b"{")
    registry.turn()
    assert door.acks == [Ack("a", 1), Ack("a", 2)]
    assert registry.duplicates() == 2
    assert [row.contradicted for row in registry.rows()] == [0, 1]
    assert registry.refused == 1
    registry.stop()


def test_it_runs_on_a_thread(tmp_path: Path) -> None:
    broker = MemoryBroker()
    registry = Registry(tmp_path / "r.db", lambda post: broker.link("registry", post))
    registry.start()
    assert registry.connected.wait(10)
    Device(broker, "door").send(record("a", 1))
    while not registry.rows():
        pass
    registry.stop()
    (row,) = rows_of(tmp_path / "r.db")
    assert (row.kind, row.spool, row.seq, row.copies) == ("event", "a", 1, 1)
    assert b'"oldest":0' in row.message


def test_it_takes_telemetry_as_the_courier_sends_it(tmp_path: Path) -> None:
    broker = MemoryBroker()
    registry = registry_of(broker, tmp_path / "r.db")
    link = broker.link("door", lambda event: None)
    link.open()
    whole = to_json(Telemetry("", 0, 0, "b", 1.0, 1.0, 60.0, 0, {}, Health()))
    body = b"{" + whole.split(b'"oldest":0,', 1)[1]
    link.publish(topics.telemetry("home", "door"), enveloped(body, "a", 7, 7))
    registry.turn()
    registry.stop()
    (row,) = registry.rows()
    assert (row.kind, row.seq) == ("telemetry", 7)
