"""An RTSP server on loopback that means harm, in one of several ways."""

from __future__ import annotations

import itertools
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

MUCH = b"x" * (1 << 20)
STREAM = b"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:s\r\n"
HARMS = ("text", "lines", "headers", "garbage", "loop", "file", "http", "streams", "picture")


@contextmanager
def hostile(harm: str, stream: bytes = STREAM) -> Iterator[int]:
    """Gives its port. harm: one of HARMS, or "none": no picture comes. stream: what it says it
    has (SDP)."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def listen() -> None:
            with suppress(OSError):
                while True:
                    one, _ = listening.accept()
                    threading.Thread(target=_serve, args=(one, harm, stream), daemon=True).start()

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(one: socket.socket, harm: str, stream: bytes) -> None:
    with suppress(OSError), one:
        while request := _request(one):
            for content in _answer(request, harm, one.getsockname()[1], stream):
                one.sendall(content)


def _request(one: socket.socket) -> bytes:
    text = b""
    while not text.endswith(b"\r\n\r\n"):
        if not (more := one.recv(4096)):
            return b""
        text += more
    return text


def _answer(request: bytes, harm: str, port: int, stream: bytes) -> Iterator[bytes]:
    method = request.split()[0]
    number = request.partition(b"CSeq: ")[2].partition(b"\r")[0]
    fine = b"RTSP/1.0 200 OK\r\nCSeq: " + number + b"\r\nSession: 1\r\n"
    if harm == "text":
        yield fine + b"Content-Length: 2000000000\r\n\r\n"
        yield from itertools.repeat(MUCH)
    elif harm == "lines":
        yield from itertools.repeat(MUCH)
    elif harm == "headers":
        yield fine
        yield from itertools.repeat(b"WWW-Authenticate: Digest realm=x\r\nX-A: b\r\n" * 10_000)
    elif harm == "garbage":
        yield bytes(range(256)) * 400
    elif method == b"DESCRIBE" and harm in ("loop", "file", "http"):
        where = {"loop": f"rtsp://127.0.0.1:{port}/x", "file": "file:///etc/passwd"}
        location = where.get(harm, f"http://127.0.0.1:{port}/x").encode()
        yield fine.replace(b"200 OK", b"302 Moved") + b"Location: " + location + b"\r\n\r\n"
    elif method == b"DESCRIBE":
        text = b"v=0\r\ns=x\r\n" + stream * (1_000_000 if harm == "streams" else 1)
        head = b"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n" % len(text)
        yield fine + head + text
    elif method == b"SETUP":
        yield fine + b"Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
    else:
        yield fine + b"Public: DESCRIBE, SETUP, PLAY\r\n\r\n"
        if method == b"PLAY" and harm == "picture":
            yield from _one_picture()


def _one_picture() -> Iterator[bytes]:
    """It never ends: fragments of one unit of H.264."""
    for number in itertools.count():
        mark = b"\x7c\x85" if number == 0 else b"\x7c\x05"
        packet = struct.pack(">BBHII", 0x80, 96, number % 65536, 1000, 7) + mark + MUCH[:60_000]
        yield b"$\0" + struct.pack(">H", len(packet)) + packet
