"""Which topics are subscribed, while several ask for the same and leave at different times."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from wire.link import Unsubscribe


class Subscribing(Protocol):
    """A connection."""

    def subscribe(self, pattern: str) -> None: ...

    def unsubscribe(self, pattern: str) -> None: ...


class Subscriptions:
    """Counts who wants which pattern. Any thread."""

    def __init__(
        self,
        patterns: list[str],
        lock: threading.RLock,
        broker: Callable[[], Subscribing | None],
    ) -> None:
        """patterns: kept up to date, each once. lock: over `patterns`, and held while the broker
        is told of the first who wants a pattern, and of the last who leaves it."""
        self._patterns = patterns
        self._lock = lock
        self._broker = broker
        self._wanted: Counter[str] = Counter()

    def add(self, pattern: str) -> Unsubscribe:
        with self._lock:
            self._wanted[pattern] += 1
            if self._wanted[pattern] == 1:
                self._patterns.append(pattern)
                if broker := self._broker():
                    broker.subscribe(pattern)
        left: list[bool] = []

        def leave() -> None:
            with self._lock:
                if not left:
                    left.append(True)
                    self._drop(pattern)

        return leave

    def _drop(self, pattern: str) -> None:
        self._wanted[pattern] -= 1
        if not self._wanted[pattern]:
            del self._wanted[pattern]
            self._patterns.remove(pattern)
            if broker := self._broker():
                broker.unsubscribe(pattern)
