"""When a camera that is gone is tried again: not at once, and ever more rarely where that is so."""

from __future__ import annotations

import time

FIRST_S = 0.5


class Retry:
    """Waits between two attempts. last_s: the longest pause; each attempt in vain doubles it until
    then, from FIRST_S."""

    def __init__(self, last_s: float = FIRST_S) -> None:
        self._last_s = last_s
        self._pause_s = FIRST_S
        self._due_s = 0.0  # monotonic

    def postpone(self) -> None:
        """It was lost, or an attempt was in vain."""
        self._due_s = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, self._last_s)

    def reset(self) -> None:
        """It is well: the next pause is a short one."""
        self._pause_s = FIRST_S

    def wait(self, deadline: float) -> bool:
        """Whether it is time for an attempt; if not, waits for it, until `deadline` at most
        (seconds, monotonic)."""
        now = time.monotonic()
        if self._due_s > now:
            time.sleep(max(0.0, min(self._due_s, deadline) - now))
        return self._due_s <= max(now, deadline)
