"""A gate on the way to a broker: it passes bytes on, and can be told to cut, stall or lose them."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
from contextlib import suppress
from types import TracebackType

HOST = "127.0.0.1"
CHUNK = 65536


class TcpGate:
    """Listens on `port` and passes everything on to a port of loopback, until told otherwise."""

    def __init__(self, target_port: int, window_bytes: int | None = None) -> None:
        """window_bytes: what the kernel takes in while the gate takes nothing; None: its choice."""
        self._target_port = target_port
        self._listening = socket.create_server((HOST, 0))
        if window_bytes is not None:  # connections inherit it
            self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window_bytes)
        self.port = int(self._listening.getsockname()[1])
        self._lock = threading.RLock()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._inner: set[socket.socket] = set()  # those to the broker
        self._is_passing = True
        self._cut_after: int | None = None
        self.connections = 0
        self.upward_bytes = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gate")

    def __enter__(self) -> TcpGate:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._thread.join()
        self.cut()
        self._selector.close()
        self._listening.close()

    def cut(self) -> None:
        """Reset every connection, on both sides. New ones are passed on."""
        with self._lock:
            for one in list(self._pairs):
                self._end(one, reset=True)

    def cut_after(self, upward_bytes: int) -> None:
        """Reset everything once so many more bytes went to the broker."""
        with self._lock:
            self._cut_after = upward_bytes

    def stall(self) -> None:
        """Pass nothing on, and take nothing: both sides see a full or silent connection."""
        with self._lock:
            self._is_passing = False

    def flow(self) -> None:
        """Pass on again, also what waited."""
        with self._lock:
            self._is_passing = True

    def _run(self) -> None:
        while not self._closing.is_set():
            if not self._is_passing:
                self._closing.wait(0.02)
                continue
            for key, _ in self._selector.select(0.05):
                with self._lock:
                    if self._is_passing and isinstance(key.fileobj, socket.socket):
                        self._serve(key.fileobj)

    def _serve(self, one: socket.socket) -> None:
        if one is self._listening:
            self._accept()
        elif one in self._pairs:
            self._pass_on(one, self._pairs[one])

    def _accept(self) -> None:
        outer, _ = self._listening.accept()
        self.connections += 1
        try:
            inner = socket.create_connection((HOST, self._target_port), 5)
        except OSError:
            outer.close()
            return
        for one, other in ((outer, inner), (inner, outer)):
            one.settimeout(5)
            self._pairs[one] = other
            self._selector.register(one, selectors.EVENT_READ)
        self._inner.add(inner)

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        upward = one not in self._inner
        wanted = CHUNK
        if upward and self._cut_after is not None:
            wanted = max(1, min(CHUNK, self._cut_after))
        try:
            got = one.recv(wanted)
            other.sendall(got)
        except OSError:
            self._end(one, reset=True)
            return
        if not got:
            self._end(one, reset=False)
        elif upward:
            self.upward_bytes += len(got)
            if self._cut_after is not None:
                self._cut_after -= len(got)
                if self._cut_after <= 0:
                    self._cut_after = None
                    self.cut()

    def _end(self, one: socket.socket, *, reset: bool) -> None:
        other = self._pairs.pop(one, None)
        for each in (one, other):
            if each is None:
                continue
            self._pairs.pop(each, None)
            self._inner.discard(each)
            with suppress(KeyError, ValueError):
                self._selector.unregister(each)
            if reset:
                with suppress(OSError):
                    linger = struct.pack("ii", 1, 0)
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            each.close()
