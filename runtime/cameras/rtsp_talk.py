"""Requests to an RTSP camera and its answers (RFC 2326, and 7826 where cameras follow it)."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from runtime.cameras.network_uri import Target
from runtime.cameras.network_wire import Wire
from wire.troubles import Refused, Unavailable
from wire.version import VERSION

DOLLAR = 0x24  # begins a packet between two messages: $, channel, size (16 bits)
MOST_BODY = 1 << 16
MOST_PACKETS = 10_000  # that may come before an answer
LONGEST_KEEP_S = 25.0
REASONS = {
    401: "does not accept this name and password",
    403: "does not let this user see it",
    404: "has no stream of that path: see the camera's own pages for it",
    453: "has no bandwidth left for one more viewer",
    454: "has forgotten us",
    461: "cannot send it that way: try #transport=udp or #transport=tcp",
}
WAIT = (408, 453, 454, 500, 502, 503, 504)  # may be over in a while


@dataclass(frozen=True)
class Answer:
    """What came back. headers: names in small letters; of several of a name the first."""

    status: int
    headers: Mapping[str, str]
    challenges: tuple[str, ...]
    body: str


class Talk:
    """A conversation over a connected wire. Packets that come in between are left out."""

    def __init__(self, wire: Wire, target: Target) -> None:
        self._wire = wire
        self._target = target
        self._login = target.login()
        self._sequence = 0
        self._session: str | None = None
        self._keep_s = LONGEST_KEEP_S
        self._keep_at_s = float("inf")
        self._keep_method = "OPTIONS"
        self._kept_uri = target.bare

    def ask(self, method: str, uri: str, **headers: str) -> Answer:
        """A request, again with a name if the camera asks for one. Raises Refused, Unavailable."""
        self._send(method, uri, headers)
        answer = self._answer()
        if answer.status == 401 and self._login is not None:
            before = self._login.answer(method, uri)
            is_new = before is None or "stale=true" in "".join(answer.challenges).lower()
            if self._login.learn(answer.challenges) and is_new:
                self._send(method, uri, headers)
                answer = self._answer()
        if answer.status >= 300:
            raise self._trouble(answer)
        self._remember(answer)
        return answer

    def greet(self) -> None:
        """Learn what the camera knows. Some answer this only to those who said who they are."""
        self._send("OPTIONS", self._target.bare, {})
        if "GET_PARAMETER" in self._answer().headers.get("public", "").upper():
            self._keep_method = "GET_PARAMETER"

    def keep_alive(self) -> None:
        """Say that we are still here when it is time; the answer comes between packets."""
        if time.monotonic() >= self._keep_at_s:
            self._keep_at_s = time.monotonic() + self._keep_s
            self._send(self._keep_method, self._kept_uri, {})

    def hear(self) -> None:
        """Read a message that came between packets: an answer, or a request of the camera's."""
        answer = self._message()
        if answer.status == 401 and self._login is not None:
            self._login.learn(answer.challenges)
            self._keep_at_s = 0.0
        elif answer.status == 454:
            raise self._trouble(answer)

    def begin(self, uri: str) -> None:
        """From now on the session is kept alive. uri: of what is played."""
        self._kept_uri = uri
        self._keep_at_s = time.monotonic() + self._keep_s

    def leave(self) -> None:
        """Cameras have few sessions: give ours back."""
        if self._session is not None:
            self._send("TEARDOWN", self._kept_uri, {})

    def _send(self, method: str, uri: str, headers: Mapping[str, str]) -> None:
        self._sequence += 1
        lines = [f"{method} {uri} RTSP/1.0", f"CSeq: {self._sequence}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines.append(f"User-Agent: vedette/{VERSION}")
        if self._session is not None:
            lines.append(f"Session: {self._session}")
        who = None if self._login is None else self._login.answer(method, uri)
        if who is not None:
            lines.append(f"Authorization: {who}")
        self._wire.send("\r\n".join((*lines, "", "")).encode("utf-8", "replace"))

    def _answer(self) -> Answer:
        for _ in range(MOST_PACKETS):
            head = self._wire.peek(4)
            if head[0] != DOLLAR:
                answer = self._message()
                if answer.status and answer.headers.get("cseq", "") == str(self._sequence):
                    return answer
                continue
            size = 4 + int.from_bytes(head[2:4], "big")
            self._wire.peek(size)
            self._wire.skip(size)
        raise Unavailable(f"{self._target.shown}: sends pictures in place of an answer")

    def _message(self) -> Answer:
        """status 0: a request."""
        first = self._wire.line().decode("latin-1")
        status = re.fullmatch(r"RTSP/\d\.\d +(\d{3})\b.*", first)
        if status is None and not re.fullmatch(r"[A-Z_]+ \S+ RTSP/\d\.\d", first):
            raise Refused(
                f"{self._target.shown}: does not answer as an RTSP camera does: is the port right?"
            )
        found = self._wire.headers()
        headers = dict(reversed(found))
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MOST_BODY:
            raise Unavailable(f"{self._target.shown}: announces {length[:20]} bytes of text")
        body = bytearray(int(length))
        self._wire.read_into(memoryview(body))
        challenges = tuple(value for name, value in found if name == "www-authenticate")
        text = body.decode("utf-8", "replace")
        return Answer(0 if status is None else int(status[1]), headers, challenges, text)

    def _remember(self, answer: Answer) -> None:
        session = answer.headers.get("session")
        if session is None:
            return
        self._session, _, rest = session.partition(";")
        told = re.search(r"timeout\s*=\s*(\d{1,6})", rest)
        if told is not None:
            self._keep_s = min(LONGEST_KEEP_S, max(1.0, int(told[1]) / 2))

    def _trouble(self, answer: Answer) -> Refused | Unavailable:
        if answer.status == 401 and self._login is None:
            why = f"asks for a name and a password: {self._target.scheme}://USER@HOST/... "
            return Refused(f"{self._target.shown}: {why}#password_file=PATH")
        if 300 <= answer.status < 400:
            where = answer.headers.get("location", "another place")
            return Refused(f"{self._target.shown}: has moved to {where[:200]}: write that")
        why = REASONS.get(answer.status, f"answers with status {answer.status}")
        kind = Unavailable if answer.status in WAIT else Refused
        return kind(f"{self._target.shown}: {why}")
