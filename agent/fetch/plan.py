"""What the fetch thread does next. Any thread says what it wants; the fetch thread takes jobs."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wire.backoff import Backoff

if TYPE_CHECKING:
    from wire.trust.trust import Bundle

HOUR_S = 3600.0  # between two looks at the depot when no bell rings
BELL_S = 0.3  # after the connection: what the bell says comes right then
GAP_S = 1.0  # between two looks, however often the bell rings
REST = 4.0  # times as long as a look took that the bell asked for, bundles have their turn
MOST_REST_S = 60.0
FIRST_AGAIN_S, MOST_AGAIN_S = 10.0, 600.0  # after a failure
NEVER = float("inf")


@dataclass(frozen=True)
class Refresh:
    """Look for newer metadata. bell: what the bell says is the newest timestamp, or None."""

    bell: bytes | None


@dataclass(frozen=True)
class Get:
    """Bring a bundle into the store. pinned: digests that must stay there."""

    bundle: Bundle
    pinned: frozenset[str]


@dataclass(frozen=True)
class Sweep:
    """Remove what nobody wants. wanted: digests that will be fetched."""

    wanted: frozenset[str]
    pinned: frozenset[str]


@dataclass(frozen=True)
class Examine:
    """Find out whether a model in the store is what was signed."""

    digest: str


Job = Refresh | Get | Sweep | Examine


class Plan:
    """Metadata comes first: a bundle that takes hours must not keep a newer word away."""

    def __init__(
        self,
        spread_s: float,
        clock: Callable[[], float],
        chance: Callable[[], float] = random.random,
    ) -> None:
        """spread_s: devices look this much apart. clock: seconds, only forward. chance: 0 to 1."""
        self._spread_s = spread_s
        self._clock = clock
        self._chance = chance
        self._changed = threading.Condition()  # over all below
        self._is_over = False
        self._refresh_s = NEVER
        self._refreshed_s = -NEVER
        self._rested_s = -NEVER  # until then bundles have their turn, whoever rings
        self._was_rung = False  # what the last look was for
        self._bell: bytes | None = None
        self._rung: bytes | None = None  # the last that was looked after
        self._wanted: tuple[Bundle, ...] = ()
        self._pinned: frozenset[str] = frozenset()
        self._is_told = False  # what is wanted
        self._pauses: dict[str, tuple[float, Backoff]] = {}  # by digest: until when
        self._sweeps = False  # before it is known what is wanted nothing is swept
        self._doubted: list[str] = []  # digests to examine
        self._patience = Backoff(FIRST_AGAIN_S, MOST_AGAIN_S)

    def ring(self, timestamp: bytes) -> None:
        """The bell rang. The same word twice is no news."""
        with self._changed:
            if timestamp == self._rung:
                self._bell = None  # who rang in between was overruled
            elif timestamp != self._bell:
                self._bell = timestamp
                self._soon()

    def connected(self) -> None:
        """There may be news, and it can be asked for."""
        with self._changed:
            self._rung = None
            self._rested_s = -NEVER
            self._pauses.clear()
            self._soon(BELL_S)

    def want(self, bundles: tuple[Bundle, ...], pinned: frozenset[str]) -> None:
        """These are to be fetched, in this order, and no others."""
        with self._changed:
            self._wanted, self._pinned = bundles, pinned
            self._pauses.clear()
            self._sweeps = self._is_told = True
            self._changed.notify()

    def sweep(self) -> None:
        """Models may be needed no longer, and there may be room for others."""
        with self._changed:
            self._pauses.clear()
            self._sweeps = self._is_told
            self._changed.notify()

    def examine(self, digest: str) -> None:
        """A model in the store may be damaged: what is being fetched waits for the answer."""
        with self._changed:
            if digest not in self._doubted:
                self._doubted.append(digest)
            self._changed.notify()

    def look(self) -> None:
        """What was refused may be believed now: look soon, however often it failed."""
        with self._changed:
            self._patience = Backoff(FIRST_AGAIN_S, MOST_AGAIN_S)
            self._soon()

    def end(self) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify()

    def take(self) -> Job | None:
        """The next job, when one is due; None: it is over."""
        with self._changed:
            while not self._is_over:
                job = self._due()
                if job is not None:
                    return job
                wait_s = self._next_s() - self._clock()
                self._changed.wait(None if wait_s == NEVER else max(0.01, wait_s))
        return None

    def is_over(self, get: Get) -> bool:
        """Whether a bundle that is being fetched must wait, or is not wanted any more."""
        with self._changed:
            is_wanted = any(one.digest == get.bundle.digest for one in self._wanted)
            is_due = self._look_s <= self._clock() or bool(self._doubted)
            return self._is_over or is_due or not is_wanted

    def refreshed(self, timestamp: bytes | None) -> None:
        """It went well. timestamp: the newest; a bell that says the same is no news."""
        with self._changed:
            self._rest()
            self._rung = timestamp or self._rung
            if self._bell is not None and self._bell == self._rung:
                self._bell, self._refresh_s = None, NEVER
            self._patience = Backoff(FIRST_AGAIN_S, MOST_AGAIN_S)
            self._again(HOUR_S * (0.9 + 0.2 * self._chance()))

    def not_refreshed(self) -> None:
        """It failed: again, later and later."""
        with self._changed:
            self._rest()
            self._rung = None
            self._again(1.0 + self._patience.next_s())

    def pause(self, digest: str) -> None:
        """A bundle could not be had now: again, later and later."""
        with self._changed:
            _, patience = self._pauses.get(digest, (0.0, Backoff(FIRST_AGAIN_S, MOST_AGAIN_S)))
            self._pauses[digest] = (self._clock() + 1.0 + patience.next_s(), patience)

    def done(self, digest: str) -> None:
        """A bundle is there, or never will be."""
        with self._changed:
            self._wanted = tuple(one for one in self._wanted if one.digest != digest)

    def _due(self) -> Job | None:
        now_s = self._clock()
        if self._look_s <= now_s:
            self._refresh_s, self._refreshed_s = NEVER, now_s
            self._was_rung = self._bell is not None
            self._bell, self._rung = None, self._bell or self._rung
            return Refresh(self._rung)
        if self._doubted:
            return Examine(self._doubted.pop(0))
        if self._sweeps:
            self._sweeps = False
            return Sweep(frozenset(one.digest for one in self._wanted), self._pinned)
        for bundle in self._wanted:
            if self._pauses.get(bundle.digest, (-NEVER,))[0] <= now_s:
                return Get(bundle, self._pinned)
        return None

    def _next_s(self) -> float:
        digests = {bundle.digest for bundle in self._wanted}
        pauses = [until_s for digest, (until_s, _) in self._pauses.items() if digest in digests]
        return min([self._look_s, *pauses])

    @property
    def _look_s(self) -> float:
        """When to look for newer metadata. While a bundle is wanted, rings alone do not keep it
        from coming: whoever may write to the broker can ring without end, and each time we ask."""
        return max(self._refresh_s, self._rested_s) if self._wanted else self._refresh_s

    def _rest(self) -> None:
        """A look is over."""
        now_s = self._clock()
        rest_s = min(MOST_REST_S, REST * (now_s - self._refreshed_s)) if self._was_rung else 0.0
        self._rested_s = now_s + rest_s

    def _soon(self, wait_s: float = 0.0) -> None:
        apart_s = self._spread_s * self._chance()
        due_s = max(self._clock() + max(apart_s, wait_s), self._refreshed_s + GAP_S)
        self._refresh_s = min(self._refresh_s, due_s)
        self._changed.notify()

    def _again(self, wait_s: float) -> None:
        self._refresh_s = min(self._refresh_s, self._clock() + wait_s)
