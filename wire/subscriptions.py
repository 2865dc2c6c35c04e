"""Which topics are subscribed, while several ask for the same and leave at different times."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from wire.link import Unsubscribe


class Subscriptions:
    """Counts who wants which pattern. Any thread."""

    def __init__(
        self,
        patterns: list[str],
        lock: threading.RLock,
        begin: Callable[[str], object],
        end: Callable[[str], object],
    ) -> None:
        """patterns: kept up to date, each once. lock: over `patterns`, and held while `begin` is
        called for the first who wants a pattern, and `end` for the last who leaves it."""
        self._patterns = patterns
        self._lock = lock
        self._begin = begin
        self._end = end
        self._wanted: Counter[str] = Counter()

    def add(self, pattern: str) -> Unsubscribe:
        with self._lock:
            self._wanted[pattern] += 1
            if self._wanted[pattern] == 1:
                self._patterns.append(pattern)
                self._begin(pattern)
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
            self._end(pattern)
