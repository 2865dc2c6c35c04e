"""Latency as counts: OpenTelemetry's exponential histogram at one fixed scale.

Counts add up over windows and devices; percentiles do not, so they are worked out only when
somebody reads them. At scale 4 the bucket bounds are powers of 2^(1/16): bucket i holds values in
(2^(i/16), 2^((i+1)/16)], so a percentile is off by 2.2 % at most.
Source: OpenTelemetry metrics data model, ExponentialHistogram.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import log2
from typing import Annotated

from msgspec import Meta, Struct

SCALE = 4
PER_OCTAVE = 2**SCALE
BUCKETS = 30 * PER_OCTAVE  # from 1 us to 2^30 us, 18 minutes

Natural = Annotated[int, Meta(ge=0, le=2**63 - 1)]  # more could be read, and never written again
Duration = Annotated[float, Meta(ge=0, le=1e15)]  # a bound keeps infinities and NaN out


class Counts(Struct, frozen=True):
    """A histogram at rest, as it travels. Values are microseconds.

    counts[k] belongs to bucket offset + k. minimum and maximum are None when count is 0.
    """

    count: Natural
    sum_us: Annotated[float, Meta(ge=0, le=1e18)]
    offset: Annotated[int, Meta(ge=0, le=BUCKETS)]
    counts: Annotated[tuple[Natural, ...], Meta(max_length=BUCKETS)]
    minimum_us: Duration | None = None
    maximum_us: Duration | None = None
    scale: Annotated[int, Meta(ge=SCALE, le=SCALE)] = SCALE

    def percentile(self, share: float) -> float | None:
        """The value in microseconds that `share` (0 to 1) of all values do not exceed."""
        if self.count == 0 or self.minimum_us is None or self.maximum_us is None:
            return None
        rank = share * self.count
        seen = 0
        for place, count in enumerate(self.counts):
            if count and seen + count >= rank:
                within = max(0.0, rank - seen) / count
                value: float = 2.0 ** ((self.offset + place + within) / 2**self.scale)
                return min(max(value, self.minimum_us), self.maximum_us)
            seen += count
        return self.maximum_us


class Histogram:
    """A histogram that grows. One thread records; `counts` may be taken by the same thread."""

    def __init__(self) -> None:
        self._buckets = [0] * BUCKETS
        self._count = 0
        self._sum_us = 0.0
        self._minimum_us = float("inf")
        self._maximum_us = 0.0

    def record_ns(self, duration_ns: int) -> None:
        """Count one duration. Less than 1 us, also negative, counts as the lowest bucket."""
        value = duration_ns / 1000
        place = int(log2(value) * PER_OCTAVE) if value > 1 else 0
        self._buckets[place if place < BUCKETS else BUCKETS - 1] += 1
        self._count += 1
        self._sum_us += value
        if value < self._minimum_us:
            self._minimum_us = value
        if value > self._maximum_us:
            self._maximum_us = value

    def counts(self) -> Counts:
        """What was recorded so far."""
        used = [place for place, count in enumerate(self._buckets) if count]
        if not used:
            return Counts(0, 0.0, 0, ())
        first, last = used[0], used[-1]
        return Counts(
            self._count,
            self._sum_us,
            first,
            tuple(self._buckets[first : last + 1]),
            self._minimum_us,
            self._maximum_us,
        )


def merge(many: Iterable[Counts]) -> Counts:
    """One histogram of all that the given ones counted: over windows, devices or stages."""
    filled = [each for each in many if each.count]
    if not filled:
        return Counts(0, 0.0, 0, ())
    first = min(each.offset for each in filled)
    total = [0] * (max(each.offset + len(each.counts) for each in filled) - first)
    for each in filled:
        for place, count in enumerate(each.counts, each.offset - first):
            total[place] += count
    return Counts(
        sum(each.count for each in filled),
        sum(each.sum_us for each in filled),
        first,
        tuple(total),
        min(each.minimum_us for each in filled if each.minimum_us is not None),
        max(each.maximum_us for each in filled if each.maximum_us is not None),
    )


def subtract(later: Counts, earlier: Counts) -> Counts:
    """What was counted between two moments of one histogram that only grew.

    minimum and maximum of the stretch are not known exactly: they are the bounds of its outermost
    buckets, at most 4.4 % off, and never beyond those of `later`.
    """
    start = min(later.offset, earlier.offset) if earlier.count else later.offset
    rest = [0] * (later.offset - start) + list(later.counts)
    for place, count in enumerate(earlier.counts, earlier.offset - start):
        if count:
            rest[place] -= count
    used = [place for place, count in enumerate(rest) if count]
    if not used or later.minimum_us is None or later.maximum_us is None:
        return Counts(0, 0.0, 0, ())
    first, last = used[0], used[-1]
    return Counts(
        later.count - earlier.count,
        max(0.0, later.sum_us - earlier.sum_us),
        start + first,
        tuple(rest[first : last + 1]),
        max(later.minimum_us, 2.0 ** ((start + first) / PER_OCTAVE)),
        min(later.maximum_us, 2.0 ** ((start + last + 1) / PER_OCTAVE)),
    )
