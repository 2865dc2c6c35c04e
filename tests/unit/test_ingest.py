"""Ingest between a broker in memory and a real database: acknowledged is only what is durable."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from fleet.ingest.inbox import IngestInbox
from fleet.ingest.ingest import Ingest
from fleet.ingest.keeper import LEASE, Keeper
from fleet.registry.engine import open_engine
from fleet.registry.registry import TERMS, Registry, open_registry
from tests.fleet_talk import NOW_S, Talker
from wire.link import Disconnected, Link, Post, Received
from wire.memory_link import MemoryBroker
from wire.messages import Ack, parse

FLEET = "home"
ACK = "vedette/home/to/door/ack"
RECORD = "vedette/home/device/door/telemetry"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


@pytest.fixture
def registry(file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    impatient = partial(open_engine, patience_s=0.1)
    monkeypatch.setattr("fleet.registry.database.open_engine", impatient)
    registry = open_registry(f"sqlite:///{file}")
    yield registry
    registry.close()


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
def ingest(
    registry: Registry, broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ingest]:
    monkeypatch.setattr("fleet.ingest.ingest.GATHER_S", 0.02)
    monkeypatch.setattr("fleet.ingest.ingest.AGAIN_S", 0.05)
    ingest = Ingest(FLEET, registry, linked(broker), "one", "alone", clock=lambda: NOW_S + 100)
    ingest.open()
    yield ingest
    ingest.close()


def linked(broker: MemoryBroker) -> Callable[[str, Post], Link]:
    return lambda client_id, post: broker.link(client_id, post)


def acks(broker: MemoryBroker) -> list[Ack]:
    return [parse(payload, Ack) for topic, payload in broker.sent if topic == ACK]


def step_until(ingest: Ingest, is_so: Callable[[], bool]) -> None:
    until_s = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < until_s
        ingest.step(0.05)


def test_what_is_stored_is_acknowledged_also_again(ingest: Ingest, broker: MemoryBroker) -> None:
    door = Talker("door")
    record = door.telemetry(NOW_S).payload
    broker.carry(RECORD, record, retain=False)
    step_until(ingest, lambda: acks(broker) == [Ack("5b001", 1)])
    broker.carry(RECORD, record, retain=False)
    step_until(ingest, lambda: len(acks(broker)) == 2)
    counts = ingest.counted()
    assert (counts.stored, counts.duplicates, counts.refused) == (1, 1, 0)


def test_nothing_is_acknowledged_while_the_database_takes_nothing(
    ingest: Ingest, broker: MemoryBroker, file: Path, registry: Registry
) -> None:
    ingest.step(0.05)
    assert ingest.trouble is None
    door = Talker("door")
    other = sqlite3.connect(file, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        broker.carry(RECORD, door.telemetry(NOW_S).payload, retain=False)
        step_until(ingest, lambda: ingest.trouble is not None)
        broker.carry(RECORD, door.telemetry(NOW_S + 10).payload, retain=False)
        for _ in range(5):
            ingest.step(0.05)
        assert acks(broker) == []
        assert "locked" in ingest.status()
        other.execute("ROLLBACK")
    finally:
        other.close()
    step_until(ingest, lambda: [ack.seq for ack in acks(broker)][-1:] == [2])
    step_until(ingest, lambda: ingest.trouble is None)
    assert ingest.counted().stored == 2
    known = registry.device("door")
    assert known is not None and known.lost == 0


def test_that_nothing_is_stored_is_said_whoever_notices_the_database_first(
    ingest: Ingest,
    broker: MemoryBroker,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The report of how it goes may be what fails first, when no record is there."""
    monkeypatch.setattr("fleet.ingest.ingest.REPORT_S", 0.0)
    caplog.set_level("INFO", "vedette.ingest")
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        step_until(ingest, lambda: "the database: " in caplog.text)
        broker.carry(RECORD, Talker("door").telemetry(NOW_S).payload, retain=False)
        step_until(ingest, lambda: "nothing is stored and nothing acknowledged" in caplog.text)
        other.execute("ROLLBACK")
    step_until(ingest, lambda: "records are stored again" in caplog.text)
    assert caplog.text.count("nothing is stored") == caplog.text.count("the database: ") == 1


def test_a_database_that_answers_again_is_said_without_a_record(
    ingest: Ingest, file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("fleet.ingest.ingest.REPORT_S", 0.0)
    caplog.set_level("INFO", "vedette.ingest")
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        step_until(ingest, lambda: "the database: " in caplog.text)
        other.execute("ROLLBACK")
    step_until(ingest, lambda: "the database answers again" in caplog.text)
    assert ingest.trouble is None


def test_a_lost_broker_is_said_where_others_look(
    ingest: Ingest, broker: MemoryBroker, registry: Registry
) -> None:
    step_until(ingest, lambda: registry.services() != ())
    (service,) = registry.services()
    assert (service.name, service.holder, service.trouble) == ("ingest", "one", None)
    broker.stop()
    step_until(ingest, lambda: registry.services()[0].trouble == "the broker stopped")


def test_garbage_does_not_stop_what_is_good(ingest: Ingest, broker: MemoryBroker) -> None:
    door = Talker("door")
    broker.carry(RECORD, b"\xff\xfe", retain=False)
    broker.carry("vedette/home/device/door/event", b"[]", retain=False)
    broker.carry(RECORD, door.telemetry(NOW_S).payload, retain=False)
    step_until(ingest, lambda: bool(acks(broker)))
    step_until(ingest, lambda: ingest.counted().refused == 2)


def test_what_is_retained_is_taken_by_the_keeper_alone(
    ingest: Ingest, broker: MemoryBroker, registry: Registry
) -> None:
    door = Talker("door")
    broker.carry("vedette/home/device/door/presence", door.presence(0, True).payload, retain=True)
    for _ in range(3):
        ingest.step(0.05)
    assert registry.device("door") is None
    keeper = Keeper(registry, "one", ingest, TERMS, clock=lambda: 1000.0)
    keeper.step()
    assert keeper.is_kept
    step_until(ingest, lambda: registry.device("door") is not None)
    other = Keeper(registry, "other", ingest, TERMS, clock=lambda: 1001.0)
    other.step()
    assert not other.is_kept
    keeper.close()
    assert registry.take_lease(LEASE, "other", 1002.0, 30.0)


def test_a_bug_of_the_keeper_is_no_secret(
    ingest: Ingest, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def roll_up(self: Registry, now_s: float) -> int:
        raise ZeroDivisionError("in the keeper")

    monkeypatch.setattr(Registry, "roll_up", roll_up)
    with closing(Keeper(registry, "one", ingest, TERMS, clock=lambda: 1000.0)) as keeper:
        keeper.check()
        keeper.open()
        with pytest.raises(ZeroDivisionError, match="in the keeper"):
            until_s = time.monotonic() + 20
            while time.monotonic() < until_s:
                keeper.check()
                time.sleep(0.01)
    assert registry.take_lease(LEASE, "other", 1001.0, 30.0)


def test_an_inbox_drops_what_nobody_takes() -> None:
    inbox = IngestInbox(most=2)
    inbox.nobody_takes(is_stuck=True)
    for number in range(5):
        inbox.post(Received(str(number), b"x", False))
    inbox.post(Disconnected("gone", 1.0))  # is never dropped
    assert inbox.dropped == 3
    assert len(inbox.take(10, 0.0, 0.0)) == 3


def test_an_inbox_lets_the_link_wait_for_room() -> None:
    inbox = IngestInbox(most=1)
    inbox.post(Received("a", b"x", False))
    taken: list[object] = []

    def take() -> None:
        time.sleep(0.1)
        taken.extend(inbox.take(1, 0.0, 0.0))

    taker = threading.Thread(target=take)
    taker.start()
    inbox.post(Received("b", b"x", False))
    taker.join()
    assert inbox.dropped == 0 and len(taken) == 1


def test_an_inbox_gathers() -> None:
    inbox = IngestInbox()
    later = threading.Timer(0.05, lambda: inbox.post(Received("b", b"x", False)))
    inbox.post(Received("a", b"x", False))
    later.start()
    assert len(inbox.take(2, 20.0, 20.0)) == 2
    later.join()
    inbox.wake()
    began_s = time.monotonic()
    assert inbox.take(2, 20.0, 20.0) == []
    assert time.monotonic() - began_s < 10
