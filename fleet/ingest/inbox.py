"""What the link delivers, on its way to the registry: gathered into batches, and bounded."""

from __future__ import annotations

import threading
from collections import deque

from wire.link import LinkEvent, Received

MOST = 20_000  # events
MOST_BYTES = 64 * 1024 * 1024  # of payloads; one alone always fits
PATIENCE_S = 1.0  # that the link waits for room; then what comes is dropped, and comes again


class IngestInbox:
    """`post` is for the link's thread, the rest for one other."""

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self.dropped = 0
        self._most = most
        self._most_bytes = most_bytes
        self._events: deque[LinkEvent] = deque()
        self._bytes = 0
        self._is_over = False
        self._is_rung = False
        self._is_stuck = False
        self._wakes_at = 1  # so many events end a wait: who gathers is not woken for each
        self._changed = threading.Condition()

    def post(self, event: LinkEvent) -> None:
        """Take it in. While there is no room: wait a little, then drop what is only a message."""
        size = _size(event)
        with self._changed:
            if isinstance(event, Received) and not self._waits_for_room(size):
                self.dropped += 1
                return
            self._events.append(event)
            self._bytes += size
            if len(self._events) >= self._wakes_at:
                self._changed.notify_all()

    def take(self, most: int, gather_s: float, timeout_s: float) -> list[LinkEvent]:
        """What came, at most so much. Waits for the first, and then a while for more."""
        with self._changed:
            self._wait_for(1, timeout_s)
            if self._events:
                self._wait_for(most, gather_s)
            self._is_rung = False
            taken = [self._events.popleft() for _ in range(min(most, len(self._events)))]
            self._bytes -= sum(map(_size, taken))
            self._changed.notify_all()
            return taken

    def wake(self) -> None:
        """Let `take` return at once. Any thread."""
        with self._changed:
            self._is_rung = True
            self._changed.notify_all()

    def nobody_takes(self, is_stuck: bool) -> None:
        """For a while nothing is taken: who posts need not wait for room."""
        with self._changed:
            self._is_stuck = is_stuck
            self._changed.notify_all()

    def close(self) -> None:
        """Nobody waits any more."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def _wait_for(self, count: int, timeout_s: float) -> None:
        self._wakes_at = min(count, self._most)
        self._changed.wait_for(
            lambda: len(self._events) >= self._wakes_at or self._is_rung, timeout_s
        )

    def _waits_for_room(self, size: int) -> bool:
        def has_room() -> bool:
            if not self._events:
                return True
            return len(self._events) < self._most and self._bytes + size <= self._most_bytes

        def is_settled() -> bool:
            return has_room() or self._is_stuck or self._is_over

        self._changed.wait_for(is_settled, PATIENCE_S)
        return has_room() and not self._is_over


def _size(event: LinkEvent) -> int:
    return len(event.payload) if isinstance(event, Received) else 0
