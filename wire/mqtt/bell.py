"""Waits for a socket and for somebody who rings; and the thread of a link that waits so."""

from __future__ import annotations

import select
import socket
import threading

from wire.turns import Turns, Wait, drive

GONE = select.POLLERR | select.POLLHUP | select.POLLNVAL


class Bell:
    """Ends a wait from another thread (wire.turns.Waiter). Opened by the first wait."""

    def __init__(self) -> None:
        self._listening: socket.socket | None = None
        self._ringing: socket.socket | None = None
        self._is_rung = False
        self._lock = threading.Lock()

    def ring(self) -> None:
        """Any thread, at any time."""
        with self._lock:
            if self._ringing is not None and not self._is_rung:
                self._ringing.send(b"\0")
            self._is_rung = True

    def wait(self, wait: Wait) -> int:
        listening = self._listening or self._open()
        poll = select.poll()
        poll.register(listening.fileno(), select.POLLIN)
        if wait.fileno is not None:
            poll.register(wait.fileno, wait.events)
        found = dict(poll.poll(int(wait.timeout_s * 1000)))
        if listening.fileno() in found:
            with self._lock:  # who rings after this rings again
                listening.recv(4096)
                self._is_rung = False
        return 0 if wait.fileno is None else found.get(wait.fileno, 0)

    def close(self) -> None:
        with self._lock:
            for one in (self._listening, self._ringing):
                if one is not None:
                    one.close()
            self._listening = self._ringing = None

    def _open(self) -> socket.socket:
        with self._lock:
            self._listening, self._ringing = socket.socketpair()
            self._ringing.setblocking(False)
            if self._is_rung:
                self._ringing.send(b"\0")
            return self._listening


class OwnThread:
    """Drives a link's turns, and nothing else (wire.turns.Driver)."""

    def __init__(self) -> None:
        self._bell = Bell()
        self._thread: threading.Thread | None = None

    def start(self, turns: Turns[object]) -> None:
        def run() -> None:
            try:
                drive(turns, self._bell)
            finally:
                self._bell.close()

        # daemon: looking up a name may hang, and must not hold up the end of the process
        self._thread = threading.Thread(target=run, name="mqtt", daemon=True)
        self._thread.start()

    def ring(self) -> None:
        self._bell.ring()

    def join(self, timeout_s: float) -> None:
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
