"""How many bytes may still be fetched today: kept over restarts. A day is one of UTC."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from agent.kept_file import Damage, keep, read_kept
from wire.messages import Natural
from wire.troubles import Unavailable

DAY_S = 86400.0
KEEP_BYTES = 4 << 20  # fetched between two writings: so many may be forgotten by a power cut
MIB = 1 << 20


class Spent(Struct, frozen=True):
    """day: since 1970, by this device's clock. fetched: bytes on it."""

    day: Natural
    fetched: Natural


class DayBudget:
    """For one thread. most_mib: None: no limit, and nothing is kept."""

    def __init__(self, path: Path, most_mib: int | None, wall_s: Callable[[], float]) -> None:
        self._path = path
        self._most = None if most_mib is None else most_mib * MIB
        self._wall_s = wall_s
        kept = None if most_mib is None else read_kept(path, Spent)
        self._spent = Spent(self._today(), 0) if kept is None or isinstance(kept, Damage) else kept
        self._written = self._spent

    def spend(self, size: int) -> None:
        """So many bytes came."""
        today = self._today()
        before = self._spent.fetched if self._spent.day == today else 0
        self._spent = Spent(today, before + size)
        grown = self._spent.fetched - self._written.fetched
        if self._spent.day != self._written.day or grown >= KEEP_BYTES:
            self.keep()

    def keep(self) -> None:
        """Write it down."""
        if self._most is None or self._spent == self._written:
            return
        with contextlib.suppress(Unavailable):  # a full disk is somebody else's to report
            keep(self._path, self._spent)
            self._written = self._spent

    def left_bytes(self) -> float:
        """That may still be fetched today."""
        if self._most is None:
            return math.inf
        spent = self._spent.fetched if self._spent.day == self._today() else 0
        return max(0, self._most - spent)

    def why_not(self) -> str | None:
        """Why nothing more may be fetched today, or None."""
        if self._most is None or self._spent.day != self._today():
            return None
        if self._spent.fetched < self._most:
            return None
        return f"the {self._most // MIB} MiB of today are used up: it goes on tomorrow (UTC)"

    def _today(self) -> int:
        return max(0, int(self._wall_s() // DAY_S))
