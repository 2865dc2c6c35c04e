"""How many blocks may be asked for at a time, and how long an answer may take.

Additive increase, multiplicative decrease, as TCP does it; but it also shrinks when answers come
late, since what waits for us in the broker delays everything else that we are sent.
"""

from __future__ import annotations

import math

FIRST_RTO_S = 1.5
LEAST_RTO_S = 0.5
MOST_RTO_S = 8.0
LATE_S = 0.5  # on top of twice the shortest round trip


class Window:
    """first, most: blocks. All times are of one clock."""

    def __init__(self, first: int, most: int) -> None:
        self._least = min(2, most)
        self._most = most
        self._size = float(min(first, most))
        self._threshold = float(most)
        self._cut_s = -math.inf
        self._mean_s: float | None = None
        self._spread_s = 0.0
        self._shortest_s = math.inf
        self._silences = 0

    @property
    def size(self) -> int:
        return int(self._size)

    @property
    def rto_s(self) -> float:
        """Patience with a request, without jitter."""
        usual_s = FIRST_RTO_S
        if self._mean_s is not None:
            usual_s = max(LEAST_RTO_S, self._mean_s + 4 * self._spread_s)
        return float(min(MOST_RTO_S, usual_s * 2**self._silences))

    def measured(self, sent_s: float, now_s: float) -> None:
        """A request that was not a repetition had its first answer."""
        took_s = now_s - sent_s
        self._shortest_s = min(self._shortest_s, took_s)
        if self._mean_s is None:
            self._mean_s, self._spread_s = took_s, took_s / 2
        else:
            self._spread_s += (abs(took_s - self._mean_s) - self._spread_s) / 4
            self._mean_s += (took_s - self._mean_s) / 8
        if took_s > LATE_S + 2 * self._shortest_s:
            self._cut(0.75, sent_s, now_s)

    def arrived(self) -> None:
        """A block came that was asked for."""
        self._silences = 0
        step = 1.0 if self._size < self._threshold else 1.0 / self._size
        self._size = min(float(self._most), self._size + step)

    def lost(self, sent_s: float, now_s: float, was_answered: bool) -> None:
        """A request was not answered in time, others were; was_answered: in part. What waits to be
        sent again to many is asked for again soon: the other side is there."""
        if not was_answered:
            self._silences = min(self._silences + 1, 1)
        self._cut(0.5, sent_s, now_s)

    def silence(self, sent_s: float, now_s: float) -> None:
        """Nothing at all came since this request: what is asked for now may come as often as it
        is asked for, and late. So ask for little until something comes."""
        self._silences = min(self._silences + 1, 10)
        self._cut(0.5, sent_s, now_s)
        self._size = float(self._least)

    def begin_again(self) -> None:
        """A new connection: what was silent may speak again at once."""
        self._silences = 0

    def _cut(self, share: float, sent_s: float, now_s: float) -> None:
        """Once for all that was sent before."""
        if sent_s < self._cut_s:
            return
        self._cut_s = now_s
        self._size = max(float(self._least), self._size * share)
        self._threshold = self._size
