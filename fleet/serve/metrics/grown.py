"""A histogram that grows by what devices counted."""

from __future__ import annotations

from wire.histogram import BUCKETS, PER_OCTAVE, Counts

MOST = 1 << 40  # of one bucket of one record: sums stay whole numbers of 64 bits


class Grown:
    """Buckets as in wire.histogram: bucket i is (2^(i/16), 2^((i+1)/16)] microseconds. count: what
    all buckets hold."""

    def __init__(self) -> None:
        self.count = 0
        self.sum_us = 0.0
        self.buckets = [0] * (BUCKETS + 1)

    def add(self, counts: Counts) -> None:
        """What a device says of how many there were need not be true: the buckets say it."""
        self.sum_us += counts.sum_us
        buckets = self.buckets
        for place, some in enumerate(counts.counts, counts.offset):
            if some:
                count = min(some, MOST)
                buckets[place if place < BUCKETS else BUCKETS] += count
                self.count += count

    def copy(self) -> Grown:
        """As it is now."""
        found = Grown()
        found.count, found.sum_us, found.buckets = self.count, self.sum_us, self.buckets.copy()
        return found

    def below(self, octaves: float) -> int:
        """How many values are at most 2^octaves microseconds. octaves: sixteenths of whole ones."""
        return sum(self.buckets[: round(octaves * PER_OCTAVE)])
