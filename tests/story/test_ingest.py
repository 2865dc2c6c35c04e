"""Records come into the registry exactly once, whatever dies meanwhile: real processes of all."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.registry.registry import Registry, open_registry
from fleet.registry.words import Scope, Span
from tests.brokers import Listener, Mosquitto
from tests.ingesting import FLEET, Ingesting, make_folder, until
from tests.patient_devices import PatientDevices
from tests.postgresql import Postgresql

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
DEVICES = 20
SECRET = "secret"  # noqa: S105 - of a broker that lives for one test


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    (tmp_path / "broker").mkdir()
    with Mosquitto(tmp_path / "broker") as broker:
        yield broker


@pytest.fixture
def devices(broker: Mosquitto) -> Iterator[PatientDevices]:
    with PatientDevices(broker.port, FLEET, DEVICES) as devices:
        yield devices


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/registry.db"


@pytest.fixture
def server() -> Iterator[Postgresql]:
    with Postgresql() as server:
        yield server


def check(database: str, devices: PatientDevices) -> None:
    """Every record that was made is there once, in windows and in all sums of them."""
    made = devices.made
    registry = open_registry(database)
    try:
        while registry.roll_up(time.time() + 86_400):
            pass
        _check(registry, made)
    finally:
        registry.close()


def _check(registry: Registry, made: dict[str, int]) -> None:
    now_s = time.time()
    span = Span(now_s - 3600, now_s + 10)
    for name, count in made.items():
        windows = registry.windows(name, "lane", span, most=100_000)
        assert len(windows) == count, name
        assert registry.gaps(name, span) == ()
        assert registry.latency(span, Scope(devices=[name])).end_to_end.count == 5 * count
        day = Span(now_s - 43_200, now_s + 10)
        assert registry.latency(day, Scope(devices=[name])).end_to_end.count == 5 * count
    assert registry.latency(span).end_to_end.count == 5 * sum(made.values())


def test_two_share_the_work_and_one_is_killed(
    tmp_path: Path, broker: Mosquitto, devices: PatientDevices, database: str
) -> None:
    fleet = make_folder(tmp_path / "fleet", broker.url())
    with (
        Ingesting(fleet, database, tmp_path / "one.log") as one,
        Ingesting(fleet, database, tmp_path / "two.log") as two,
    ):
        devices.until_acked(300)
        one.kill()
        devices.until_acked(devices.acked + 300)
        with Ingesting(fleet, database, tmp_path / "three.log") as three:
            devices.until_acked(devices.acked + 300)
            devices.settle()
            both = two.end(), three.end()
    assert all(each["stored"] > 0 for each in both), "the work was shared"
    check(database, devices)


def test_two_databases_get_everything_each(
    tmp_path: Path, broker: Mosquitto, database: str
) -> None:
    """At one broker, for one fleet: nobody takes another's half."""
    from tests.fleet_talk import Talker

    fleet = make_folder(tmp_path / "fleet", broker.url())
    door = Talker("door")
    with (
        Ingesting(fleet, database, tmp_path / "one.log") as one,
        Ingesting(fleet, f"sqlite:///{tmp_path}/other.db", tmp_path / "two.log") as two,
        Listener(broker.port, f"vedette/{FLEET}/to/door/ack", client_id="door") as device,
    ):
        for _ in range(20):
            record = door.telemetry(time.time()).payload
            device.publish(f"vedette/{FLEET}/device/door/telemetry", record)
        last = {"spool": door.spool, "seq": 20}
        device.wait_for(lambda heard: [json.loads(h.payload) for h in heard].count(last) == 2)
        both = one.end(), two.end()
    assert [each["stored"] for each in both] == [20, 20]


def test_the_broker_is_killed(
    tmp_path: Path, broker: Mosquitto, devices: PatientDevices, database: str
) -> None:
    fleet = make_folder(tmp_path / "fleet", broker.url())
    with Ingesting(fleet, database, tmp_path / "one.log") as one:
        devices.until_acked(200)
        broker.kill()
        one.until_says("no connection to the broker")
        broker.start()
        devices.until_acked(devices.acked + 400)
        devices.settle()
        one.end()
    check(database, devices)


def test_the_database_is_killed_and_two_ingest_goes_on_by_themselves(
    tmp_path: Path, broker: Mosquitto, devices: PatientDevices, server: Postgresql
) -> None:
    fleet = make_folder(tmp_path / "fleet", broker.url())
    database = server.fresh("registry")
    with (
        Ingesting(fleet, database, tmp_path / "one.log") as one,
        Ingesting(fleet, database, tmp_path / "two.log") as two,
    ):
        devices.until_acked(200)
        server.kill()
        one.until_says("nothing is stored and nothing acknowledged")
        two.until_says("nothing is stored and nothing acknowledged")
        time.sleep(1.0)  # what was acknowledged before is on its way
        before = devices.acked
        time.sleep(1.0)
        assert devices.acked == before, "acknowledged what was not stored"
        server.start()
        one.until_says("records are stored again")
        devices.until_acked(before + 400)
        devices.settle()
        both = one.end(), two.end()
    assert all(each["stored"] > 0 for each in both)
    check(database, devices)


def test_killed_again_and_again(
    tmp_path: Path, broker: Mosquitto, devices: PatientDevices, database: str
) -> None:
    """With no word of goodbye, at any moment of a batch."""
    fleet = make_folder(tmp_path / "fleet", broker.url())
    for life in range(4):
        with Ingesting(fleet, database, tmp_path / f"{life}.log") as one:
            devices.until_acked(devices.acked + 100)
            time.sleep(0.07 * life)
            one.kill()
    with Ingesting(fleet, database, tmp_path / "last.log") as one:
        devices.settle()
        one.end()
    check(database, devices)


def test_presence_and_state_come_by_the_keeper_also_when_it_dies(
    tmp_path: Path, broker: Mosquitto, database: str
) -> None:
    from tests.fleet_talk import Talker

    fleet = make_folder(tmp_path / "fleet", broker.url())
    door = Talker("door")
    topic = f"vedette/{FLEET}/device/door"
    with Listener(broker.port) as said, Ingesting(fleet, database, tmp_path / "one.log") as one:
        said.publish(f"{topic}/presence", door.presence(0, True).payload, retain=True)
        said.publish(f"{topic}/state", door.state(0).payload, retain=True)
        one.until_says("this process keeps the registry in order")
        registry = open_registry(database)
        try:
            until(lambda: _is_online(registry) is True, lambda: one.log)
            assert [(s.name, s.trouble) for s in registry.services()] == [("ingest", None)]
            with Ingesting(fleet, database, tmp_path / "two.log") as two:
                one.kill()
                said.publish(f"{topic}/presence", door.presence(0, False).payload, retain=True)
                two.until_says("this process keeps the registry in order", 90)
                until(lambda: _is_online(registry) is False, lambda: two.log)
                said.publish(f"{topic}/presence", b"", retain=True)
                until(lambda: _is_online(registry) is None, lambda: two.log)
        finally:
            registry.close()


def _is_online(registry: Registry) -> bool | None:
    known = registry.device("door")
    return None if known is None or known.presence is None else known.presence.online


def test_the_broker_lets_in_who_may_read_records(tmp_path: Path, database: str) -> None:
    """With the rules of docs/wire.md, shared subscriptions too."""
    rules = "\n".join(
        [
            "pattern write vedette/yard/device/%u/#", "pattern read vedette/yard/to/%u/#",
            "user registry",
            *(f"topic read vedette/yard/device/+/{kind}"
              for kind in ("telemetry", "event", "presence", "state")),
            "topic write vedette/yard/to/+/ack", "",
        ]
    )  # fmt: skip
    from tests.fleet_talk import Talker

    users = {"registry": SECRET, "door": SECRET}
    (tmp_path / "broker").mkdir()
    (tmp_path / "password").write_text("secret\n")
    with Mosquitto(tmp_path / "broker", users=users, acl=rules) as broker:
        fleet = make_folder(
            tmp_path / "fleet", broker.url(), 'username = "registry"',
            f'password_file = "{tmp_path / "password"}"',
        )  # fmt: skip
        door = Talker("door")
        acks = f"vedette/{FLEET}/to/door/ack"
        with (
            Ingesting(fleet, database, tmp_path / "one.log"),
            Listener(
                broker.port, acks, username="door", password=SECRET, client_id="door"
            ) as device,
        ):
            record = door.telemetry(time.time()).payload
            device.publish(f"vedette/{FLEET}/device/door/telemetry", record)
            device.wait_for(lambda heard: any(one.topic == acks for one in heard))
