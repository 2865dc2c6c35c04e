"""One MQTT connection step by step: what a broker may do that real ones seldom do."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from wire.link import Connected, Delivered, LinkEvent, Received
from wire.mqtt.life import MOST_EARLY, Life
from wire.mqtt.limits import Limits
from wire.mqtt.socket import Wiring
from wire.mqtt.terms import Terms
from wire.mqtt.tries import Ended
from wire.mqtt.url import Address
from wire.mqtt.waiting import Sent
from wire.turns import drive

HERE = Address("mqtt", "host", 1883, None)
NO_LIMITS = Limits(None, None, None, None)
EARLY = Received("a", b"early", True)


class Scripted:
    """A Wire whose broker does one step of a script in every turn, then hangs up."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        self.script: list[Callable[[], None]] = []
        self.asked: list[list[str]] = []
        self.has_left = False

    def fileno(self) -> int | None:
        return self.near.fileno() if self.script and not self.has_left else None

    def pending(self) -> bool:
        return True

    def wants_to_write(self) -> bool:
        return False

    def turn(self, readable: bool, writable: bool) -> None:
        self.script.pop(0)()

    def send(self, number: int, topic: str, payload: bytes, retain: bool) -> tuple[int, Sent]:
        return 1, Sent(number, topic, len(payload), lambda: True)

    def ask(self, patterns: list[str]) -> int:
        self.asked.append(patterns)
        return len(self.asked)

    def forget(self, pattern: str) -> None: ...

    def leave(self) -> None:
        self.has_left = True


class Played:
    """A life on such a wire. events: what it posted."""

    def __init__(self, wire: Scripted) -> None:
        self.wire = wire
        self.events: list[LinkEvent] = []
        self.terms = Terms(HERE, 30, self.events.append)
        self.wiring = Wiring(HERE, None, 1.0)
        self.life = Life(wire, self.wiring, "MQTT 5", "s1", self.terms)

    def run(self, *script: Callable[[], None]) -> Ended:
        self.wire.script = list(script)
        ended = drive(self.life.run(10.0), self.terms.bell)
        self.terms.bell.close()
        return ended


@pytest.fixture
def played() -> Iterator[Played]:
    wire = Scripted()
    with wire.near, wire.far:
        yield Played(wire)


def test_connected_is_said_after_every_subscription(played: Played) -> None:
    life = played.life
    played.terms.patterns.extend(f"a/{i}" for i in range(10))
    counts: list[int] = []

    def note() -> None:
        counts.append(len(played.events))
        assert life.publish("a", b"", 1, False) is None

    played.run(
        lambda: life.accepted(NO_LIMITS, 20),
        lambda: life.received(EARLY),
        lambda: life.answered(2, [1, 1]),
        note,
        lambda: life.answered(1, [1] * 8),
        lambda: life.received(Received("a", b"late", False)),
    )
    assert [len(patterns) for patterns in played.wire.asked] == [8, 2]
    assert counts == [0]
    assert played.events == [
        Connected("MQTT 5", "s1", None),
        EARLY,
        Received("a", b"late", False),
    ]


def test_a_refused_subscription_ends_the_connection_in_order(played: Played) -> None:
    life = played.life
    played.terms.patterns.append("a")
    ended = played.run(
        lambda: life.accepted(NO_LIMITS, 20), lambda: life.answered(1, [0x87]), lambda: None
    )
    assert "does not let us subscribe" in ended.why
    assert played.wire.has_left
    assert played.events == []


def test_a_broker_that_floods_and_never_answers_fills_no_memory(played: Played) -> None:
    life, large = played.life, Received("a", bytes(MOST_EARLY // 2), False)
    played.terms.patterns.append("a")
    flood = [lambda: life.received(large)] * 3
    ended = played.run(lambda: life.accepted(NO_LIMITS, 20), *flood, lambda: None)
    assert "sent too much" in ended.why
    assert played.wire.has_left


@pytest.mark.parametrize(("keepalive_s", "is_deaf"), [(0, False), (30, True)])
def test_a_broker_that_wants_no_keepalive_may_be_silent(
    keepalive_s: int, is_deaf: bool, played: Played
) -> None:
    """MQTT 5: Server Keep Alive 0 in CONNACK switches it off."""

    def accept() -> None:
        played.life.keepalive_s = keepalive_s
        played.life.accepted(NO_LIMITS, 20)
        played.wiring.heard_s -= 60.0

    ended = played.run(accept, lambda: None, lambda: None)
    assert ("nothing came" in ended.why) == is_deaf


def test_a_message_before_its_number_is_known(played: Played) -> None:
    """The broker may answer before publish returned: the number is right all the same."""
    life, numbers = played.life, list[int | None]()

    def publish_and_answer() -> None:
        numbers.append(life.publish("a", b"", 1, False))
        life.taken(1, 0)

    played.run(lambda: life.accepted(NO_LIMITS, 20), publish_and_answer)
    assert played.events == [Connected("MQTT 5", "s1", None), Delivered(1)]
    assert numbers == [1]


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(None, None, 0, None), "keeps no retained messages"),
        (Limits(None, None, None, 0), "does not take QoS 1"),
    ],
)
def test_brokers_that_lack_what_we_need(limits: Limits, said: str, played: Played) -> None:
    ended = played.run(lambda: played.life.accepted(limits, 20), lambda: None)
    assert said in ended.why
    assert played.events == []


def test_a_smaller_window_asks_for_another_connection(played: Played) -> None:
    limits = Limits(None, 5, None, None)
    assert played.run(lambda: played.life.accepted(limits, 20), lambda: None).window == 5


def test_post_is_called_without_the_lock(played: Played) -> None:
    """Who is posted to may wait for another thread that publishes."""
    life, taken = played.life, list[int | None]()

    def publish_elsewhere(event: LinkEvent) -> None:
        other = threading.Thread(target=lambda: taken.append(publish()))
        other.start()
        other.join(10)
        assert not other.is_alive()

    def publish() -> int | None:
        with played.terms.lock:
            return life.publish("a", b"", 1, False)

    object.__setattr__(played.terms, "post", publish_elsewhere)
    played.run(lambda: life.accepted(NO_LIMITS, 20))
    assert taken == [1]
