"""What goes by paho, byte by byte: packets that come in any pieces, and packets that must not be
torn by others."""

from __future__ import annotations

import itertools
import socket
import struct
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from paho.mqtt._packet import decode_publish
from paho.mqtt.enums import MQTTProtocolVersion

from wire.link import Received
from wire.mqtt.inward import FIRST_BYTES, LARGEST, Inward
from wire.mqtt.outward import Outward
from wire.mqtt.packets import publish_head
from wire.mqtt.socket import Wiring
from wire.mqtt.url import Address


def packet(first: int, body: bytes) -> bytes:
    """With its length, by the rules of MQTT."""
    left, length = len(body), bytearray()
    while True:
        length.append(left % 128 | (128 if left > 127 else 0))
        left //= 128
        if not left:
            return bytes((first,)) + bytes(length) + body


def message(topic: str, payload: bytes) -> bytes:
    name = topic.encode()
    return packet(0x30, struct.pack(">H", len(name)) + name + b"\0" + payload)


class Pieces:
    """A socket that gives what is there in pieces of these sizes, in turns."""

    def __init__(self, content: bytes, sizes: Sequence[int]) -> None:
        self._content = memoryview(content)
        self._sizes = list(sizes)
        self._turn = 0

    @property
    def left(self) -> int:
        return len(self._content)

    def receive_into(self, view: memoryview) -> int:
        size = min(self._sizes[self._turn % len(self._sizes)], len(view), len(self._content))
        self._turn += 1
        assert size, "there was no room"
        view[:size], self._content = self._content[:size], self._content[size:]
        return size


def taken_apart(content: bytes, sizes: Sequence[int], bites: Sequence[int]) -> list[bytes]:
    """Payloads of messages, and what was given to paho in bites, in the order they came."""
    found: list[bytes] = []
    is_theirs = False

    def take(one: Received) -> None:
        nonlocal is_theirs
        found.append(one.payload)
        is_theirs = False

    inward = Inward(take)
    pieces = Pieces(content, sizes)
    turn = 0
    while pieces.left:
        inward.fill(pieces.receive_into)
        while inward.sort(True):
            given = inward.give(bites[turn % len(bites)])
            turn += 1
            found[-1:] = [found[-1] + given] if is_theirs else [*found[-1:], given]
            is_theirs = True
        with pytest.raises(BlockingIOError):
            inward.give(1)
    return found


LARGE = [message("a", bytes(FIRST_BYTES + 7)), packet(0xD0, b""), message("b", b"x" * 40_000)]


@given(
    st.lists(st.one_of(
        st.binary(max_size=300).map(lambda payload: (payload, message("a/b", payload))),
        st.binary(min_size=1, max_size=300).map(lambda body: (None, packet(0x40, body))),
    ), max_size=8),
    st.lists(st.integers(1, 200), min_size=1, max_size=5),
    st.lists(st.integers(1, 90), min_size=1, max_size=5),
)  # fmt: skip
def test_packets_come_in_any_pieces(
    packets: list[tuple[bytes | None, bytes]], sizes: list[int], bites: list[int]
) -> None:
    wanted: list[bytes] = []
    was_theirs = False
    for payload, whole in packets:
        if payload is not None:
            wanted.append(payload)
        elif was_theirs:
            wanted[-1] += whole
        else:
            wanted.append(whole)
        was_theirs = payload is None
    assert taken_apart(b"".join(whole for _, whole in packets), sizes, bites) == wanted


@pytest.mark.parametrize("size", [1000, 65_483, 1 << 30])
def test_large_ones_find_room(size: int) -> None:
    found = taken_apart(b"".join(LARGE * 3), [size], [1])
    assert [len(one) for one in found] == [FIRST_BYTES + 7, 2, 40_000] * 3


def test_large_ones_for_paho_find_room() -> None:
    large = packet(0x32, bytes(FIRST_BYTES + 1000))
    whole = b"".join([large, message("a", b"x"), large])
    assert taken_apart(whole, [100_000], [7, LARGEST]) == [large, b"x", large]


def test_what_is_too_large_is_not_gathered() -> None:
    inward = Inward(lambda _: None)
    head = message("a", bytes(LARGEST + 1))[:1000]
    inward.fill(Pieces(head, [1000]).receive_into)
    assert inward.sort(True)
    assert inward.give(LARGEST) == head


@given(st.text(min_size=1, max_size=20), st.binary(max_size=40_000), st.booleans(), st.booleans())
def test_a_publish_is_what_paho_reads(topic: str, payload: bytes, retain: bool, is_5: bool) -> None:
    name = topic.encode("utf-8", "surrogatepass")
    head = publish_head(name, len(payload), retain, is_5)
    assert (head is None) == ("+" in topic or "#" in topic)
    if head is not None:
        whole = head + payload
        at = next(place for place in range(1, 5) if whole[place] < 128) + 1
        assert packet(whole[0], whole[at:]) == whole
        version = MQTTProtocolVersion.MQTTv5 if is_5 else MQTTProtocolVersion.MQTTv311
        told = decode_publish(whole[0], whole[at:], version)
        assert (told.topic, bytes(told.payload), told.retain) == (name, payload, retain)


class Narrow:
    """A socket that takes as many bytes in each write as it is told, by turns."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = itertools.cycle(sizes)
        self.got = bytearray()

    def write(self, pieces: Sequence[bytes | bytearray | memoryview]) -> int:
        taken = b"".join(pieces)[: next(self._sizes)]
        self.got += taken
        if not taken:
            raise BlockingIOError
        return len(taken)


class Shared:
    """Such a socket, that we share with paho. waiting: packets of paho's, what is left of each."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.waiting: list[bytes] = []
        self.narrow = Narrow(sizes)
        self.outward = Outward()
        self.outward.open(lambda: bool(self.waiting))

    def put(self, packet: bytes) -> None:
        self.outward.put(packet[:2], packet[2:], self.narrow.write)

    def turn(self) -> None:
        if self.outward.has_begun:
            self.outward.go_on(self.narrow.write, 1)
        self.outward.let(self.write_theirs)
        self.outward.go_on(self.narrow.write, 8)

    def write_theirs(self) -> None:
        """As paho does it."""
        while self.waiting:
            packet = self.waiting[0]
            try:
                done = self.outward.theirs(packet, lambda: self.narrow.write([packet]))  # noqa: B023
            except BlockingIOError:
                return
            self.waiting[0] = packet[done:]
            if not self.waiting[0]:
                self.waiting.pop(0)


@given(
    st.lists(st.sampled_from(["put", "ask", "turn"]), max_size=40),
    st.lists(st.integers(0, 9), max_size=8),
)
@example(["put", "turn", "ask", "put"], [0])  # what goes on after a torn one
def test_packets_are_never_torn_and_none_overtakes_a_subscription(
    steps: list[str], sizes: list[int]
) -> None:
    shared = Shared([*sizes, 3])
    wanted: list[bytes] = []
    for number, step in enumerate(steps):
        if step == "put":
            wanted.append(b"<m%d>" % number)
            shared.put(wanted[-1])
        elif step == "ask":
            wanted.append(b"(s%d)" % number)
            shared.waiting.append(wanted[-1])
        else:
            shared.turn()
    for _ in range(2000):
        if shared.waiting or shared.outward.waiting_bytes:
            shared.turn()
    assert shared.outward.waiting_bytes == 0
    got = bytes(shared.narrow.got).replace(b">", b"> ").replace(b")", b") ").split()
    assert sorted(got) == sorted(wanted)  # each whole
    messages = [one for one in got if one.startswith(b"<")]
    assert messages == [one for one in wanted if one.startswith(b"<")]
    for place, one in enumerate(wanted):
        if one.startswith(b"("):
            later = [other for other in wanted[place:] if other.startswith(b"<")]
            assert all(got.index(one) < got.index(other) for other in later)


def test_a_publish_on_another_thread_waits_while_paho_writes() -> None:
    """paho takes a packet from its queue before it writes it: it waits no more, and is not gone."""
    shared = Shared([99])

    def write_theirs() -> None:
        shared.put(b"<m>")
        shared.outward.theirs(b"(s)", lambda: shared.narrow.write([b"(s)"]))

    shared.outward.let(write_theirs)
    shared.turn()
    assert bytes(shared.narrow.got) == b"(s)<m>"


def test_nothing_is_written_to_a_closed_socket() -> None:
    outward, narrow = Outward(), Narrow([99])
    assert not outward.put(b"a", b"b", narrow.write)  # before it is open
    outward.open(lambda: False)
    outward.close()
    outward.put(b"c", b"d", narrow.write)
    outward.go_on(narrow.write, 8)
    assert (bytes(narrow.got), outward.waiting_bytes, outward.largest()) == (b"", 4, 2)


def test_the_socket_speaks_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        wiring = Wiring(Address("mqtt", "127.0.0.1", server.getsockname()[1], None), None, 5.0)
        dialled = wiring.dial()
        assert dialled.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        wiring.close()
