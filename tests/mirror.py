"""A web server over TLS with the fleet's files, and all that can be wrong with one."""

from __future__ import annotations

import http.server
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.certificates import Certified


@dataclass
class Mirror:
    """What it serves, and how.

    asked: of each request its path and Range. cuts: after so many bytes of the next answers the
    connection is cut. status: of each answer, in place of the right one. instead: an answer's body
    is made by the test. takes_ranges: else it always sends whole files.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    url: str = ""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    instead: Callable[[], Iterator[bytes]] | None = None
    takes_ranges: bool = True
    sent: int = 0


@contextmanager
def serving(certified: Certified) -> Iterator[Mirror]:
    """A mirror on a free port of 127.0.0.1."""
    mirror = Mirror()
    server = _Server(("127.0.0.1", 0), _handler(mirror))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certified.certificate, certified.key)
    server.context = context
    mirror.url = f"https://127.0.0.1:{server.server_address[1]}/fleet"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield mirror
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    context: ssl.SSLContext
    daemon_threads = False  # joined when it is closed

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(20)
        with suppress(OSError), self.context.wrap_socket(request, server_side=True) as safe:
            super().finish_request(safe, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""


def _handler(mirror: Mirror) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.removeprefix("/fleet/")
            wanted = self.headers.get("Range")
            mirror.asked.append((path, wanted))
            if mirror.status is not None:
                self.answer(mirror.status, b"")
            elif mirror.instead is not None:
                self.send_response(200)
                self.end_headers()
                for piece in mirror.instead():
                    self.wfile.write(piece)
            elif path not in mirror.files:
                self.answer(404, b"no such file")
            else:
                self.serve(mirror.files[path], wanted)

        def serve(self, content: bytes, wanted: str | None) -> None:
            found = re.fullmatch(r"bytes=(\d+)-(\d+)", wanted or "")
            if found is None or not mirror.takes_ranges:
                self.answer(200, content)
                return
            first, last = int(found[1]), int(found[2])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
            self.body(content[first : last + 1])

        def answer(self, status: int, content: bytes) -> None:
            self.send_response(status)
            for name, value in mirror.headers.items():
                self.send_header(name, value)
            self.body(content)

        def body(self, content: bytes) -> None:
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if mirror.cuts:
                content = content[: mirror.cuts.pop(0)]
                self.close_connection = True
            mirror.sent += len(content)
            self.wfile.write(content)

        def log_message(self, *words: object) -> None:
            """Not while testing."""

    return Handler
