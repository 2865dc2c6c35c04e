"""A token bucket: so much at once, so much in every second."""

from __future__ import annotations

import math
from collections.abc import Callable

LEAST_WAIT_S = 0.001  # what lacks may be less than a clock can see: nobody turns in circles for it


class Bucket:
    """per_s: what flows in; math.inf for no limit. most: how much is in it when it is full."""

    def __init__(self, per_s: float, most: float, clock: Callable[[], float]) -> None:
        self._per_s = per_s
        self._most = most
        self._clock = clock
        self._level = most
        self._filled_s = clock()

    @property
    def level(self) -> float:
        if math.isinf(self._per_s):
            return math.inf
        now = self._clock()
        self._level = min(self._most, self._level + (now - self._filled_s) * self._per_s)
        self._filled_s = now
        return self._level

    @property
    def is_full(self) -> bool:
        return self.level >= self._most

    def take(self, amount: float) -> bool:
        """Whether it was there."""
        if self.level < amount:
            return False
        self._level -= amount
        return True

    def spend(self, amount: float) -> None:
        """Take it, there or not: what lacks flows in first."""
        self._level = min(self._most, self.level) - amount

    def wait_s(self, amount: float) -> float:
        """Until so much is in it."""
        lacking = amount - self.level
        return max(LEAST_WAIT_S, lacking / self._per_s) if lacking > 0 else 0.0
