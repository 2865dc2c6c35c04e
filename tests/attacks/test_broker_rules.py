"""mosquitto with the rules that docs/wire.md shows: everybody can do their work, and no more."""

from __future__ import annotations

import queue
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.brokers import Listener, Mosquitto
from tests.laws.sources import ROOT
from wire import topics
from wire.config import Broker
from wire.link import Connected, LinkEvent, Received, Will
from wire.mqtt.mqtt import MqttLink

PATIENCE_S = 30
DOOR = "vedette/home/device/door"
TO_DOOR, TO_YARD = "vedette/home/to/door", "vedette/home/to/yard"
KEY = "0" * 64
BLOCK, BELL = f"vedette/home/block/{KEY}/0", "vedette/home/release/timestamp"
USERS = ("door", "yard", "operator", "registry", "depot")


def rules() -> str:
    (text,) = re.findall(
        r"^```acl\n(.*?)^```", (ROOT / "docs/wire.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    return str(text)


@pytest.fixture(scope="module")
def broker() -> Iterator[Mosquitto]:
    with Mosquitto(users={user: f"of {user}" for user in USERS}, acl=rules()) as broker:
        yield broker


def person(broker: Mosquitto, user: str, *patterns: str) -> Listener:
    return Listener(broker.port, *patterns, username=user, password=f"of {user}")


def heard_of(
    broker: Mosquitto, writer: str, topic_names: list[str], reader: str, last: str
) -> list[str]:
    """Which topics, that the writer wrote to, reached a reader of everything. last: one that does,
    written after the others."""
    with person(broker, reader, "#") as hears, person(broker, writer) as writes:
        for topic in (*topic_names, last):
            writes.publish(topic, b"{}")
        told = hears.wait_for(lambda heard: any(one.topic == last for one in heard), PATIENCE_S)
    return [one.topic for one in told if one.topic != last and not one.retained]


OWN = ["presence", "state", "telemetry", "event", "result/lane", "snapshot/7", "reply", "request/0"]


def test_a_device_says_everything_as_itself(broker: Mosquitto) -> None:
    own = [f"{DOOR}/{kind}" for kind in OWN]
    assert heard_of(broker, "door", own, "operator", f"{DOOR}/reply/") == own


def test_a_device_says_nothing_as_another(broker: Mosquitto) -> None:
    forbidden = [f"{DOOR}/{kind}" for kind in OWN]
    forbidden += ["vedette/home/device/telemetry", "vedette/home/device/yard2/state"]
    forbidden += [f"{DOOR}/../yard/state", "vedette/other/device/yard/state"]
    last = "vedette/home/device/yard/state"
    assert heard_of(broker, "yard", forbidden, "operator", last) == []


@pytest.mark.parametrize("writer", ["yard", "door", "registry"])
def test_only_operators_command_and_only_the_registry_acks(broker: Mosquitto, writer: str) -> None:
    with person(broker, "door", "#") as door, person(broker, writer) as writes:
        for topic in (f"{TO_DOOR}/command", f"{TO_DOOR}/ack", f"{TO_DOOR}/other"):
            writes.publish(topic, writer.encode())
        with person(broker, "operator") as operator, person(broker, "registry") as registry:
            registry.publish(f"{TO_DOOR}/ack", b"last")
            operator.publish(f"{TO_DOOR}/ack", b"of an operator")
            operator.publish(f"{TO_DOOR}/command", b"last")
        heard = door.wait_for(
            lambda all_: (
                [m.payload for m in all_ if m.topic.startswith(TO_DOOR)].count(b"last") == 2
            )
        )
    told = [(m.topic, m.payload) for m in heard if m.topic.startswith(TO_DOOR)]
    acks = [(f"{TO_DOOR}/ack", b"registry")] if writer == "registry" else []
    assert told == [*acks, (f"{TO_DOOR}/ack", b"last"), (f"{TO_DOOR}/command", b"last")]


@pytest.mark.parametrize("writer", ["door", "registry"])
def test_devices_and_registry_hand_out_no_models(broker: Mosquitto, writer: str) -> None:
    forbidden = [BLOCK, BELL, *(f"vedette/home/offer/7/{part}" for part in ("offer", "deploy"))]
    with person(broker, "depot", "#") as depot, person(broker, writer) as writes:
        for topic in forbidden:
            writes.publish(topic, b"false")
        with person(broker, "door") as door:
            door.publish("vedette/home/device/door/request/0", b"last")
        told = depot.wait_for(lambda heard: b"last" in [one.payload for one in heard])
    assert b"false" not in [one.payload for one in told]


def test_the_depot_serves_models_and_nothing_else(broker: Mosquitto) -> None:
    own = [BLOCK, "vedette/home/offer/7/answer", "vedette/home/offer/7/want"]
    forbidden = [f"{TO_DOOR}/command", f"{TO_DOOR}/ack", f"{DOOR}/state"]
    assert heard_of(broker, "depot", [*forbidden, *own], "operator", BELL) == own
    assert heard_of(broker, "depot", [BLOCK], "door", BELL) == [BLOCK]
    asked = ["vedette/home/device/door/request/0"]
    assert heard_of(broker, "door", asked, "depot", "vedette/home/device/door/request/1") == asked


def test_a_device_hears_only_what_is_for_it(broker: Mosquitto) -> None:
    with (
        person(broker, "operator") as operator,
        person(broker, "yard") as yard,
        person(broker, "door", "#") as door,
    ):
        yard.publish("vedette/home/device/yard/presence", b"{}", retain=True)
        yard.publish("vedette/home/device/yard/telemetry", b"{}")
        operator.publish(f"{TO_YARD}/command", b"{}")
        operator.publish(f"{TO_DOOR}/command", b"{}")
        heard = door.wait_for(lambda told: f"{TO_DOOR}/command" in [one.topic for one in told])
    assert [one.topic for one in heard if "/yard/" in one.topic] == []


def test_operators_cannot_speak_as_a_device(broker: Mosquitto) -> None:
    forbidden = [f"{DOOR}/state", f"{DOOR}/telemetry"]
    last = "vedette/home/device/operator/state"  # the rule for devices: harmless
    assert heard_of(broker, "operator", forbidden, "operator", last) == []


def test_a_will_speaks_as_its_device_only(broker: Mosquitto) -> None:
    """Of two devices whose connections break, one with the other's presence as its will."""
    with person(broker, "operator", "vedette/home/device/+/presence") as operator:
        before = len(operator.heard)
        for user in ("yard", "door"):
            break_off(broker, user, f"{DOOR}/presence", f"will of {user}".encode())
        heard = operator.wait_for(lambda all_: b"will of door" in [one.payload for one in all_])
    assert b"will of yard" not in [one.payload for one in heard[before:]]


def break_off(broker: Mosquitto, user: str, topic: str, will: bytes) -> None:
    """Connect with a will, and go without a word."""
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311)
    client.username_pw_set(user, f"of {user}")
    client.will_set(topic, will, qos=1)
    client.connect("127.0.0.1", broker.port)
    for _ in range(100):
        client.loop(0.1)
        if client.is_connected():
            break
    ours = client.socket()
    assert isinstance(ours, socket.socket)
    ours.shutdown(socket.SHUT_RDWR)
    ours.close()


def test_the_link_of_an_agent_works_under_these_rules(broker: Mosquitto, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("of door\n")
    events: queue.Queue[LinkEvent] = queue.Queue()
    link = MqttLink(
        Broker(url=broker.url(), password_file=str(tmp_path / "password")),
        "door",
        events.put,
        lambda session: Will(topics.presence("home", "door"), b"{}"),
    )
    for topic in (topics.command, topics.ack, topics.presence):
        link.subscribe(topic("home", "door"))
    link.subscribe(topics.bell("home"))
    link.subscribe(topics.blocks_of("home", KEY))
    link.open()
    try:
        until(events, lambda event: isinstance(event, Connected))
        link.publish(topics.presence("home", "door"), b'{"x": 1}', retain=True)
        until(events, lambda event: isinstance(event, Received) and event.payload == b'{"x": 1}')
    finally:
        link.close()


def until(events: queue.Queue[LinkEvent], holds: Callable[[LinkEvent], bool]) -> None:
    while not holds(events.get(timeout=PATIENCE_S)):
        pass
