"""How fast the backlog goes, and how long we wait for an answer before it goes again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

RECORDS_PER_S = 20  # of the backlog
RETRY_S, MOST_RETRY_S = 30.0, 600.0  # without progress, what was sent is sent again


class Pace:
    """Never more than RECORDS_PER_S in any second."""

    def __init__(self) -> None:
        self._spent_s: deque[float] = deque(maxlen=RECORDS_PER_S)

    def left(self, now_s: float) -> int:
        while self._spent_s and now_s - self._spent_s[0] >= 1.0:
            self._spent_s.popleft()
        return RECORDS_PER_S - len(self._spent_s)

    def spend(self, now_s: float) -> None:
        self._spent_s.append(now_s)


class Patience:
    """How long to wait for an answer: 30 s, doubling to 10 min, with some chance in it."""

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._wait_s = RETRY_S
        self._over_s: float | None = None

    def begin(self, now_s: float) -> None:
        """Something was sent: wait from now on, if we do not wait yet."""
        if self._over_s is None:
            self._over_s = now_s + self._some(self._wait_s)

    def rest(self) -> None:
        """Wait for nothing."""
        self._over_s = None

    def renew(self) -> None:
        """There was an answer."""
        self._wait_s = RETRY_S
        self._over_s = None

    def shorten(self, now_s: float) -> None:
        """Somebody is there: wait no longer than the first time."""
        if self._over_s is not None:
            self._over_s = min(self._over_s, now_s + self._some(RETRY_S))

    def double(self) -> None:
        self._wait_s = min(self._wait_s * 2, MOST_RETRY_S)

    def is_over(self, now_s: float) -> bool:
        return self._over_s is not None and now_s >= self._over_s

    def _some(self, wait_s: float) -> float:
        return wait_s * (1.0 + 0.25 * self._chance())
