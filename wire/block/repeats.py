"""How often one block may be published: who asks in between is served together with the others."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

MOST_REMEMBERED = 16384  # blocks
MOST_ASKERS = 16  # remembered of each


@dataclass
class _Published:
    """last_s: when. whole_s: when its allowance will be whole again. askers: since then."""

    last_s: float
    whole_s: float
    askers: set[str] = field(default_factory=set)


class Repeats:
    """gap_s: between two times at least. burst, every_s: so often at once, then once in every_s.
    way_s: how long a block may be on its way."""

    def __init__(
        self, gap_s: float, burst: int, every_s: float, way_s: float, clock: Callable[[], float]
    ) -> None:
        self._gap_s = gap_s
        self._slack_s = (burst - 1) * every_s
        self._every_s = every_s
        self._way_s = way_s
        self._clock = clock
        self._known: OrderedDict[tuple[str, int], _Published] = OrderedDict()  # oldest first

    def due_s(self, key: str, number: int) -> float:
        """From when on it may be published."""
        known = self._known.get((key, number))
        if known is None:
            return -math.inf
        return max(known.last_s + self._gap_s, known.whole_s - self._slack_s)

    def is_on_its_way(self, key: str, number: int, who: str) -> bool:
        """Whether this one, who asks now, most likely has it in a moment: it was published just
        now for another one. Who asks for the same again has lost it."""
        known = self._known.get((key, number))
        if known is None or who in known.askers or self._clock() >= known.last_s + self._way_s:
            return False
        if len(known.askers) < MOST_ASKERS:
            known.askers.add(who)
        return True

    def note(self, key: str, number: int, who: str) -> None:
        """It was published now, because of this one."""
        now = self._clock()
        known = self._known.pop((key, number), None)
        whole_s = now if known is None else max(known.whole_s, now)
        self._known[key, number] = _Published(now, whole_s + self._every_s, {who})
        if len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)
