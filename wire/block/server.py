"""Serves files over MQTT, block by block, once for everybody who asked. See wire/block/blocks.py.

No thread and no waiting: whoever owns it calls `asked` and `tick` on one thread.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from wire import topics
from wire.block.blocks import BLOCK, BlockRequest, packed
from wire.block.bucket import Bucket
from wire.block.herd import Herd
from wire.block.listening import Listening
from wire.block.queue import Allowance, BlockQueue, Bounds, Wanted
from wire.block.repeats import Repeats
from wire.block.shelf import Library, Shelf
from wire.block.standing_by import StandingBy
from wire.unreadable import UNREADABLE

__all__ = ["BlockServer", "Library", "Publish", "ServeTerms"]

MOST_REQUEST = 4096  # bytes
BURST = 64  # blocks published in one tick
RETRY_S = 0.01  # when the link takes nothing
IDLE_S = 60.0
KIB = 1024


class Publish(Protocol):
    """As Link.publish."""

    def __call__(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False
    ) -> int | None: ...


@dataclass(frozen=True)
class ServeTerms:
    """kib_per_s: of all together. asker_kib_per_s, asker_burst_kib: what one may cause. gap_s:
    between two times that one block is published, at least; burst, every_s: so many times within
    a short time, then once in so many seconds. way_s: how long one may be on its way to those who
    listen and did not ask first. gather_s: how long a file waits where many ask, and what was
    missed of it for others who missed it; few_s: where a few ask, and for others who lost it.
    askers: how many are remembered. pending: blocks that one may ask for at a time, total_pending:
    all. stale_s: after that nobody waits for a block any more."""

    kib_per_s: int | None = None
    asker_kib_per_s: int = 128 * 1024
    asker_burst_kib: int = 32 * 1024
    gap_s: float = 0.25
    burst: int = 8
    every_s: float = 2.0
    way_s: float = 120.0
    gather_s: float = 3.0
    few_s: float = 1.0
    askers: int = 4096
    pending: int = 256
    total_pending: int = 16384
    stale_s: float = 15.0


class BlockServer:
    """published_blocks, published_bytes: so far."""

    def __init__(
        self,
        publish: Publish,
        fleet: str,
        library: Library,
        terms: ServeTerms = ServeTerms(),
        clock: Callable[[], float] = time.monotonic,
        standing_by: StandingBy | None = None,
    ) -> None:
        """standing_by: where another one is to answer first."""
        self.published_blocks = 0
        self.published_bytes = 0
        self._publish = publish
        self._fleet = fleet
        self._terms = terms
        self._clock = clock
        rate = math.inf if terms.kib_per_s is None else float(terms.kib_per_s * KIB)
        self._bucket = Bucket(rate, max(BLOCK, rate / 4), clock)
        self._repeats = Repeats(terms.gap_s, terms.burst, terms.every_s, terms.way_s, clock)
        self._herd = Herd(terms.gather_s, clock)
        self._listening = Listening(terms.askers, clock)
        self._queue = BlockQueue(
            Allowance(terms.asker_kib_per_s * KIB / BLOCK, terms.asker_burst_kib * KIB / BLOCK),
            Bounds(terms.askers, terms.pending, terms.total_pending, terms.stale_s),
            clock,
        )
        self._shelf = Shelf(library, clock)
        self._standing_by = standing_by
        self._decoder = msgspec.json.Decoder(BlockRequest)

    def asked(self, who: str, payload: bytes) -> None:
        """A request came, on a topic that only `who` may write. What is not one is dropped."""
        if len(payload) > MOST_REQUEST:
            return
        try:
            request = self._decoder.decode(payload)
        except UNREADABLE:
            return
        self._herd.asked(who, request.file)
        if math.isinf(self._listening.since_s(request.file, who)):
            self._herd.grew(request.file)
        self._listening.asked(request.file, who)
        self._queue.add(who, request.file, request.ranges)

    def tick(self) -> float:
        """Publish what is due. Returns seconds until it should be called again."""
        self._hear_the_other()
        for _ in range(BURST):
            if self._bucket.level < BLOCK:
                return self._bucket.wait_s(BLOCK)
            wanted = self._queue.next()
            if wanted is None:
                return self._rest_s()
            if self._has_crossed(wanted) or self._was_answered(wanted):
                continue
            due_s = self._due_s(wanted)
            if due_s > self._clock():
                self._queue.later(wanted, due_s)
            elif not self._serve(wanted):
                self._queue.put_back(wanted)
                return RETRY_S
        return 0.0

    def close(self) -> None:
        """Close the files that are open."""
        self._shelf.close()

    def _serve(self, wanted: Wanted) -> bool:
        """False: the link takes nothing now."""
        block = self._shelf.block(wanted.key, wanted.number)
        if block is None:
            return True
        payload = packed(block)
        topic = topics.block(self._fleet, wanted.key, wanted.number)
        if self._publish(topic, payload, qos=0) is None:
            return False
        self._bucket.spend(len(payload))
        whom = None if self._herd.wants(wanted.key) else wanted.who
        self._repeats.note(wanted.key, wanted.number, whom, block.size)
        if self._standing_by is not None:
            self._standing_by.published(wanted.key, wanted.number)
        self.published_blocks += 1
        self.published_bytes += len(payload)
        return True

    def _due_s(self, wanted: Wanted) -> float:
        late_s = self._late_s(wanted)
        due_s = self._repeats.due_s(wanted.key, wanted.number, wanted.who, late_s)
        if math.isinf(due_s) and wanted.number > 0:
            due_s = self._herd.until_s(wanted.key)
        if self._standing_by is None:
            return due_s
        return self._standing_by.due_s(due_s, wanted.since_s)

    def _late_s(self, wanted: Wanted) -> float:
        """How long others who missed the same block are waited for."""
        since_s = self._listening.since_s(wanted.key, wanted.who)
        has_lost_it = self._repeats.was_published(wanted.key, wanted.number, since_s)
        is_one_of_few = not self._herd.wants(wanted.key)
        return self._terms.few_s if has_lost_it or is_one_of_few else self._terms.gather_s

    def _hear_the_other(self) -> None:
        if self._standing_by is not None:
            for one in self._standing_by.news():
                self._repeats.note(one.key, one.number, "", one.size)

    def _was_answered(self, wanted: Wanted) -> bool:
        """By the other one, while we stood by."""
        if self._standing_by is None:
            return False
        return self._repeats.was_published(wanted.key, wanted.number, wanted.since_s)

    def _has_crossed(self, wanted: Wanted) -> bool:
        """A block that was published just now for somebody else crossed the request: who did not
        get it will ask again."""
        since_s = self._listening.since_s(wanted.key, wanted.who)
        return self._repeats.is_on_its_way(wanted.key, wanted.number, wanted.who, since_s)

    def _rest_s(self) -> float:
        self._shelf.tidy()
        return min(IDLE_S, self._queue.wait_s(), self._shelf.wait_s())
