"""Doors of connections: bytes of a broker, of a mirror, of a browser, and of what engines open."""

from __future__ import annotations

import contextlib
import socket
import struct
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from runtime import web
from runtime.child import run_check
from tests.fuzz.door import Door, Opened
from tests.laws.sources import ROOT
from wire import https
from wire.config import Broker
from wire.link import LinkEvent
from wire.mqtt import mqtt
from wire.mqtt.life import Life
from wire.mqtt.proofs import Proofs
from wire.mqtt.socket import Wiring
from wire.mqtt.terms import Terms
from wire.mqtt.tries import MQTT_5, Offer
from wire.mqtt.url import address_of
from wire.troubles import Refused
from wire.turns import drive

ANSWER_S = 5.0
ROOM = 4 << 20  # bytes that a socket of this process takes without a reader


class Pairs:
    """Connections over TCP within this process: both ends of each."""

    def __init__(self, last: ExitStack) -> None:
        self._listening = last.enter_context(socket.create_server(("127.0.0.1", 0)))

    def open(self, last: ExitStack) -> tuple[socket.socket, socket.socket]:
        near = socket.create_connection(self._listening.getsockname())
        last.callback(near.close)
        far, _ = self._listening.accept()
        last.callback(far.close)
        for end in (near, far):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ROOM)
            # closed without a trace: else the ports of many connections would be used up
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return near, far


class _Near(Wiring):
    """A connection to a broker that is in this process."""

    def __init__(self, near: socket.socket) -> None:
        super().__init__(address_of("mqtt://broker.lan"), None, ANSWER_S)
        self._near = near

    def dial(self) -> socket.socket:
        self._near.settimeout(ANSWER_S)
        self._socket = self._near
        return self._near


def open_mqtt(folder: Path, last: ExitStack) -> Opened:
    """All that a broker sends on one connection, until it closes it."""
    broker, pairs = Broker("mqtt://broker.lan"), Pairs(last)

    def attempt(content: bytes) -> None:
        told: list[LinkEvent] = []
        with ExitStack() as closing:
            near, far = pairs.open(closing)
            far.sendall(content)
            far.shutdown(socket.SHUT_WR)
            wiring = _Near(near)
            closing.callback(wiring.close)
            client = mqtt._client(
                Offer(MQTT_5, 20, ANSWER_S), "door", wiring, Proofs(None, None, None)
            )
            client.connect("broker.lan", 1883, broker.keepalive_s)
            terms = Terms(wiring._address, broker.keepalive_s, told.append, ["vedette/a/#"])
            closing.callback(terms.bell.close)
            life = Life(mqtt._PahoWire(client, wiring), wiring, "MQTT 5", "s", terms)
            mqtt._take_notes(client, wiring, life)
            ended = drive(life.run(ANSWER_S), terms.bell)
        assert ended.why, "it ended without a word"
        if not told:
            raise Refused(ended.why)

    accepted = b"\x20\x03\0\0\0"
    taken = b"\x90\x04\0\1\0\1"
    plain = b"\x30\x0b\0\x05a/b/c\0xyz"
    sure = b"\x32\x0d\0\x05a/b/c\0\7\0xyz"
    more, goodbye = b"\x40\x02\0\1" + b"\xd0\x00", b"\xe0\x02\x8e\0"
    limits = b"\x20\x0d\0\0\x0a\x21\0\x14\x27\0\1\0\0\x25\1"
    seeds = (
        accepted + taken + plain + sure + more, limits + taken + sure, accepted + more + goodbye,
    )  # fmt: skip
    return Opened(attempt, seeds)


def open_mirror(folder: Path, last: ExitStack) -> Opened:
    """What a web server answers, from its first byte, beneath TLS."""
    source = https.HttpsSource("http://mirror.example/fleet", schemes=("http",))
    last.callback(source.close)
    waiting: list[bytes] = []
    pool: Any = https._impatient_pools()["http"]

    class Near(pool.ConnectionCls):  # type: ignore[misc]
        def connect(self) -> None:
            ours, theirs = socket.socketpair()
            theirs.sendall(waiting[-1])
            theirs.shutdown(socket.SHUT_WR)
            self.sock, self._far = ours, theirs

        def close(self) -> None:
            super().close()
            far = self.__dict__.pop("_far", None)
            if far is not None:
                far.close()

    class NearPool(pool):  # type: ignore[misc]
        ConnectionCls = Near

    source._pool.pool_classes_by_scheme = {"http": NearPool}

    def attempt(content: bytes) -> None:
        waiting.append(content)
        try:
            got = source.read("metadata/timestamp.json", 1000)
            assert len(got) <= 1000
        finally:
            waiting.clear()
            source._pool.clear()

    body = b'{"signed":{}}'
    seeds = (
        b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n" + body,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nd\r\n" + body + b"\r\n0\r\n\r\n",
        b"HTTP/1.0 206 Partial\r\nContent-Range: bytes 0-12/13\r\n\r\n" + body,
        b"HTTP/1.1 302 Found\r\nLocation: https://other.example/\r\nContent-Length: 0\r\n\r\n",
    )
    return Opened(attempt, seeds)


class _Nothing:
    """A preview without a picture."""

    def picture(self, after: int, timeout_s: float) -> Any:
        return None

    def sight(self, picture: Any) -> Any:
        return []

    def report(self) -> Any:
        return {"frames": 3}


def open_preview(folder: Path, last: ExitStack) -> Opened:
    """What a browser, or a page in it, sends: whoever must not read gets no page and no picture."""
    server: Any = SimpleNamespace(source=_Nothing())
    pairs = Pairs(last)

    def attempt(content: bytes) -> None:
        with ExitStack() as closing:
            near, far = pairs.open(closing)
            far.sendall(content)
            far.shutdown(socket.SHUT_WR)
            said = b""
            with contextlib.suppress(OSError):
                web.Handler(near, ("127.0.0.1", 1), server)
                near.shutdown(socket.SHUT_WR)
                while piece := far.recv(65536):
                    said += piece
        if not said.startswith(b"HTTP/1.1 200"):
            raise Refused("it was not served")
        assert b"\nHost" in content or b"\nhost" in content.lower()

    seeds = (
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n",
        b"GET /stats.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /frame.jpg?after=3 HTTP/1.1\r\nHost: [::1]\r\nSec-Fetch-Site: same-origin\r\n\r\n",
    )
    return Opened(attempt, seeds)


def open_check(folder: Path, last: ExitStack) -> Opened:
    """A model file, opened by its real engine in a child with limits."""
    source = ROOT / "models" / "zoo" / "digits" / "onnx"
    path = folder / "digits.onnx"

    def attempt(content: bytes) -> None:
        path.write_bytes(content)
        run_check(path, "onnxruntime")

    return Opened(attempt, (next(source.glob("*.onnx")).read_bytes(),))


HTTP = (b"\r\n", b"Host: ", b"Content-Length: ", b"chunked", b"\r\n\r\n", b"HTTP/1.1", b"gzip")
DOORS: tuple[Door, ...] = (
    Door("mqtt.link", "a broker", open_mqtt, limit_s=4.0, hangs_s=60.0, examples=40),
    Door("https.mirror", "a mirror", open_mirror, words=HTTP, examples=40),
    Door("preview.http", "a page in a browser", open_preview, words=HTTP, most_bytes=8192),
    Door(
        "model.check", "who packs a model", open_check, most_bytes=1 << 20, limit_s=60.0,
        hangs_s=150.0, examples=0,
    ),
)  # fmt: skip
