"""Who listens to a file since when: what was published since then came, or comes, or is lost."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable

SILENT_S = 120.0  # without a word, and who asks again may not have listened meanwhile


class Listening:
    """most: pairs of a file and an asker that are remembered."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most = most
        self._clock = clock
        self._known: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def asked(self, key: str, who: str) -> None:
        """Somebody asks for some block of a file: it listened before it said so."""
        now_s = self._clock()
        since_s, last_s = self._known.pop((key, who), (now_s, now_s))
        if now_s - last_s > SILENT_S:
            since_s = now_s
        self._known[key, who] = since_s, now_s
        if len(self._known) > self._most:
            self._known.popitem(last=False)

    def since_s(self, key: str, who: str) -> float:
        """math.inf: it is not known that it listens."""
        return self._known.get((key, who), (math.inf, 0.0))[0]
