"""Histograms of made-up durations: of a usual shape around any median, quick to make."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from math import ceil, erf, exp, floor, log, log2, sqrt

from wire.histogram import BUCKETS, PER_OCTAVE, Counts

REACH = 4.0  # standard deviations


@dataclass(frozen=True)
class _Shape:
    """counts[0] belongs to the bucket `first` places from the median's. sum: of all durations, the
    median being 1."""

    first: int
    counts: tuple[int, ...]
    sum: float


def spread(count: int, median_us: float, sigma: float) -> Counts:
    """So many durations around a median; sigma: of their logarithm."""
    shape = _shape(count, sigma)
    if not shape.counts:
        return Counts(0, 0.0, 0, ())
    place = round(log2(max(median_us, 1.0)) * PER_OCTAVE)
    offset = min(max(0, place + shape.first), BUCKETS - len(shape.counts))
    least_us = 2.0 ** ((offset + 0.5) / PER_OCTAVE)
    most_us = 2.0 ** ((offset + len(shape.counts) - 0.5) / PER_OCTAVE)
    sum_us = shape.sum * 2.0 ** ((offset - shape.first) / PER_OCTAVE)
    return Counts(count, sum_us, offset, shape.counts, least_us, most_us)


@lru_cache(maxsize=8192)
def _shape(count: int, sigma: float) -> _Shape:
    first, ends = _ends(sigma)
    counts, before = [], 0
    for share in ends:
        upto = round(share * count)
        counts.append(upto - before)
        before = upto
    used = [place for place, some in enumerate(counts) if some]
    if not used:
        return _Shape(0, (), 0.0)
    kept = tuple(counts[used[0] : used[-1] + 1])
    first += used[0]
    total = sum(some * 2.0 ** ((first + at + 0.5) / PER_OCTAVE) for at, some in enumerate(kept))
    return _Shape(first, kept, total)


@cache
def _ends(sigma: float) -> tuple[int, tuple[float, ...]]:
    """Which share of all lies below the end of each bucket, from which one on."""
    last = ceil(log2(exp(REACH * sigma)) * PER_OCTAVE)
    first = floor(-last)
    ends = [
        0.5 * (1 + erf(log(2.0 ** (place / PER_OCTAVE)) / (sigma * sqrt(2))))
        for place in range(first + 1, last + 1)
    ]
    return first, (*ends, 1.0)
