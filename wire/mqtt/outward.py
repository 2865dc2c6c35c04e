"""Messages of QoS 0 on their way into the socket: between paho's packets, never within one.

Who began a packet goes on until it is whole; else paho's packets go first: a request must not
overtake the subscription that its answer needs.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

Buffer = bytes | bytearray | memoryview
Write = Callable[[Sequence[Buffer]], int]  # bytes taken; BlockingIOError: none now


class Outward:
    """Any thread. Open between `open` and `close` only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._packets: deque[memoryview] = deque()  # what is left of them
        self._waiting_bytes = 0
        self._is_open = False
        self._is_ours = False  # the first of these has begun
        self._is_torn = False  # a packet of paho's has begun
        self._is_theirs = False  # or may begin now
        self._theirs_wait: Callable[[], bool] = lambda: False

    @property
    def waiting_bytes(self) -> int:
        return self._waiting_bytes

    @property
    def is_open(self) -> bool:
        return self._is_open

    def largest(self) -> int:
        """Bytes left of the largest message that waits, 0 if none does."""
        with self._lock:
            return max(map(len, self._packets), default=0)

    def open(self, theirs_wait: Callable[[], bool]) -> None:
        """theirs_wait: whether packets of paho's wait."""
        with self._lock:
            self._theirs_wait = theirs_wait
            self._is_open = True

    def close(self) -> None:
        """Nothing is written any more when this returned."""
        with self._lock:
            self._is_open = False

    def put(self, head: bytes, payload: bytes, write: Write | None) -> bool:
        """Take a packet. write: tries it at once. Returns whether all of it is written."""
        with self._lock:
            done = 0
            if write and not self._packets and self._may_begin():
                done = _written(write, (head, payload))
            size = len(head) + len(payload)
            if done < size:
                rest = memoryview(head + payload)[done:]
                self._packets.append(rest)
                self._waiting_bytes += len(rest)
                self._is_ours = self._is_ours or done > 0
            return done == size

    def go_on(self, write: Write, most: int) -> None:
        """Write of at most so many packets what is taken."""
        with self._lock:
            if not self._may_begin():
                most = 1 if self._is_open and self._is_ours else 0
            batch = list(islice(self._packets, most))
            if not batch:
                return
            self._is_ours = True  # TLS, when it could not write, wants the same bytes again
            done = _written(write, batch)
            self._waiting_bytes -= done
            while self._packets and done >= len(self._packets[0]):
                done -= len(self._packets.popleft())
                self._is_ours = False
            if done:
                self._packets[0] = self._packets[0][done:]
                self._is_ours = True

    @property
    def has_begun(self) -> bool:
        """Whether the first that waits is written in part."""
        return self._is_ours

    def let(self, write: Callable[[], object]) -> None:
        """Let paho write what it has, by `theirs`. On the thread that calls `go_on`."""
        with self._lock:
            self._is_theirs = not self._is_ours
        write()
        with self._lock:
            self._is_theirs = self._is_torn

    def theirs(self, packet: bytes | bytearray, write: Callable[[], int]) -> int:
        """Write some of what is left of a packet of paho's. Raises BlockingIOError, OSError."""
        with self._lock:
            if self._is_ours:
                raise BlockingIOError
            self._is_torn = True
            done = write()
            self._is_torn = done < len(packet)
            return done

    def _may_begin(self) -> bool:
        return self._is_open and not self._is_theirs and not self._theirs_wait()


def _written(write: Write, pieces: Sequence[Buffer]) -> int:
    """An error is found by who reads: there it ends the connection."""
    try:
        return write(pieces)
    except OSError:
        return 0
