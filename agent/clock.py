"""The agent's two clocks: one that only goes forward, and one that people set."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Every length of time is measured on `uptime_s`; `wall_s` may jump by years at any moment."""

    def uptime_s(self) -> float:
        """Seconds since the device booted, sleep included."""

    def wall_s(self) -> float:
        """Unix time in seconds, as right as the system clock is."""


class SystemClock:
    """CLOCK_BOOTTIME and CLOCK_REALTIME."""

    def uptime_s(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def wall_s(self) -> float:
        return time.time()
