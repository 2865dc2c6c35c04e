"""What goes wrong between a link and a real broker: it says so in a sentence, and comes back."""

from __future__ import annotations

import logging
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.brokers import Amqtt, Listener, Mosquitto, TcpGate
from tests.story.links import linked, presence
from wire.config import Broker
from wire.link import Connected, Delivered, Disconnected, Received
from wire.mqtt import tries as mqtt_tries
from wire.mqtt.mqtt import MqttLink
from wire.mqtt.socket import Wiring

NEVER_BLOCKS_S = 0.5  # on a loaded machine; nothing here is near it otherwise


@pytest.fixture
def only_3_1_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """mosquitto speaks both: make the link ask for 3.1.1 only."""
    monkeypatch.setattr(mqtt_tries, "VERSIONS", (mqtt_tries.MQTT_3_1_1,))


def test_broker_killed_and_started_again() -> None:
    with Mosquitto() as broker, linked(broker.url(), "a") as (link, inbox):
        first = inbox.wait(Connected)
        broker.kill()
        assert "broke" in inbox.wait(Disconnected).why
        assert link.publish("a", b"lost") is None
        assert "nothing listens" in inbox.wait(Disconnected, 2).why
        broker.start()
        assert inbox.wait(Connected, 2).session != first.session
        inbox.wait_delivered(link.publish("a", b"there"))
        assert inbox.wait(Received).payload == b"there"


def test_broker_that_stops_says_so() -> None:
    with Mosquitto() as broker, linked(broker.url()) as (_, inbox):
        inbox.wait(Connected)
        broker.stop()
        why = inbox.wait(Disconnected).why  # mosquitto 2.0.11 hangs up without a word
        assert why in ("the broker is shutting down", "the connection to 127.0.0.1 broke")


def test_what_a_reset_took_is_known() -> None:
    payloads = {i: b"%6d" % i * 2000 for i in range(60)}
    with (
        Mosquitto() as broker,
        TcpGate(broker.port) as gate,
        Listener(broker.port, "a") as witness,
        linked(f"mqtt://127.0.0.1:{gate.port}") as (link, inbox),
    ):
        inbox.wait(Connected)
        gate.cut_after(500_000)  # more than the 20 that go before the first answer
        numbers = {link.publish("a", payloads[i]): i for i in payloads}
        inbox.wait(Disconnected)
        inbox.wait(Connected, 2)
        first = {numbers[event.number] for event in inbox.all_of(Delivered)}
        missing = sorted(set(payloads) - first)
        assert 0 < len(missing) < len(payloads)
        for i in missing:
            inbox.wait_delivered(link.publish("a", payloads[i]))
        everything = set(payloads.values())
        witness.wait_for(lambda heard: {message.payload for message in heard} == everything)
        heard = [message.payload for message in witness.heard]
        assert [heard.count(payloads[i]) for i in first] == [1] * len(first)


@pytest.mark.slow
def test_frozen_broker_is_noticed_and_the_old_will_comes() -> None:
    with Mosquitto() as broker, Listener(broker.port, "a/presence") as witness:
        config = Broker(broker.url(), keepalive_s=5)
        with linked(config, will=presence) as (link, inbox):
            old = inbox.wait(Connected)
            broker.freeze()
            frozen_s = time.monotonic()
            longest_s, taken = pour(link, until=lambda: bool(inbox.all_of(Disconnected)))
            assert "nothing came from 127.0.0.1 for more than 5 s" in inbox.wait(Disconnected).why
            assert 5 <= time.monotonic() - frozen_s < 20
            assert longest_s < NEVER_BLOCKS_S
            assert taken * 60_000 < 5 * 1024 * 1024
            broker.thaw()
            new = inbox.wait(Connected, 2)
            assert new.session != old.session
            witness.wait_for(lambda heard: old.session.encode() in [m.payload for m in heard])


def pour(link: MqttLink, until: Callable[[], bool]) -> tuple[float, int]:
    """Publish 60 kB again and again. Returns how long the longest call took, and how many went."""
    longest_s, taken = 0.0, 0
    while not until():
        begun_s = time.monotonic()
        taken += link.publish("a", b"x" * 60_000) is not None
        longest_s = max(longest_s, time.monotonic() - begun_s)
        time.sleep(0.005)
    return longest_s, taken


def test_close_waits_for_what_was_published() -> None:
    with Mosquitto() as broker, Listener(broker.port, "#") as witness:
        with linked(broker.url(), will=presence) as (link, inbox):
            inbox.wait(Connected)
            for i in range(100):
                assert link.publish("a", b"%d" % i * 20_000) is not None
        witness.publish("b", b"")
        heard = witness.wait_for(lambda heard: heard[-1:] != [] and heard[-1].topic == "b")
        assert [message.topic for message in heard] == ["a"] * 100 + ["b"]


def test_close_does_not_wait_long_for_a_frozen_broker() -> None:
    with Mosquitto() as broker, linked(broker.url()) as (link, inbox):
        inbox.wait(Connected)
        broker.freeze()
        link.publish("a", b"")
        begun_s = time.monotonic()
        link.close()
        assert time.monotonic() - begun_s < 5
        assert not [one for one in threading.enumerate() if one.name == "mqtt"]
        assert inbox.all_of(Disconnected) == []


def test_too_large_a_message_is_not_sent() -> None:
    with (
        Mosquitto(lines=["max_packet_size 70000"]) as broker,
        Listener(broker.port, "a") as witness,
        linked(broker.url()) as (link, inbox),
    ):
        assert inbox.wait(Connected).most_bytes == 70_000
        assert link.publish("a", b"x" * 70_000) is None
        inbox.wait_delivered(link.publish("a", b"x" * (70_000 - 12)))
        witness.wait_for(lambda heard: len(heard) == 1)
        assert inbox.all_of(Disconnected) == []


@pytest.mark.usefixtures("only_3_1_1")
def test_too_large_a_message_is_named_where_nobody_told_the_limit() -> None:
    with (
        Mosquitto(lines=["max_packet_size 70000"]) as broker,
        linked(broker.url()) as (link, inbox),
    ):
        assert inbox.wait(Connected).protocol == "MQTT 3.1.1"
        link.publish("a", b"x" * 80_000)
        assert "80011 bytes was on its way: perhaps too large" in inbox.wait(Disconnected).why


def test_short_queues_take_everything() -> None:
    limits = ["max_queued_messages 10", "max_inflight_messages 5"]
    with Mosquitto(lines=limits) as broker, linked(broker.url()) as (link, inbox):
        inbox.wait(Connected)
        numbers = [link.publish("a", b"%d" % i) for i in range(500)]
        inbox.wait(Delivered, 500)
        assert [one.number for one in inbox.all_of(Delivered)] == numbers
        assert inbox.all_of(Disconnected) == []


@pytest.mark.parametrize("version", [mqtt_tries.MQTT_5, mqtt_tries.MQTT_3_1_1])
def test_two_devices_of_one_name(version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_tries, "VERSIONS", (version,))
    with Mosquitto() as broker, linked(broker.url()) as (_, one), linked(broker.url()) as (_, two):
        wait_until(lambda: any(e.taken_over for e in one.all_of(Disconnected)))
        wait_until(lambda: any(e.taken_over for e in two.all_of(Disconnected)))
        why = next(e.why for e in one.all_of(Disconnected) if e.taken_over)
        assert "two devices have the same name" in why
        assert one.all_of(Disconnected)[0].taken_over is False  # once proves nothing here


def test_a_restarted_broker_is_no_second_device() -> None:
    with Mosquitto() as broker, linked(broker.url(), again_s=0.05) as (_, inbox):
        for times in range(1, 5):
            inbox.wait(Connected, times)
            before = len(inbox.all_of(Disconnected))
            broker.kill()
            inbox.wait(Disconnected, before + 1)
            wait_until(lambda: "nothing listens" in inbox.all_of(Disconnected)[-1].why)
            broker.start()
        assert not any(event.taken_over for event in inbox.all_of(Disconnected))


def test_a_network_that_resets_is_no_second_device() -> None:
    with (
        Mosquitto() as broker,
        TcpGate(broker.port) as gate,
        linked(f"mqtt://127.0.0.1:{gate.port}", again_s=0.05) as (_, inbox),
    ):
        for times in range(1, 5):
            inbox.wait(Connected, times)
            gate.cut()
            inbox.wait(Disconnected, times)
        assert not any(event.taken_over for event in inbox.all_of(Disconnected))


def test_not_allowed_to_publish_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with (
        Mosquitto(acl="topic readwrite a/#\n") as broker,
        caplog.at_level(logging.WARNING, "vedette.link"),
        linked(broker.url()) as (link, inbox),
    ):
        inbox.wait(Connected)
        refused = [link.publish("b", b""), link.publish("c", b"")]
        inbox.wait_delivered(link.publish("a/b", b""))
        assert not {one.number for one in inbox.all_of(Delivered)} & set(refused)
        assert inbox.all_of(Disconnected) == []
    said = [record.getMessage() for record in caplog.records]
    assert said == ["the broker does not let us write to b: allow it in its rules (ACL)"]


def test_web_socket_frames_survive_a_full_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    dial = Wiring.dial

    def dial_narrow(wiring: Wiring) -> socket.socket:
        one = dial(wiring)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
        return one

    monkeypatch.setattr(Wiring, "dial", dial_narrow)
    payloads = [random.Random(i).randbytes(60_000) for i in range(60)]
    with (
        Mosquitto() as broker,
        TcpGate(broker.ws_port, window_bytes=4096) as gate,
        Listener(broker.port, "a") as witness,
        linked(f"ws://127.0.0.1:{gate.port}") as (link, inbox),
    ):
        inbox.wait(Connected)
        gate.stall()
        assert {link.publish("a", payload, qos=0) for payload in payloads} == {0}
        time.sleep(0.3)  # the socket is full now: the rest waits
        gate.flow()
        inbox.wait_delivered(link.publish("b", b""))
        heard = witness.wait_for(lambda heard: len(heard) >= len(payloads))
        assert [message.payload for message in heard] == payloads
        assert inbox.all_of(Disconnected) == []


@pytest.mark.slow
def test_amqtt_speaks_3_1_1_only_and_is_found_out() -> None:
    with Amqtt() as broker, linked(broker.url(), will=presence) as (_, inbox):
        assert inbox.wait(Connected).protocol == "MQTT 3.1.1"
        assert inbox.all_of(Disconnected) == []


def test_nobody_there_and_no_such_host() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # taken, and not listening
        port = taken.getsockname()[1]
        with linked(f"mqtt://127.0.0.1:{port}") as (link, inbox):
            gone = inbox.wait(Disconnected)
            assert gone.why.startswith(f"nothing listens at 127.0.0.1, port {port}: start")
            assert link.publish("a", b"") is None
    with linked("mqtt://no-such-host.invalid") as (_, inbox):
        assert "no-such-host.invalid" in inbox.wait(Disconnected).why


def test_a_server_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_tries, "PROBE_S", 0.3)
    monkeypatch.setattr(mqtt_tries, "ANSWER_S", 0.3)
    with served(say_nothing) as port, linked(f"mqtt://127.0.0.1:{port}") as (_, inbox):
        assert "took the connection but did not answer" in inbox.wait(Disconnected).why


def test_on_a_slow_line_the_answer_to_a_ping_waits_behind_other_bytes() -> None:
    """What comes is a sign of life, whatever it is; when nothing comes, that is said."""
    drips = threading.Event()
    drips.set()

    def drip(one: socket.socket) -> None:
        one.recv(4096)
        one.sendall(b"\x20\x03\x00\x00\x00")  # CONNACK
        while drips.wait(20):
            one.sendall(b"\x30\x04\x00\x01a\x00")  # PUBLISH
            time.sleep(0.05)

    with served(drip) as port, linked(Broker(f"mqtt://127.0.0.1:{port}", keepalive_s=1)) as told:
        inbox = told[1]
        until_s = time.monotonic() + 2.6  # two pings, without an answer
        inbox.wait(Received, 10)
        while time.monotonic() < until_s:
            assert inbox.all_of(Disconnected) == []
            time.sleep(0.05)
        drips.clear()
        assert "nothing came from 127.0.0.1" in inbox.wait(Disconnected).why
        drips.set()


@pytest.mark.parametrize("scheme", ["mqtt", "ws", "mqtts", "wss"])
def test_a_server_that_talks_rubbish(scheme: str) -> None:
    chance = random.Random(7)
    beginnings = (b"\x20\x02\x00\x00", b"\x20\x03\x00\x00\x00", b"HTTP/1.1 ", b"")
    rounds = 60 if scheme in ("mqtt", "ws") else 15

    def talk(one: socket.socket) -> None:
        one.recv(4096)
        one.sendall(chance.choice(beginnings))
        one.sendall(chance.randbytes(chance.randrange(200)))

    with (
        served(talk) as port,
        linked(f"{scheme}://127.0.0.1:{port}", "a", again_s=0.01) as (_, inbox),
    ):
        for times in range(1, rounds):
            assert "fault in this program" not in inbox.wait(Disconnected, times).why


def test_closing_while_connecting() -> None:
    with served(say_nothing) as port:
        for scheme in ("mqtt", "mqtts", "ws", "wss"):
            with linked(f"{scheme}://127.0.0.1:{port}") as (link, _):
                time.sleep(0.1)
                begun_s = time.monotonic()
                link.close()
                assert time.monotonic() - begun_s < 2
            assert not [one for one in threading.enumerate() if one.name == "mqtt"]


def say_nothing(one: socket.socket) -> None:
    while one.recv(4096):
        pass


@contextmanager
def served(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that is no broker. Yields its port."""
    listening = socket.create_server(("127.0.0.1", 0))
    stopping = threading.Event()

    def one_after_the_other() -> None:
        while not stopping.is_set():
            try:
                one, _ = listening.accept()
            except OSError:
                return
            with one:
                try:
                    talk(one)
                except OSError:
                    continue

    thread = threading.Thread(target=one_after_the_other, name="server", daemon=True)
    thread.start()
    try:
        yield int(listening.getsockname()[1])
    finally:
        stopping.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(10)


def wait_until(true: Callable[[], bool], timeout_s: float = 30.0) -> None:
    until_s = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < until_s, "did not happen in time"
        time.sleep(0.02)
