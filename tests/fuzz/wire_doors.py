"""Doors of the wire: what comes by a broker or by the local socket, where it is first read."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, get_args

import msgspec
from msgspec import Struct

from fleet.signer.wish import signed_wish
from tests import telling
from tests.fuzz.door import Door, Opened
from tests.rig import totals
from wire import envelope, local, messages, offers, orders, topics
from wire.block.blocks import BLOCK, Block, BlockRequest, block_bytes, opened, packed
from wire.block.reading import Reading
from wire.block.server import BlockServer
from wire.deployments import Deployment, Gates, Rule
from wire.link import Received
from wire.mqtt.inward import LARGEST, Inward
from wire.mqtt.packets import publish_head
from wire.mqtt.url import address_of
from wire.offers import OfferAnswer, Wish
from wire.signing import SigningKey, load_key, make_key
from wire.troubles import Refused

MESSAGES: tuple[Struct, ...] = (
    telling.presence(True),
    telling.state(),
    telling.record(5),
    telling.event(6),
    telling.result(),
    messages.Reply("1", True, "done", {"a": 1}),
    messages.Ack("spool-1", 7),
    OfferAnswer("w1", "fetching", "4.targets.json", 1, 2),
)
ORDERS = (
    orders.Status(),
    orders.Snapshot("lane"),
    orders.Restart(),
    orders.Watch(5),
    orders.Set("lane", "every", 5.0, 0.5, 30.0, "debug", ("results",)),
    orders.Bench("lane", 300),
)
DEPLOYMENT = Deployment(
    "lane",
    (
        Rule(
            "digits", "2", ("doors",), ("raspberry-pi",), ("door",), 0.1, ("c",), Gates(60.0, 5.0)
        ),
        Rule("digits", "1"),
    ),
)


def message(kind: type[Struct], seed: Struct) -> Door:
    """One kind of message; what is taken can be written again or is refused for its numbers."""

    def attempt(content: bytes) -> None:
        parsed = messages.parse(content, kind)
        try:
            again = messages.to_json(parsed)
        except OverflowError:  # whole numbers beyond 64 bits: whoever writes it anew checks that
            return
        assert messages.parse(again, kind) == messages.parse(again, kind)

    name = f"message.{kind.__name__.lower()}"
    seeds = (messages.to_json(seed),)
    return Door(name, "a broker", lambda _folder, _last: Opened(attempt, seeds), form="json")


def _key(folder: Path) -> SigningKey:
    path = folder / "key.pem"
    return load_key(path) if path.exists() else make_key(path)


def open_envelope(folder: Path, last: ExitStack) -> Opened:
    key = _key(folder)

    def attempt(content: bytes) -> None:
        sealed = orders.opened(content)
        signer = orders.signer_of(sealed, (key.public, "zz", "", "0" * 64))
        claim = orders.claim_of(sealed)
        if signer is not None:
            orders.command_of(claim)

    command = orders.Command("home", "door", "c1", 1_795_247_700, 1_795_247_775, orders.Watch(5))
    return Opened(attempt, (orders.signed(command, key),))


def open_order(folder: Path, last: ExitStack) -> Opened:
    """What a thief of a command key may sign."""
    key = _key(folder)

    def attempt(content: bytes) -> None:
        try:
            sealed = orders.opened(envelope.sealed(orders.DOMAIN, content, key))
        except UnicodeDecodeError:
            return  # nobody can put that into an envelope
        assert orders.signer_of(sealed, (key.public,)) == key.public
        orders.command_of(orders.claim_of(sealed))

    wanted = (
        orders.Command("home", "door", "c1", 1_795_247_700, 1_795_247_775, order)
        for order in ORDERS
    )
    return Opened(attempt, tuple(map(msgspec.json.encode, wanted)))


def open_wish(folder: Path, last: ExitStack) -> Opened:
    key = _key(folder)

    def attempt(content: bytes) -> None:
        try:
            payload = envelope.sealed(offers.DOMAIN, content, key)
        except UnicodeDecodeError:
            return
        signed_wish(payload, (key.public,))

    wish = Wish("home", "w1", 1_795_247_700, 1_795_248_000, 3, DEPLOYMENT)
    return Opened(attempt, (msgspec.json.encode(wish),))


def open_mailbox(seeds: tuple[Any, ...], takes: Any) -> Callable[[Path, ExitStack], Opened]:
    """A mailbox that gets whole datagrams, from another socket of this process."""

    def open_(folder: Path, last: ExitStack) -> Opened:
        path = folder / "box.sock"
        box: local.Mailbox[Any] = local.Mailbox(path, takes)
        last.callback(box.close)
        sender = last.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))

        def attempt(content: bytes) -> None:
            sender.sendto(content, str(path))
            strays = box.strays
            taken = box.receive()
            assert (taken is None) == (box.strays > strays), "neither taken nor counted as garbage"
            if taken is None:
                raise Refused("garbage")
            assert isinstance(taken, get_args(takes))

        return Opened(attempt, tuple(map(msgspec.msgpack.encode, seeds)))

    return open_


FROM_RUNTIME = (
    totals(300, 10.0),
    local.Failed("lane", "no camera"),
    local.Found(telling.result()),
    local.Answer("lane", "1", True, "done", b"{}"),
)
FROM_AGENT = (
    local.Apply(messages.PipelineSettings(), "debug"),
    local.TakeSnapshot("1", 60_000),
    local.RunBench("1", 300),
    local.CheckModel("1", "a" * 64),
    local.LoadModel("1", None),
    local.Leave("1"),
)


class _Shelves:
    """A library with one file."""

    def __init__(self, folder: Path, key: str) -> None:
        self._path = folder / "served"
        self._path.write_bytes(bytes(3 * BLOCK + 5))
        self._key = key

    def open(self, key: str) -> Any:
        return open(self._path, "rb") if key == self._key else None


def open_request(folder: Path, last: ExitStack) -> Opened:
    """A server of blocks answers at most what was asked, and never what is not there."""
    key, sent = "a" * 64, [0]
    clock = [0.0]

    def publish(topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> int:
        place = topics.block_place(topic)
        assert place is not None and len(payload) <= BLOCK + 9
        size, _ = opened(payload, place.number)
        assert size is None or place.key == key
        sent[0] += 1
        return 0

    server = BlockServer(publish, "home", _Shelves(folder, key), clock=lambda: clock[0])
    last.callback(server.close)

    def attempt(content: bytes) -> None:
        sent[0] = 0
        server.asked("door", content)
        for _ in range(12):
            clock[0] += 0.3
            server.tick()
        assert sent[0] <= 12 * 64

    asked = (BlockRequest(key, ((0, 3), (3, 4))), BlockRequest("b" * 64, ((0, 1),)))
    return Opened(attempt, tuple(map(msgspec.json.encode, asked)))


def open_block(folder: Path, last: ExitStack) -> Opened:
    """A small file that is put together of what comes: two bytes of number, then the payload."""
    small = packed(Block(5, b"hello"))
    size = BLOCK + 7

    def attempt(content: bytes) -> None:
        number = int.from_bytes(content[:2], "big")
        payload = content[2:]
        reading = Reading(2 * BLOCK, None)
        reading.take(number, payload)
        reading.take(0, packed(Block(5, b"hello")))
        assert reading.content is None or len(reading.content) <= 2 * BLOCK
        whole, block = opened(payload, number)
        assert whole is None or len(block) == block_bytes(whole, number)

    seeds = (small, packed(Block(None, b"")), packed(Block(size, bytes(BLOCK))))
    last_one = b"\0\1" + packed(Block(size, bytes(7)))
    return Opened(attempt, (*(b"\0\0" + seed for seed in seeds), last_one))


def open_topics(folder: Path, last: ExitStack) -> Opened:
    def attempt(content: bytes) -> None:
        topic = content.decode("utf-8", "surrogateescape")
        told = topics.told(topic)
        if told is not None:
            topics.presence(told.fleet, told.device)
        place = topics.block_place(topic)
        assert place is None or 0 <= place.number < 10**9
        topics.offered(topic)
        topics.matches(topic, "vedette/home/device/door/state")
        if told is None and place is None:
            raise Refused("another topic")

    words = (
        topics.result("home", "door", "lane"),
        topics.block("home", "a" * 64, 3),
        topics.request("home", "door"),
        topics.state("home", "door"),
    )
    return Opened(attempt, tuple(word.encode() for word in words))


def open_packets(folder: Path, last: ExitStack) -> Opened:
    """Bytes of a broker, in three pieces: no byte is lost or told twice, whatever they are."""

    def attempt(content: bytes) -> None:
        told: list[Received] = []
        inward = Inward(told.append)
        given = 0
        cuts = (0, len(content) // 3, len(content) * 2 // 3, len(content))
        for begin, end in itertools.pairwise(cuts):
            inward.fill(_filling(content[begin:end]))
            while inward.sort(True):
                given += len(inward.give(1 << 16))
        spoken = sum(len(one.payload) for one in told)
        assert given + spoken + inward.left <= len(content)
        assert all(len(one.payload) <= LARGEST for one in told)

    head = publish_head(b"vedette/home/block/k/0", 300, False, True) or b""
    plain = head + bytes(300)
    others = b"\x20\x03\0\0\0" + b"\x90\x04\0\1\0\0" + b"\x40\x02\0\1" + b"\xd0\x00"
    return Opened(attempt, (plain, others + plain * 3, plain + others, b"\x32\x05\0\1a\0\1"))


def _filling(piece: bytes) -> Callable[[memoryview], int]:
    def receive_into(view: memoryview) -> int:
        view[: len(piece)] = piece
        return len(piece)

    return receive_into


def open_url(folder: Path, last: ExitStack) -> Opened:
    def attempt(content: bytes) -> None:
        address = address_of(content.decode("utf-8", "replace"))
        assert 0 < address.port < 65536 and address.host

    urls = ("mqtt://broker.lan", "mqtts://[::1]:8883", "wss://a.example:443/mqtt")
    return Opened(attempt, tuple(url.encode() for url in urls))


def open_key_file(folder: Path, last: ExitStack) -> Opened:
    path, locked = folder / "tried.pem", folder / "locked.pem"
    _key(folder)
    make_key(locked, b"horse")

    def attempt(content: bytes) -> None:
        path.write_bytes(content)
        load_key(path)

    plain, hidden = (folder / "key.pem").read_bytes(), locked.read_bytes()
    return Opened(attempt, (plain, hidden))


DOORS: tuple[Door, ...] = (
    *(message(type(seed), seed) for seed in MESSAGES),
    Door("command.envelope", "a broker", open_envelope, form="json"),
    Door("command.signed", "a thief of a command key", open_order, form="json"),
    Door("wish.signed", "a thief of a command key", open_wish, form="json"),
    Door(
        "local.from_runtime", "a process of this device",
        open_mailbox(FROM_RUNTIME, local.FromRuntime), form="msgpack",
    ),
    Door(
        "local.from_agent", "a process of this device",
        open_mailbox(FROM_AGENT, local.FromAgent), form="msgpack",
    ),
    Door("block.request", "a device", open_request, form="json"),
    Door("block.payload", "a depot, or who writes in its place", open_block),
    Door("topics", "a broker", open_topics, words=(b"/", b"+", b"#", b"vedette", b"device")),
    Door("mqtt.packets", "a broker", open_packets, words=(b"\x30\x80\x80\x80\x01", b"\x31")),
    Door("broker.url", "who writes a configuration", open_url, words=(b"://", b"@", b"[", b"%")),
    Door(
        "key.file", "who hands over a key", open_key_file, limit_s=4.0, most_mib=128, examples=40
    ),
)  # fmt: skip
