"""A PUBLISH taken apart: as paho does it, or left to paho."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt._packet import decode_publish
from paho.mqtt.enums import MQTTProtocolVersion

from wire.link import Received
from wire.mqtt.packets import plain_publish

VERSIONS = {True: MQTTProtocolVersion.MQTTv5, False: MQTTProtocolVersion.MQTTv311}


def packet(topic: bytes, payload: bytes, properties: bytes) -> bytearray:
    return bytearray(struct.pack(">H", len(topic)) + topic + properties + payload)


@given(
    st.text(min_size=1, max_size=20).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.binary(max_size=50), st.booleans(), st.booleans(),
)  # fmt: skip
def test_as_paho_does_it(topic: bytes, payload: bytes, is_5: bool, retain: bool) -> None:
    rest = packet(topic, payload, b"\0" if is_5 else b"")
    ours = plain_publish(0x30 | retain, rest, is_5)
    theirs = decode_publish(0x30 | retain, rest, VERSIONS[is_5])
    assert ours is not None
    assert (ours.topic.encode(), ours.payload) == (theirs.topic, bytes(theirs.payload))
    assert ours.retained == theirs.retain


@given(st.integers(0, 255), st.binary(max_size=40), st.booleans())
def test_whatever_comes_is_taken_as_paho_takes_it_or_left(
    first: int, rest: bytes, is_5: bool
) -> None:
    ours = plain_publish(first, bytearray(rest), is_5)
    if ours is not None:
        theirs = decode_publish(first, bytearray(rest), VERSIONS[is_5])
        assert theirs.qos == 0
        told = Received(theirs.topic.decode(), bytes(theirs.payload), theirs.retain)
        assert ours == told


@pytest.mark.parametrize(
    ("first", "rest"),
    [
        (0x32, packet(b"a", b"x", b"\0\1\0")),  # QoS 1
        (0x30, packet(b"a", b"x", b"\2\1\1")),  # with a property
        (0x30, packet(b"\xff", b"x", b"\0")),  # no UTF-8
        (0x30, packet(b"", b"x", b"\0")),  # a topic alias would be in the properties
        (0x30, bytearray(b"\0\5ab")),  # shorter than it says
        (0x30, bytearray(b"\0")),
        (0x30, bytearray()),
    ],
)
def test_the_rest_is_left_to_paho(first: int, rest: bytearray) -> None:
    assert plain_publish(first, rest, True) is None
