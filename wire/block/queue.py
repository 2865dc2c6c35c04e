"""Who waits for which block: each block once, the askers in turn, and nobody without bounds."""

from __future__ import annotations

import heapq
import math
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from wire.block.blocks import MOST_BLOCKS
from wire.block.bucket import Bucket


@dataclass(frozen=True, order=True)
class Wanted:
    """A block that somebody waits for. since_s: when it was asked for; who: first."""

    since_s: float
    key: str
    number: int
    who: str


@dataclass(frozen=True)
class Allowance:
    """Of one asker, in blocks."""

    per_s: float
    burst: float


@dataclass(frozen=True)
class Bounds:
    """askers: remembered. pending: blocks that wait for one; total: of everybody. After stale_s
    nobody waits any more: who still does has asked again."""

    askers: int
    pending: int
    total: int
    stale_s: float


class BlockQueue:
    """next, then later or put_back if it could not be served yet."""

    def __init__(self, allowance: Allowance, bounds: Bounds, clock: Callable[[], float]) -> None:
        self._allowance = allowance
        self._bounds = bounds
        self._clock = clock
        self._waiting: set[tuple[str, int]] = set()
        self._pending: Counter[str] = Counter()  # of these, by who asked
        self._lanes: OrderedDict[str, deque[Wanted]] = OrderedDict()  # who is next comes first
        self._later: list[tuple[float, Wanted]] = []  # a heap
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()  # who asked last comes last

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, who: str, key: str, ranges: Iterable[tuple[int, int]]) -> None:
        """Somebody asks. What goes beyond a bound is dropped."""
        bucket = self._bucket(who)
        left = self._bounds.pending
        now = self._clock()
        for first, behind in ranges:
            for number in range(first, min(behind, MOST_BLOCKS, first + left)):
                left -= 1
                if (key, number) in self._waiting:
                    continue
                if self._is_full(who) or not bucket.take(1):
                    return
                wanted = Wanted(now, key, number, who)
                self._note(wanted)
                self._lane(who).append(wanted)

    def next(self) -> Wanted | None:
        """A block to publish now; it waits no longer."""
        now = self._clock()
        due = []
        while self._later and self._later[0][0] <= now:
            due.append(heapq.heappop(self._later)[1])
        for wanted in reversed(due):  # the first goes first
            self._lane(wanted.who).appendleft(wanted)
        while self._lanes:
            who, lane = next(iter(self._lanes.items()))
            wanted = lane.popleft()
            if lane:
                self._lanes.move_to_end(who)
            else:
                del self._lanes[who]
            self._forget(wanted)
            if now - wanted.since_s <= self._bounds.stale_s:
                return wanted
        return None

    def later(self, wanted: Wanted, due_s: float) -> None:
        """It may be published then."""
        self._note(wanted)
        heapq.heappush(self._later, (due_s, wanted))

    def put_back(self, wanted: Wanted) -> None:
        """It could not be published."""
        self._note(wanted)
        self._lane(wanted.who).appendleft(wanted)

    def wait_s(self) -> float:
        """Until `next` may have something."""
        if self._lanes:
            return 0.0
        return max(0.0, self._later[0][0] - self._clock()) if self._later else math.inf

    def _is_full(self, who: str) -> bool:
        """Whether nothing more may wait for this one. Without a bound of its own, one that floods
        would take the room of all: where the rate is capped the queue empties slower than it
        asks."""
        return (
            self._pending[who] >= self._bounds.pending or len(self._waiting) >= self._bounds.total
        )

    def _note(self, wanted: Wanted) -> None:
        self._waiting.add((wanted.key, wanted.number))
        self._pending[wanted.who] += 1

    def _forget(self, wanted: Wanted) -> None:
        self._waiting.discard((wanted.key, wanted.number))
        self._pending[wanted.who] -= 1
        if not self._pending[wanted.who]:
            del self._pending[wanted.who]

    def _lane(self, who: str) -> deque[Wanted]:
        return self._lanes.setdefault(who, deque())

    def _bucket(self, who: str) -> Bucket:
        bucket = self._buckets.pop(who, None)
        if bucket is None:
            bucket = Bucket(self._allowance.per_s, self._allowance.burst, self._clock)
        self._buckets[who] = bucket
        if len(self._buckets) > self._bounds.askers:
            self._buckets.popitem(last=False)
        return bucket
