"""A TCP connection to a camera: reads end at a deadline, and soon after somebody wants to stop."""

from __future__ import annotations

import socket
import ssl
import threading
import time

from wire.troubles import Refused, Unavailable

LOOK_S = 0.2  # how long a read waits before it looks whether it should stop
BUFFER = 1 << 18
LONGEST_LINE = 8192
MOST_LINES = 100
RECEIVE_BYTES = 1 << 18  # what the kernel keeps for us: more would only be older


class Leaving(Exception):
    """Somebody wants to stop."""


class _Closed(Unavailable):
    """The other side has sent all that it will."""


class Wire:
    """Bytes from a camera and to it. Used by one thread; `leave` is set by another.

    Everything that waits raises Unavailable after too long a silence, when what is allowed for has
    not all come by then, or when the connection ends, and Leaving within a fraction of a second
    when `leave` is set.
    """

    def __init__(self, where: str, leave: threading.Event, timeout_s: float) -> None:
        """where: how the camera is called in messages. timeout_s: the longest silence."""
        self.where = where
        self.timeout_s = timeout_s
        self._leave = leave
        self._socket: socket.socket | None = None
        self._buffer = memoryview(bytearray(BUFFER))
        self._from = self._to = 0
        self._end_s = self._allowed_s = 0.0

    def connect(self, host: str, port: int, authority: ssl.SSLContext | None) -> None:
        """authority: who vouches for the camera (TLS), or None for a plain connection."""
        self._from = self._to = 0
        try:
            plain = socket.create_connection((host, port), self.timeout_s)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
            self._socket = plain  # so that close() finds it whatever happens
            if authority is not None:
                self._socket = authority.wrap_socket(plain, server_hostname=host)
        except ssl.SSLCertVerificationError as error:
            self.close()
            raise Refused(
                f"{self.where}: its certificate is not trusted ({error.verify_message}): "
                "name the file of who vouches for it, #ca_file=PATH"
            ) from None
        except OSError as error:
            self.close()
            raise Unavailable(f"{self.where}: {_why(error, self.timeout_s)}") from None
        self._socket.settimeout(LOOK_S)
        self.allow(self.timeout_s)

    def allow(self, seconds: float) -> None:
        """For all that is read from now on, however steadily it trickles in."""
        self._allowed_s = seconds
        self._end_s = time.monotonic() + seconds

    def close(self) -> None:
        """May be called twice."""
        gone, self._socket = self._socket, None
        if gone is not None:
            gone.close()

    def send(self, content: bytes) -> None:
        """Send all of it."""
        try:
            self._live().settimeout(self.timeout_s)
            self._live().sendall(content)
            self._live().settimeout(LOOK_S)
        except OSError as error:
            raise Unavailable(f"{self.where}: {_why(error, self.timeout_s)}") from None

    def peek(self, count: int) -> memoryview:
        """The next `count` bytes (at most BUFFER), which stay: valid until the next call."""
        if self._from + count > BUFFER:
            left = bytes(self._buffer[self._from : self._to])
            self._buffer[: len(left)] = left
            self._from, self._to = 0, len(left)
        while self._to - self._from < count:
            self._to += self._receive(self._buffer[self._to :])
        return self._buffer[self._from : self._from + count]

    def skip(self, count: int) -> None:
        """Bytes that were peeked at are done with."""
        self._from += count
        if self._from == self._to:
            self._from = self._to = 0

    def waiting(self) -> int:
        """How many bytes can be peeked at without a wait."""
        return self._to - self._from

    def read_into(self, memory: memoryview) -> None:
        """Fill `memory`."""
        at = min(len(memory), self.waiting())
        memory[:at] = self._buffer[self._from : self._from + at]
        self.skip(at)
        while at < len(memory):
            at += self._receive(memory[at:])

    def more(self) -> int:
        """How many bytes can be read without a wait; 0 when the other side has sent all."""
        if not self.waiting():
            self._from = self._to = 0
            try:
                self._to = self._receive(self._buffer)
            except _Closed:
                return 0
        return self.waiting()

    def line(self) -> bytes:
        """A line without its end. Raises Unavailable for one that never ends."""
        count = 1
        while True:
            view = self.peek(count)
            found = bytes(view).find(b"\n")
            if found >= 0:
                line = bytes(view[:found])
                self.skip(found + 1)
                return line.rstrip(b"\r")
            count = max(count + 1, min(self.waiting(), LONGEST_LINE))
            if len(view) >= LONGEST_LINE:
                raise Unavailable(f"{self.where}: sends what is no text: is it the right port?")

    def headers(self) -> list[tuple[str, str]]:
        """Header lines up to the empty one: (name in small letters, value)."""
        found: list[tuple[str, str]] = []
        for _ in range(MOST_LINES):
            line = self.line().decode("latin-1")
            if not line:
                return found
            name, _, value = line.partition(":")
            found.append((name.strip().lower(), value.strip()))
        raise Unavailable(f"{self.where}: sends headers without end")

    def _receive(self, into: memoryview) -> int:
        silent_s = time.monotonic() + self.timeout_s
        while not self._leave.is_set():
            try:
                got = self._live().recv_into(into)
            except TimeoutError:
                if time.monotonic() < silent_s:
                    continue
                told = f"has been silent for {self.timeout_s:g} s"
                raise Unavailable(f"{self.where}: {told}") from None
            except OSError as error:
                raise Unavailable(f"{self.where}: {_why(error, self.timeout_s)}") from None
            if got == 0:
                raise _Closed(f"{self.where}: has closed the connection")
            if time.monotonic() > self._end_s:
                told = f"sends too slowly: not all has come after {self._allowed_s:g} s"
                raise Unavailable(f"{self.where}: {told}: is the network overloaded?")
            return got
        raise Leaving

    def _live(self) -> socket.socket:
        if self._socket is None:
            raise Unavailable(f"{self.where}: is not connected")
        return self._socket


def _why(error: OSError, timeout_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"does not answer within {timeout_s:g} s"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there: is it on, and is the port right?"
    if isinstance(error, socket.gaierror):
        return f"its name is not known here ({error.strerror})"
    if isinstance(error, ssl.SSLError):
        return f"cannot be spoken to by TLS ({error.reason}): is it the right port?"
    return f"cannot be reached: {error.strerror or error}"
