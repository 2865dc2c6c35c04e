"""How much is on its way to the broker, so that a broker that stalls cannot fill our memory."""

from __future__ import annotations

import threading


class Waiting:
    """Bytes that were published and not yet taken. Any thread.

    Between `admit` and `name` the broker may already have taken the message: `taken` comes first.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._sizes: dict[int, int] = {}
        self._early: set[int] = set()
        self._lock = threading.Lock()

    def admit(self, size: int) -> bool:
        """Take in a message of `size` bytes, unless there is no room. One alone always fits."""
        with self._lock:
            if self._bytes and self._bytes + size > self._most_bytes:
                return False
            self._bytes += size
            return True

    def name(self, number: int, size: int) -> None:
        """The message that was admitted got this number."""
        with self._lock:
            if number in self._early:
                self._early.discard(number)
                self._bytes -= size
            else:
                self._sizes[number] = size

    def drop(self, size: int) -> None:
        """The message that was admitted was not sent."""
        with self._lock:
            self._bytes -= size

    def taken(self, number: int) -> None:
        """The broker, or for QoS 0 the socket, took the message."""
        with self._lock:
            size = self._sizes.pop(number, None)
            if size is None:
                self._early.add(number)
            else:
                self._bytes -= size

    def largest(self) -> int:
        """Bytes of the largest message that waits, 0 if none does."""
        with self._lock:
            return max(self._sizes.values(), default=0)
