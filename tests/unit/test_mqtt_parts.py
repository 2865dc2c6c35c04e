"""The parts of the MQTT link that need no broker: the url, the words, what waits, the versions."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.mqtt import words
from wire.mqtt.bell import Bell
from wire.mqtt.inward import LARGEST
from wire.mqtt.life import patience_s
from wire.mqtt.socket import Wiring
from wire.mqtt.tries import Ended, Offer, Tries
from wire.mqtt.url import Address, address_of
from wire.mqtt.waiting import OVERHEAD, Sent, Waiting, packet_bytes
from wire.troubles import Refused
from wire.turns import Ring, Turns, Wait, drive

HERE = Address("mqtt", "host", 1883, None)


@pytest.mark.parametrize(
    ("url", "address", "shown"),
    [
        ("mqtt://host", HERE, "mqtt://host:1883"),
        ("mqtt://host/", HERE, "mqtt://host:1883"),
        ("MQTTS://Host", Address("mqtts", "host", 8883, None), "mqtts://host:8883"),
        ("ws://host", Address("ws", "host", 80, "/mqtt"), "ws://host:80/mqtt"),
        ("wss://host:9/a/b", Address("wss", "host", 9, "/a/b"), "wss://host:9/a/b"),
        ("mqtt://[::1]:7", Address("mqtt", "::1", 7, None), "mqtt://[::1]:7"),
        ("mqtt://tür.example", Address("mqtt", "xn--tr-xka.example", 1883, None), None),
    ],
)
def test_urls(url: str, address: Address, shown: str | None) -> None:
    assert address_of(url) == address
    assert shown is None or str(address) == shown


@pytest.mark.parametrize(
    "url",
    [
        *("", "host", "host:1883", "mqtt:host", "mqtt://", "mqtt://:1883", "mqtt://host:0"),
        *("tcp://host", "mqtt://host:x", "mqtt://host:65536", "mqtt://host/path", "ws://host/p?q"),
        *("mqtt://a b", "mqtt://u:p@host", "mqtt://host\n", "ws://host/#x", "mqtt://[::1"),
        "mqtt://" + "a" * 99,
    ],
)
def test_urls_that_cannot_be(url: str) -> None:
    with pytest.raises(Refused, match=r"^the broker's URL ['\"]"):
        address_of(url)


@pytest.mark.parametrize("url", ["nonsense", "host:1883", "", "//host"])
def test_a_url_without_its_beginning_says_what_to_write_in_front(url: str) -> None:
    with pytest.raises(Refused, match=f"^the broker's URL '{url}': mqtt:// is missing in front"):
        address_of(url)


@pytest.mark.parametrize("url", ["me:secret@host", "mqtt://me:secret@host", "http://me:se/cret@x"])
def test_a_password_in_a_url_is_not_repeated(url: str) -> None:
    with pytest.raises(Refused, match="holds a user name") as refused:
        address_of(url)
    assert "cret" not in str(refused.value)


def test_no_sentence_names_a_key_that_who_typed_options_does_not_know() -> None:
    told = [words.no_connection(Address("mqtts", "h", 1, None), fault) for fault, _ in FAULTS]
    told += [words.broker_said(reason) for reason in words.REASONS]
    assert not [text for text in told if "[broker]" in text or "_file" in text]


@given(st.text())
def test_no_url_breaks_us(url: str) -> None:
    try:
        assert address_of(url).port > 0
    except Refused as refused:
        assert "\n" not in str(refused)


FAULTS: list[tuple[Exception, str]] = [
    (ConnectionRefusedError(), "nothing listens at host, port 1883"),
    (TimeoutError(), "no answer from host, port 1883"),
    (socket.gaierror(socket.EAI_NONAME, "x"), "no host is called host"),
    (socket.gaierror(socket.EAI_AGAIN, "x"), "cannot be looked up now"),
    (OSError(101, "Network is unreachable"), "no way to host"),
    (OSError(5, "Input/output error"), "no connection to mqtt://host:1883"),
    (ConnectionResetError(), "closed the connection before it answered"),
    (UnicodeError("label too long"), "is no host name"),
    (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "speaks no TLS"),
    (ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] x"), "wants a client certificate"),
    (ssl.SSLError(1, "[SSL: TLSV1_ALERT_UNKNOWN_CA] x"), "rejects our client certificate"),
    (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), "closed in the handshake"),
]


@pytest.mark.parametrize(("fault", "said"), FAULTS, ids=lambda one: str(one)[:40])
def test_faults_are_sentences(fault: Exception, said: str) -> None:
    told = words.no_connection(HERE, fault)
    assert said in told
    assert "Error" not in told


def test_every_reason_is_a_sentence() -> None:
    for reason in range(0x80, 0xA3):
        assert len(words.broker_said(reason)) > 15
    assert "0xa2" in words.broker_said(0xA2)


def test_waiting_is_bounded_and_counts_both_qualities() -> None:
    waiting = Waiting(10_000)
    taken = set[int]()
    assert waiting.has_room(50_000)  # one alone always fits
    waiting.add(1, Sent(7, "a", 4_000, lambda: 1 in taken))
    waiting.add(1, Sent(0, "b", 4_000, lambda: True))  # QoS 0 with the same id
    assert not waiting.has_room(2_000)
    assert waiting.largest() == 4_000
    assert getattr(waiting.take(1), "topic", None) == "b"
    assert waiting.take(1) is None
    assert waiting.has_room(10_000 - 4_000 - 2 * OVERHEAD)
    taken.add(1)
    assert getattr(waiting.take(1), "number", None) == 7
    assert (len(waiting), waiting.largest(), waiting.take(1)) == (0, 0, None)


def lives(*ends: Ended) -> tuple[Tries, list[Offer], list[Ended]]:
    """Tries that met these ends: the offers made, and what each attempt told."""
    tries, offers, left = Tries(), list[Offer](), list(ends)

    def live(offer: Offer) -> Turns[Ended]:
        yield Wait(0.0)
        offers.append(offer)
        return left.pop(0)

    told = []
    while left:
        told.append(drive(tries.attempt(live), Ring()))
    return tries, offers, told


GOOD = Ended("x", lasted_s=99.0, broken=True)
SHORT = Ended("x", lasted_s=1.0, broken=True)
REFUSED = Ended("x")
MUTE = Ended("x", mute=True)
OLD = Ended("x", wrong_version=True)
SILENT = Ended("x", silent=True)


@pytest.mark.parametrize(
    ("ends", "versions"),
    [
        ([GOOD, REFUSED, GOOD], [5, 5, 5]),
        ([OLD, GOOD, GOOD], [5, 4, 4]),  # remembered
        ([MUTE, GOOD, REFUSED, GOOD], [5, 4, 4, 4]),
        ([SILENT, GOOD, GOOD], [5, 4, 4]),
        ([MUTE, MUTE, MUTE, GOOD], [5, 4, 5, 4]),
        ([OLD, GOOD, MUTE, GOOD], [5, 4, 4, 5]),  # another broker at the same place
        ([GOOD, SILENT, SILENT, GOOD], [5, 5, 5, 5]),  # it hangs: that is no reason for 3.1.1
        ([REFUSED, REFUSED], [5, 5]),
    ],
)
def test_versions(ends: list[Ended], versions: list[int]) -> None:
    _, offers, _ = lives(*ends)
    assert [offer.version for offer in offers] == versions


def test_a_smaller_window_is_kept() -> None:
    _, offers, told = lives(Ended("less", lasted_s=0.1, window=3), GOOD, GOOD)
    assert [offer.window for offer in offers] == [20, 3, 3]
    assert told == [GOOD, GOOD]


@pytest.mark.parametrize(
    ("ends", "taken_over"),
    [
        ([SHORT, SHORT, SHORT, SHORT], [False, False, True, True]),
        ([SHORT, SHORT, REFUSED, SHORT, SHORT], [False] * 5),
        ([SHORT, SHORT, GOOD, SHORT, SHORT], [False] * 5),
        ([Ended("said so", lasted_s=1.0, taken_over=True)], [True]),
    ],
)
def test_suspicion(ends: list[Ended], taken_over: list[bool]) -> None:
    _, _, told = lives(*ends)
    assert [one.taken_over for one in told] == taken_over


def test_sizes_and_patience() -> None:
    assert packet_bytes("ä", b"123") == 10 + 2 + 3
    assert (patience_s(5), patience_s(30), patience_s(3600)) == (8, 45, 5400)


def test_a_bell_ends_a_wait() -> None:
    bell = Bell()
    one, other = socket.socketpair()
    with one, other:
        here = Wait(30.0, one.fileno(), select.POLLIN)
        bell.ring()  # before anybody waits
        assert bell.wait(here) == 0
        assert bell.wait(replace(here, timeout_s=0.0)) == 0
        timer = threading.Timer(0.1, bell.ring)
        timer.start()
        assert bell.wait(Wait(30.0)) == 0
        other.send(b"x")
        assert bell.wait(here) == select.POLLIN
        timer.join()
    bell.close()
    bell.ring()


def test_no_packet_may_fill_our_memory() -> None:
    wiring = Wiring(Address("ws", "host", 80, "/mqtt"), None, 1.0)
    assert wiring.receive(LARGEST, lambda size: b"x") == b"x"
    with pytest.raises(OSError, match="packet of more than"):
        wiring.receive(LARGEST + 1, lambda size: b"x")
    assert wiring.fault is not None
