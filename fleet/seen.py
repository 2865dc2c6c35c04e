"""Which record numbers of one spool have arrived: a few stretches, however many records."""

from __future__ import annotations

from bisect import bisect_right

MOST_STRETCHES = 32  # live records and a backlog make two; each loss of connection one more


class Seen:
    """A set of natural numbers that arrive nearly in order, in little memory."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def add(self, number: int) -> bool:
        """Whether this number is here for the first time."""
        place = bisect_right(self._firsts, number)  # of the first stretch that begins later
        if place and number <= self._lasts[place - 1]:
            return False
        joins_before = place > 0 and self._lasts[place - 1] == number - 1
        joins_after = place < len(self._firsts) and self._firsts[place] == number + 1
        if joins_before and joins_after:
            self._lasts[place - 1] = self._lasts.pop(place)
            del self._firsts[place]
        elif joins_before:
            self._lasts[place - 1] = number
        elif joins_after:
            self._firsts[place] = number
        else:
            self._firsts.insert(place, number)
            self._lasts.insert(place, number)
            self._forget_gap()
        return True

    def _forget_gap(self) -> None:
        """Too many gaps: the lowest one is taken as filled, and what is late there as seen."""
        if len(self._firsts) > MOST_STRETCHES:
            del self._firsts[1]
            del self._lasts[0]
