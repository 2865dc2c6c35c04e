"""What every request goes through first, and every answer last: host, origin, headers."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import socket
import time
from collections.abc import Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, cast
from urllib.parse import urlsplit

from litestar import Litestar
from litestar.types import HTTPScope, Message, Receive, Scope, Send

from fleet.serve.parts import Parts
from fleet.serve.scope import VISITOR, Visitor, cookie_name, visitor_in
from fleet.serve.whose import whose
from wire.troubles import Unavailable

SAFE = ("GET", "HEAD", "OPTIONS")
ASK_AGAIN_S = 20.0  # a stream that lasts is still its reader's to see
LONGEST_SECRET = 256

CSP = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
_ELSEWHERE = "another site asked for this: open the page here itself"
_READS = "tokens only read: who changes something signs in, and does it on its page"
HSTS = "max-age=31536000"

log = logging.getLogger("vedette.serve")


class Gate:
    """An ASGI application in front of another one."""

    def __init__(self, app: Litestar, parts: Parts) -> None:
        self.app = app
        self._parts = parts
        self._is_ending = False
        self._names = {"localhost", *_own_names(), *(n.lower() for n in parts.terms.names)}

    async def __call__(self, asked: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if asked["type"] == "lifespan":
            await self.app(cast(Scope, asked), receive, send)
        elif asked["type"] == "http":  # nobody here speaks by web sockets
            await self._answer(cast(HTTPScope, asked), receive, send)

    def end(self) -> None:
        """Answers that last come to their end with what they say next."""
        self._is_ending = True

    async def _answer(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        leaving = _Leaving(scope, send, self._parts, lambda: self._is_ending)
        if not self._is_our_name(headers.get("host", "")):
            what = "this server does not go by that name: start it with --name for it"
            await leaving.refuse(421, what)
            return
        if scope["method"] not in SAFE and not _is_same_origin(headers):
            await leaving.refuse(403, _ELSEWHERE if _token(headers) is None else _READS)
            return
        visitor = self._visitor(scope, headers)
        cast("dict[str, Any]", scope)[VISITOR] = visitor
        await self.app(scope, receive, leaving.send)

    def _visitor(self, scope: HTTPScope, headers: dict[str, str]) -> Visitor:
        terms = self._parts.terms
        client = scope.get("client")
        address = client[0] if client else ""
        if terms.is_behind_proxy:
            address = headers.get("x-forwarded-for", address).rpartition(",")[2].strip()[:64]
        return Visitor(
            address,
            session=_short(_cookie(headers.get("cookie", ""), cookie_name(terms.secure))),
            token=_token(headers),
        )

    def _is_our_name(self, host: str) -> bool:
        """Whether a browser means us. A page of somebody else's may let its name point at our
        address; it cannot have a browser call us by address, or by a name of ours."""
        name = _host_name(host)
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name.rstrip(".") in self._names
        return True


class _Leaving:
    """An answer on its way out: with the headers of every answer, and no longer than its reader may
    see it."""

    def __init__(
        self, scope: HTTPScope, send: Send, parts: Parts, is_ending: Callable[[], bool]
    ) -> None:
        self._is_ending = is_ending
        self._scope = scope
        self._send = send
        self._parts = parts
        self._looked_s = time.monotonic()
        self._is_stream = False  # of events: it has no end of its own
        self._is_over = False

    async def send(self, message: Message) -> None:
        if self._is_over:
            return
        if message["type"] == "http.response.start":
            headers = list(message["headers"])
            kinds = [value for name, value in headers if name.lower() == b"content-type"]
            self._is_stream = any(kind.startswith(b"text/event-stream") for kind in kinds)
            if message["status"] == 413:
                headers.append((b"connection", b"close"))  # the rest of it is not even read
            message["headers"] = self._with_ours(headers)
        elif message["type"] == "http.response.body" and message["more_body"]:
            self._is_over = self._is_stream and not await self._may_go_on()
            if self._is_over:
                message["body"], message["more_body"] = b"", False
        await self._send(message)

    async def refuse(self, status: int, words: str) -> None:
        body = json.dumps({"error": words}).encode()
        kinds = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await self.send({"type": "http.response.start", "status": status, "headers": kinds})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})

    def _with_ours(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        told = {name.lower() for name, _ in headers}
        ours = dict(HEADERS)
        if self._parts.terms.secure:
            ours["strict-transport-security"] = HSTS
        if b"cache-control" not in told:
            ours["cache-control"] = "no-store"
        kept = [(name, value) for name, value in headers if name.lower().decode() not in HEADERS]
        return kept + [(name.encode(), value.encode()) for name, value in ours.items()]

    async def _may_go_on(self) -> bool:
        """Whether the reader of a long answer is still signed in, and the server stays."""
        if self._is_ending():
            return False
        visitor = visitor_in(self._scope)
        if visitor.signed_in is None or time.monotonic() - self._looked_s < ASK_AGAIN_S:
            return True
        self._looked_s = time.monotonic()
        try:
            return await asyncio.to_thread(whose, self._parts.accounts, visitor) is not None
        except Unavailable:
            return True  # the page goes on to say what is wrong


def _own_names() -> set[str]:
    name = socket.gethostname().lower()
    return {name, f"{name}.local", name.partition(".")[0]}


def _host_name(host: str) -> str:
    """The name in HOST[:PORT], in small letters; "" where that is none."""
    if len(host) > 255 or not all(c.isalnum() or c in "-.:[]_" for c in host):
        return ""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_same_origin(headers: dict[str, str]) -> bool:
    """Whether a page of ours asks. Every browser says where such a request comes from."""
    if headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    try:
        origin = urlsplit(headers.get("origin", ""))
    except ValueError:  # [ without ]
        return False
    return origin.netloc != "" and origin.netloc == headers.get("host", "")


def _token(headers: dict[str, str]) -> str | None:
    kind, _, token = headers.get("authorization", "").partition(" ")
    return _short(token.strip()) if kind.lower() == "bearer" else None


def _cookie(text: str, name: str) -> str:
    try:
        found = SimpleCookie(text).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value


def _short(secret: str) -> str | None:
    return secret if 0 < len(secret) <= LONGEST_SECRET and secret.isascii() else None
