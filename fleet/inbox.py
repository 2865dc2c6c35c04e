"""What the link delivers, on its way to the thread that reads it: no broker can fill our memory."""

from __future__ import annotations

import threading
import time
from collections import deque

from wire.link import LinkEvent, Received

MOST = 10_000  # events
MOST_BYTES = 32 * 1024 * 1024  # of payloads; one alone always fits
PATIENCE_S = 0.25  # how long who waits does not look whether all is over


class Inbox:
    """`post` is for the link's thread: it waits while there is no room, and the broker with it.
    The rest is for one other thread."""

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._events: deque[LinkEvent] = deque()
        self._bytes = 0
        self._is_over = False
        self._changed = threading.Condition()

    def post(self, event: LinkEvent) -> None:
        """Take it in. After `close` it is dropped, and nobody waits any more."""
        size = _size(event)
        with self._changed:
            while not self._is_over and not self._has_room(size):
                self._changed.wait(PATIENCE_S)
            if not self._is_over:
                self._events.append(event)
                self._bytes += size
                self._changed.notify_all()

    def take(self, timeout_s: float) -> LinkEvent | None:
        """The next one, or None if none comes in time. 0: do not wait."""
        until_s = time.monotonic() + timeout_s
        with self._changed:
            while not self._events:
                left_s = until_s - time.monotonic()
                if left_s <= 0:
                    return None
                self._changed.wait(left_s)
            event = self._events.popleft()
            self._bytes -= _size(event)
            self._changed.notify_all()
            return event

    def close(self) -> None:
        """Nothing more is taken in."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def _has_room(self, size: int) -> bool:
        if not self._events:
            return True
        return len(self._events) < self._most and self._bytes + size <= self._most_bytes


def _size(event: LinkEvent) -> int:
    return len(event.payload) if isinstance(event, Received) else 0
