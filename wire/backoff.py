"""How long to wait before the next attempt: doubling, with full jitter, so that a fleet that lost
its broker at one moment does not come back at one moment."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Waits between attempts: by chance between 0 and a limit that doubles from attempt to attempt.

    first_s, most_s: the first limit and the last one. steady_s: a connection that lasted so long
    was a good one, the limit starts anew. chance: a number in [0, 1).
    """

    def __init__(
        self,
        first_s: float = 1.0,
        most_s: float = 60.0,
        steady_s: float = 10.0,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._steady_s = steady_s
        self._chance = chance
        self._limit_s = first_s

    def next_s(self, lasted_s: float = 0.0) -> float:
        """Seconds to wait now. lasted_s: how long the connection lasted that just ended, if any."""
        if lasted_s >= self._steady_s:
            self._limit_s = self._first_s
        wait_s = self._limit_s * self._chance()
        self._limit_s = min(self._limit_s * 2, self._most_s)
        return wait_s
