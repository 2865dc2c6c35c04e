"""A histogram that grows by what devices counted."""

from __future__ import annotations

from wire.histogram import BUCKETS, PER_OCTAVE, Counts


class Grown:
    """Buckets as in wire.histogram: bucket i is (2^(i/16), 2^((i+1)/16)] microseconds."""

    def __init__(self) -> None:
        self.count = 0
        self.sum_us = 0.0
        self.buckets = [0] * (BUCKETS + 1)

    def add(self, counts: Counts) -> None:
        self.count += counts.count
        self.sum_us += counts.sum_us
        buckets = self.buckets
        for place, count in enumerate(counts.counts, counts.offset):
            if count:
                buckets[place if place < BUCKETS else BUCKETS] += count

    def below(self, octaves: float) -> int:
        """How many values are at most 2^octaves microseconds. octaves: sixteenths of whole ones."""
        return sum(self.buckets[: round(octaves * PER_OCTAVE)])
