"""Asks a camera for its picture by HTTP/1.0: nothing is chunked, and cameras know it well."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from runtime.cameras.network_auth import Login
from runtime.cameras.network_backlog import MOST_BYTES, Unit
from runtime.cameras.network_uri import Target
from runtime.cameras.network_wire import Wire
from wire.masking import masked
from wire.troubles import Refused, Unavailable
from wire.version import VERSION

REASONS = {
    401: "does not accept this name and password",
    403: "does not let this user see it",
    404: "has no picture at that path: see the camera's own pages for it",
}
WAIT = (408, 429, 500, 502, 503, 504)  # may be over in a while
BIT = 1 << 14
WHOLE_S = 15.0  # the longest that one picture may take


@dataclass(frozen=True)
class Response:
    """headers: names in small letters. arrived_ns: when they came. stays: the connection does."""

    status: int
    headers: Mapping[str, str]
    challenges: tuple[str, ...]
    arrived_ns: int
    stays: bool

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")

    @property
    def kind(self) -> str:
        """The content's type without its parameters."""
        return self.content_type.partition(";")[0].strip().lower()


class Talk:
    """Requests over a wire, which is connected anew where the camera closes it after each."""

    def __init__(self, wire: Wire, target: Target) -> None:
        self._wire = wire
        self._target = target
        self._login: Login | None = None
        self._is_connected = False

    def begin(self) -> None:
        """Connect, with the name and password as they are now. Raises Refused, Unavailable."""
        login = self._target.login()
        self._login = None if login is None else Login(*login)
        self._connect()

    def _connect(self) -> None:
        self._wire.close()
        self._wire.connect(self._target.host, self._target.port, self._target.tls())
        self._is_connected = True

    def get(self) -> Response:
        """The answer's headers; its body waits on the wire. Raises Refused, Unavailable."""
        response = self._request()
        if response.status == 401 and self._login is not None:
            before = self._login.answer("GET", self._target.path)
            is_new = before is None or "stale=true" in "".join(response.challenges).lower()
            if self._login.learn(response.challenges) and is_new:
                self._is_connected = False  # the page that comes with a 401 is not read
                response = self._request()
        if response.status != 200:
            raise self._trouble(response)
        if "chunked" in response.headers.get("transfer-encoding", "").lower():
            raise Refused(f"{self._target.shown}: answers HTTP/1.0 in chunks, which is not its way")
        return response

    def read_body(self, response: Response, unit: Unit) -> None:
        """All of it, to the end of the unit."""
        self._wire.allow(WHOLE_S)
        length = response.headers.get("content-length")
        if length is None:
            self._read_to_end(unit)
        else:
            there = unit.room(size_of(length))
            if there is None:
                raise Unavailable(f"{self._target.shown}: {impossible(length)}")
            self._wire.read_into(there)
        self._is_connected = response.stays and length is not None

    def _read_to_end(self, unit: Unit) -> None:
        while count := self._wire.more():
            count = min(count, BIT)
            there = unit.room(count)
            if there is None:
                raise Unavailable(f"{self._target.shown}: sends a picture without end")
            self._wire.read_into(there)

    def _request(self) -> Response:
        if not self._is_connected:
            self._connect()
        path = self._target.path
        lines = [
            f"GET {path} HTTP/1.0",
            f"Host: {self._target.authority}",
            f"User-Agent: vedette/{VERSION}",
            "Accept: multipart/x-mixed-replace, image/jpeg, */*;q=0.1",
            "Connection: keep-alive",
        ]
        who = None if self._login is None else self._login.answer("GET", path)
        if who is not None:
            lines.append(f"Authorization: {who}")
        self._wire.allow(self._target.timeout_s)
        self._wire.send("\r\n".join((*lines, "", "")).encode("utf-8", "replace"))
        return self._response()

    def _response(self) -> Response:
        first = self._wire.line().decode("latin-1")
        status = re.fullmatch(r"(?:HTTP/(\d\.\d)|ICY) +(\d{3})\b.*", first)
        if status is None:
            raise Refused(f"{self._target.shown}: does not answer by HTTP: is the port right?")
        found = self._wire.headers()
        headers = dict(reversed(found))
        connection = headers.get("connection", "").lower()
        stays = "close" not in connection if status[1] == "1.1" else "keep-alive" in connection
        challenges = tuple(value for name, value in found if name == "www-authenticate")
        return Response(int(status[2]), headers, challenges, time.monotonic_ns(), stays)

    def _trouble(self, response: Response) -> Refused | Unavailable:
        if response.status == 401 and self._login is None:
            why = f"asks for a name and a password: {self._target.scheme}://USER@HOST/... "
            return Refused(f"{self._target.shown}: {why}#password_file=PATH")
        if 300 <= response.status < 400:
            where = masked(response.headers.get("location", "another place"))
            return Refused(f"{self._target.shown}: has moved to {where[:200]}: write that")
        is_passing = response.status in WAIT
        what = "restart it if that stays" if is_passing else "see its own pages for the address"
        why = REASONS.get(response.status, f"answers with status {response.status}: {what}")
        kind = Unavailable if is_passing else Refused
        return kind(f"{self._target.shown}: {why}")


def size_of(length: str) -> int:
    """A Content-Length; more than can be if it is no number."""
    return int(length) if re.fullmatch(r"\d{1,9}", length) else MOST_BYTES + 1


def impossible(length: str) -> str:
    """What to say of a Content-Length that no picture has."""
    return (
        f"announces a picture of {length[:20]} bytes, 0 to {MOST_BYTES} are possible: see its own "
        "pages for another address"
    )
