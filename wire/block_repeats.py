"""How often one block may be published: who asks in between is served together with the others."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable

MOST_REMEMBERED = 16384  # blocks


class Repeats:
    """gap_s: between two times at least. burst, every_s: so often at once, then once in every_s."""

    def __init__(
        self, gap_s: float, burst: int, every_s: float, clock: Callable[[], float]
    ) -> None:
        self._gap_s = gap_s
        self._slack_s = (burst - 1) * every_s
        self._every_s = every_s
        self._clock = clock
        # when it was published last, when its allowance will be whole again, who had asked for
        # it; oldest first
        self._known: OrderedDict[tuple[str, int], tuple[float, float, str]] = OrderedDict()

    def due_s(self, key: str, number: int) -> float:
        """From when on it may be published."""
        known = self._known.get((key, number))
        if known is None:
            return -math.inf
        last_s, whole_s, _ = known
        return max(last_s + self._gap_s, whole_s - self._slack_s)

    def is_on_its_way(self, key: str, number: int, who: str) -> bool:
        """Whether somebody who asks now most likely has it in a moment: it was published just now,
        for another one. Who asks for the same twice has lost it."""
        known = self._known.get((key, number))
        return known is not None and who != known[2] and self._clock() < known[0] + self._gap_s

    def note(self, key: str, number: int, who: str) -> None:
        """It was published now, because of this one."""
        now = self._clock()
        _, whole_s, _ = self._known.pop((key, number), (now, now, who))
        self._known[key, number] = (now, max(whole_s, now) + self._every_s, who)
        if len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)
