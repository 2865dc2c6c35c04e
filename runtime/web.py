"""The preview's web server: one page, its pictures and its numbers, for this machine's eyes only.

Listens on 127.0.0.1. A page of some other site must not read it, be it through a name that was
made to point here (DNS rebinding: the Host header is checked), a request from another origin
(Sec-Fetch-Site) or a frame (CSP). A picture is sent when it is asked for, the newest one: a slow
reader gets fewer of them, never late ones.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import re
import socket
import sys
import threading
import time
from contextlib import suppress
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from socketserver import TCPServer
from typing import Any, Protocol
from urllib.parse import parse_qs, quote

import msgspec

from wire.troubles import Refused, Unavailable

HOSTS = ("localhost", "127.0.0.1", "[::1]")
MOST_CONNECTIONS = 32  # a browser tab takes two
SILENCE_S = 10.0  # a connection on which nothing moves for so long is dropped
PICTURE_S = 5.0  # how long a request waits for a new picture before it is told to ask again


class Source(Protocol):
    """Where the server gets what it serves. Called from many threads."""

    def picture(self, after: int, timeout_s: float) -> Any: ...
    def sight(self, picture: Any) -> Any: ...
    def report(self) -> Any: ...


@cache
def page() -> bytes:
    return resources.files("runtime").joinpath("preview_page.html").read_bytes()


@cache
def policy() -> str:
    """The Content-Security-Policy: exactly the script and the style of the page, nothing else."""

    def hashes(tag: bytes) -> str:
        inline = re.findall(rb"<%b>(.*?)</%b>" % (tag, tag), page(), re.DOTALL)
        sums = (base64.b64encode(hashlib.sha256(text).digest()).decode() for text in inline)
        return " ".join(f"'sha256-{s}'" for s in sums)

    return (
        f"default-src 'none'; script-src {hashes(b'script')}; style-src {hashes(b'style')}; "
        "img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


class Server(ThreadingHTTPServer):
    """Counts its connections, refuses too many, and can drop them all."""

    request_queue_size = 16

    def __init__(self, port: int, source: Source) -> None:
        self.source = source
        self._open: set[socket.socket] = set()
        self._counting = threading.Lock()
        super().__init__(("127.0.0.1", port), Handler)

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's asks the name server for our name: seconds
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._counting:
            room = len(self._open) < MOST_CONNECTIONS
            if room:
                self._open.add(request)
        if room:
            super().process_request(request, client_address)
            return
        request.setblocking(False)
        lines = b"HTTP/1.1 503 Service Unavailable", b"Retry-After: 5", b"Connection: close"
        text = b"too many viewers: close another tab\n"
        with suppress(OSError):
            request.send(b"\r\n".join((*lines, b"Content-Length: %d" % len(text), b"", text)))
        self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        with self._counting:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # those are viewers who went away
            super().handle_error(request, client_address)

    def end(self) -> None:
        """Stop listening and drop every connection."""
        self.shutdown()
        self.server_close()
        with self._counting:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for _ in range(100):  # their threads close them, each within one answer
            with self._counting:
                if not self._open:
                    return
            time.sleep(0.02)


class Handler(BaseHTTPRequestHandler):
    """One connection of a viewer."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "vedette"
    sys_version = ""
    timeout = SILENCE_S
    disable_nagle_algorithm = True  # the head and the body of an answer are two writes

    def parse_request(self) -> bool:
        """The door: whoever must not read gets an answer here, and the connection is closed."""
        if not super().parse_request():
            return False
        refusal = self.refusal()
        if refusal is None:
            return True
        self.close_connection = True
        self.answer(refusal[0], "text/plain", refusal[1].encode() + b"\n")
        return False

    def refusal(self) -> tuple[HTTPStatus, str] | None:
        if self.command not in ("GET", "HEAD"):
            return HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD"
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            return HTTPStatus.BAD_REQUEST, "a request here has no body"
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1 or re.sub(r":\d{1,5}$", "", hosts[0].strip().lower()) not in HOSTS:
            return HTTPStatus.FORBIDDEN, "open this page as 127.0.0.1 or localhost"
        site = self.headers.get("Sec-Fetch-Site", "none")
        followed = self.headers.get("Sec-Fetch-Mode") == "navigate" and self.path == "/"
        if site not in ("none", "same-origin") and not followed:
            return HTTPStatus.FORBIDDEN, "other sites may not read this"
        return None

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path == "/":
            self.answer(HTTPStatus.OK, "text/html; charset=utf-8", page())
        elif path == "/frame.jpg":
            self.picture(parse_qs(query))
        elif path == "/stats.json":
            report = msgspec.json.encode(self.server.source.report())
            self.answer(HTTPStatus.OK, "application/json", report)
        elif path == "/healthz":
            self.answer(HTTPStatus.OK, "text/plain", b"ok\n")
        else:
            paths = b"there are /, /frame.jpg?after=N, /stats.json and /healthz\n"
            self.answer(HTTPStatus.NOT_FOUND, "text/plain", paths)

    do_HEAD = do_GET

    def picture(self, query: dict[str, list[str]]) -> None:
        """The newest picture but number `after`; 204 if there is none for PICTURE_S seconds."""
        after = query.get("after", ["0"])[-1]
        if not re.fullmatch(r"[0-9]{1,15}", after):
            self.answer(HTTPStatus.BAD_REQUEST, "text/plain", b"after= takes a number\n")
            return
        picture = self.server.source.picture(int(after), PICTURE_S)
        if picture is None:
            self.answer(HTTPStatus.NO_CONTENT, "image/jpeg", b"")
            return
        beside = {
            "Vedette-Picture": str(picture.number),
            "Vedette-Frame": str(picture.seq),
            "Vedette-Found": quote(msgspec.json.encode(self.server.source.sight(picture))),
        }
        self.answer(HTTPStatus.OK, "image/jpeg", picture.jpeg, beside)

    def answer(
        self,
        status: HTTPStatus,
        kind: str,
        body: bytes,
        extra: dict[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
        for name, value in (extra or {}).items():
            self.send_header(name, value)
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", policy())
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: the terminal belongs to the live table."""


def serve(port: int, source: Source) -> Server:
    """A server that answers from now on, on its own threads. Raises Refused or Unavailable."""
    if not 0 <= port <= 65535:
        raise Refused(f"{port} is no port: take one from 1024 to 65535, or 0 for any free one")
    try:
        server = Server(port, source)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Unavailable(
                f"port {port} is taken by another process: choose another, or 0 for any free one"
            ) from None
        if error.errno == errno.EACCES:
            raise Refused(f"port {port} needs root: take one from 1024 to 65535") from None
        raise Unavailable(f"cannot listen on 127.0.0.1 port {port}: {error.strerror}") from None
    listen = threading.Thread(
        target=server.serve_forever, args=(0.25,), name="preview-web", daemon=True
    )
    listen.start()
    return server
