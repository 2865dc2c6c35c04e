"""What every link does, whatever carries it: memory, MQTT 5, MQTT 3.1.1, web sockets, TLS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.brokers import Amqtt, Authority, Mosquitto, TcpGate
from tests.inbox import Inbox
from wire.backoff import Backoff
from wire.config import Broker
from wire.link import Connected, Delivered, Disconnected, Link, MakeWill, Received, Will
from wire.memory_link import MemoryBroker
from wire.mqtt import tries as mqtt_tries
from wire.mqtt.mqtt import MqttLink
from wire.reactor import Reactor

SHARED = {"shared": "mqtt5", "shared-wss": "wss"}  # driven by a reactor
KINDS = ("memory", "mqtt5", "mqtt311", "ws", "tls", "wss", *SHARED)
PROTOCOLS = {"memory": "memory", "mqtt311": "MQTT 3.1.1"}
MakeLink = Callable[[str, Inbox, "MakeWill | None"], Link]


@dataclass
class World:
    """A broker, links to it, and a network that can be cut."""

    kind: str
    make: MakeLink
    cut: Callable[[], None]
    links: list[Link] = field(default_factory=list)

    def link(
        self, client_id: str, will: MakeWill | None = None, *patterns: str
    ) -> tuple[Link, Inbox]:
        """A link that is connected and subscribed."""
        inbox = Inbox()
        link = self.make(client_id, inbox, will)
        self.links.append(link)
        for pattern in patterns:
            link.subscribe(pattern)
        link.open()
        inbox.wait(Connected)
        return link, inbox


@pytest.fixture(params=KINDS)
def world(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    monkeypatch.setattr(mqtt_tries, "PROBE_S", 0.5)
    with ExitStack() as stack:
        kind: str = request.param
        made = in_memory() if kind == "memory" else over_mqtt(kind, tmp_path, stack)
        yield made
        for link in made.links:
            link.close()


def in_memory() -> World:
    broker = MemoryBroker()
    names: list[str] = []

    def make(client_id: str, inbox: Inbox, will: MakeWill | None) -> Link:
        names.append(client_id)
        return broker.link(client_id, inbox.post, will)

    def cut() -> None:
        for name in names:
            broker.cut(name)

    return World("memory", make, cut)


def over_mqtt(kind: str, folder: Path, stack: ExitStack) -> World:
    reactor = stack.enter_context(closing(Reactor())) if kind in SHARED else None
    kind = SHARED.get(kind, kind)
    ca_file: Path | None = None
    if kind == "mqtt311":
        scheme, port = "mqtt", stack.enter_context(Amqtt(folder)).port
    else:
        scheme = {"mqtt5": "mqtt", "tls": "mqtts"}.get(kind, kind)
        authority = Authority(folder)
        mosquitto = stack.enter_context(Mosquitto(folder, certified=authority.issue("127.0.0.1")))
        port = int(mosquitto.url(scheme).rpartition(":")[2])
        ca_file = authority.file if scheme in ("mqtts", "wss") else None
    gate = stack.enter_context(TcpGate(port))
    broker = Broker(f"{scheme}://127.0.0.1:{gate.port}", ca_file=str(ca_file) if ca_file else None)

    def make(client_id: str, inbox: Inbox, will: MakeWill | None) -> Link:
        return MqttLink(broker, client_id, inbox.post, will, Backoff(0.05, 0.2), reactor=reactor)

    return World(kind, make, gate.cut)


def farewell(session: str) -> Will:
    return Will("a/will", session.encode())


def test_says_when_it_is_connected(world: World) -> None:
    _, inbox = world.link("one")
    told = inbox.wait(Connected)
    assert told.protocol == PROTOCOLS.get(world.kind, "MQTT 5")
    assert told.session
    assert inbox.events == [told]


def test_a_message_arrives_with_topic_and_payload(world: World) -> None:
    _, heard = world.link("one", None, "a/+/c", "d/#")
    link, _ = world.link("two")
    for topic in ("a/b/c", "a/b", "d", "d/e/f", "e"):
        link.publish(topic, topic.encode() + b"\0\xff")
    heard.wait(Received, 3)
    assert [(m.topic, m.payload, m.retained) for m in heard.all_of(Received)] == [
        (topic, topic.encode() + b"\0\xff", False) for topic in ("a/b/c", "d", "d/e/f")
    ]


def test_order_is_kept_and_each_comes_once(world: World) -> None:
    _, heard = world.link("one", None, "a")
    link, told = world.link("two")
    numbers = [link.publish("a", str(i).encode()) for i in range(200)]
    heard.wait(Received, 200)
    told.wait(Delivered, 200)
    assert [m.payload for m in heard.all_of(Received)] == [str(i).encode() for i in range(200)]
    assert [d.number for d in told.all_of(Delivered)] == numbers
    assert len(set(numbers)) == 200


def test_quality_0_has_no_number_and_no_word(world: World) -> None:
    _, heard = world.link("one", None, "a")
    link, told = world.link("two")
    assert link.publish("a", b"quick", qos=0) == 0
    assert heard.wait(Received) == Received("a", b"quick", False)
    told.wait_delivered(link.publish("a", b"sure"))
    assert len(told.all_of(Delivered)) == 1


def test_retained_messages_come_after_connected(world: World) -> None:
    link, told = world.link("one")
    told.wait_delivered(link.publish("a/kept", b"word", retain=True))
    told.wait_delivered(link.publish("a/gone", b"word", retain=True))
    told.wait_delivered(link.publish("a/gone", b"", retain=True))
    told.wait_delivered(link.publish("a/passing", b"word"))
    _, heard = world.link("two", None, "a/#")
    assert heard.wait(Received) == Received("a/kept", b"word", True)
    link.publish("a/last", b"")
    assert heard.wait(Received, 2) == Received("a/last", b"", False)
    assert [type(event) for event in heard.events] == [Connected, Received, Received]


def test_subscribing_while_connected(world: World) -> None:
    link, heard = world.link("one")
    heard.wait_delivered(link.publish("a", b"kept", retain=True))
    link.subscribe("a")
    link.subscribe("a")
    assert heard.wait(Received) == Received("a", b"kept", True)
    heard.wait_delivered(link.publish("a", b"new"))
    assert heard.wait(Received, 2) == Received("a", b"new", False)
    assert len(heard.all_of(Received)) == 2


def test_unsubscribing(world: World) -> None:
    link, heard = world.link("one", None, "a/last")
    first, second, early = (link.subscribe(pattern) for pattern in ("a/+", "a/+", "b"))
    first()
    first()  # of whom it is does not leave for the other
    heard.wait_delivered(link.publish("a/b", b"1"))
    assert heard.wait(Received) == Received("a/b", b"1", False)
    second()
    early()
    for topic in ("a/b", "b", "a/last"):
        link.publish(topic, b"2")
    heard.wait(Received, 2)
    assert [m.topic for m in heard.all_of(Received)] == ["a/b", "a/last"]
    link.subscribe("a/b")
    heard.wait_delivered(link.publish("a/b", b"3"))
    assert heard.wait(Received, 3) == Received("a/b", b"3", False)


def test_what_was_left_is_not_subscribed_again(world: World) -> None:
    link, inbox = world.link("one", None, "last")
    link.subscribe("a")()
    unsubscribe = link.subscribe("b")
    world.cut()
    inbox.wait(Disconnected)
    unsubscribe()
    link.open()  # the twin in memory does not come back by itself
    inbox.wait(Connected, 2)
    for topic in ("a", "b", "last"):
        inbox.wait_delivered(link.publish(topic, b""))
    inbox.wait(Received)
    assert [m.topic for m in inbox.all_of(Received)] == ["last"], inbox.events


def test_nothing_is_sent_without_a_connection(world: World) -> None:
    inbox = Inbox()
    link = world.make("one", inbox, None)
    assert link.publish("a", b"") is None
    link.open()
    inbox.wait(Connected)
    link.close()
    assert link.publish("a", b"") is None
    assert link.publish("a", b"", qos=0) is None
    link.close()


def test_comes_back_after_a_cut_with_all_subscriptions(world: World) -> None:
    link, inbox = world.link("one", farewell, "a")
    link.subscribe("b")
    world.cut()
    gone = inbox.wait(Disconnected)
    assert gone.why
    assert not gone.taken_over
    link.open()  # the twin in memory does not come back by itself
    first, second = inbox.wait(Connected), inbox.wait(Connected, 2)
    assert first.session != second.session
    inbox.wait_delivered(link.publish("a", b"1"))
    inbox.wait_delivered(link.publish("b", b"2"))
    inbox.wait(Received, 2)
    assert [m.payload for m in inbox.all_of(Received)] == [b"1", b"2"]


def test_the_will_of_the_broken_session_is_sent_retained(world: World) -> None:
    _, inbox = world.link("one", farewell)
    session = inbox.wait(Connected).session
    world.cut()
    inbox.wait(Disconnected)
    _, heard = world.link("two", None, "a/will")
    message = heard.wait(Received)
    assert message.payload == session.encode()
    _, late = world.link("three", None, "a/will")
    assert late.wait(Received) == Received("a/will", session.encode(), True)


def test_closing_in_order_sends_no_will_and_no_word(world: World) -> None:
    _, heard = world.link("one", None, "#")
    link, inbox = world.link("two", farewell)
    link.publish("a", b"last")
    link.close()
    told = inbox.events
    other, _ = world.link("three")
    other.publish("b", b"after")
    heard.wait(Received, 2)
    assert [m.topic for m in heard.all_of(Received)] == ["a", "b"]
    assert inbox.all_of(Disconnected) == []
    assert inbox.events == told


def test_one_client_id_is_one_connection(world: World) -> None:
    if world.kind == "mqtt311":
        pytest.skip("amqtt lets both stay: tests/story/test_link_faults.py has 3.1.1 on mosquitto")
    link, inbox = world.link("same")
    world.link("same")
    gone = inbox.wait(Disconnected)
    link.close()
    assert gone.why


def test_links_of_many_threads(world: World) -> None:
    _, heard = world.link("one", None, "a/#")
    link, told = world.link("two")

    def talk(name: str) -> None:
        for i in range(50):
            assert link.publish(f"a/{name}", str(i).encode()) is not None

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(talk, "wxyz"))
    heard.wait(Received, 200)
    told.wait(Delivered, 200)
    for name in "wxyz":
        mine = [m.payload for m in heard.all_of(Received) if m.topic == f"a/{name}"]
        assert mine == [str(i).encode() for i in range(50)]
