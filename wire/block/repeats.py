"""How often one block may be published: who asks in between is served together with the others."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from wire.block.blocks import BLOCK, block_bytes

MOST_REMEMBERED = 16384  # blocks
GROWTH = 3  # doublings of the time that a herd waits
MOST_ASKERS = 65536  # remembered, of all blocks together


@dataclass
class _Published:
    """last_s: when. whole_s: when its allowance will be whole again. whom: who had asked for it, as
    the first; None: a herd. times: for a herd. is_all: it is the only block of its file. askers:
    since then, and whom."""

    last_s: float
    whole_s: float
    whom: str | None
    times: int
    is_all: bool
    askers: set[str] = field(default_factory=set)


class Repeats:
    """gap_s: between two times at least. burst, every_s: so often at once, then once in every_s;
    what is smaller more often. way_s: how long a block may be on its way."""

    def __init__(
        self,
        gap_s: float,
        burst: int,
        every_s: float,
        way_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._gap_s = gap_s
        self._slack_s = (burst - 1) * every_s
        self._every_s = every_s
        self._way_s = way_s
        self._clock = clock
        self._known: OrderedDict[tuple[str, int], _Published] = OrderedDict()  # oldest first
        self._askers = 0

    def due_s(self, key: str, number: int, who: str, late_s: float) -> float:
        """From when on it may be published for this one; -inf: it never was, as far as is known.
        late_s: after the time before at least, for another one than it was for then: so that those
        who missed it get it together; but for what is a file by itself, as metadata. In a herd ever
        longer: who comes late, or is late, may be so for long."""
        known = self._known.get((key, number))
        if known is None:
            return -math.inf
        is_soon = known.is_all or who == known.whom
        gap_s = self._gap_s if is_soon else max(self._gap_s, late_s * 2 ** min(known.times, GROWTH))
        return max(known.last_s + gap_s, known.whole_s - self._slack_s)

    def is_on_its_way(self, key: str, number: int, who: str, since_s: float) -> bool:
        """Whether this one, who asks now and listens since then, most likely has it in a moment: it
        was published meanwhile for another one. Who asks for the same again has lost it."""
        known = self._known.get((key, number))
        if known is None or known.is_all or who in known.askers:
            return False  # what is a file by itself is worth a repetition: nothing else comes of it
        if since_s > known.last_s or self._clock() >= known.last_s + self._way_s:
            return False
        if self._askers < MOST_ASKERS:
            known.askers.add(who)
            self._askers += 1
        return True

    def was_published(self, key: str, number: int, since_s: float) -> bool:
        """Whether it was since then."""
        known = self._known.get((key, number))
        return known is not None and known.last_s >= since_s

    def note(self, key: str, number: int, whom: str | None, size: int | None) -> None:
        """It was published now. whom: for this one, None: for many, of whom each may ask again only
        because it is late. size: of the file; None: there is none."""
        now = self._clock()
        known = self._known.pop((key, number), None)
        askers = set() if whom is None else {whom}
        times = 0 if known is None or whom is not None else known.times + 1
        self._askers += len(askers) - (0 if known is None else len(known.askers))
        whole_s = now if known is None else max(known.whole_s, now)
        whole_s += self._every_s * (0 if size is None else block_bytes(size, number)) / BLOCK
        is_all = size is None or size <= BLOCK
        self._known[key, number] = _Published(now, whole_s, whom, times, is_all, askers)
        if len(self._known) > MOST_REMEMBERED:
            self._askers -= len(self._known.popitem(last=False)[1].askers)
