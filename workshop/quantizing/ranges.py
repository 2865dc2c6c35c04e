"""From what activations were on samples to the ranges that integers are spread over."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from wire.durable import write_durably
from wire.troubles import Refused
from wire.unreadable import UNREADABLE
from workshop.quantizing import Method

SIDE = 2048  # bins on each side of zero
# Twice TensorRT's 128, which clips harder: int8 lost 0.8 points of the digits detector's
# mAP50 by that, less than 0.1 by this.
LEVELS = 256
SMALLEST = 1e-6  # share of a bin that only what was clipped fell into
LARGEST = 3e38  # "minus infinity" in a padding is no value of an activation
SMALLEST_REACH = 1e-30  # less is zero: its bins would be no numbers
STRIDE = 8  # bins between two thresholds that are tried

Activations = dict[str, npt.NDArray[np.float32]]
Counts = npt.NDArray[np.float64]
Ranges = dict[str, tuple[float, float]]


class Kept(Struct, frozen=True):
    """A file of ranges. method: in words, with its percentile."""

    method: str
    ranges: Ranges


@dataclass
class Spread:
    """What one activation was, as counts in even bins from -reach to reach."""

    low: float = np.inf
    high: float = -np.inf
    reach: float = 0.0
    counts: Counts = field(default_factory=lambda: np.zeros(2 * SIDE))

    def see(self, values: npt.NDArray[np.float32]) -> None:
        """Only how far they go."""
        self.low = min(float(values.min()), self.low)
        self.high = max(float(values.max()), self.high)

    def count(self, values: npt.NDArray[np.float32]) -> None:
        """How many lie where. Those that `see` saw."""
        wanted = max(-self.low, self.high)
        # a power of 2, so that samples may come in any order
        if wanted > SMALLEST_REACH and not self.reach:
            self.reach = 2.0 ** math.ceil(math.log2(wanted))
        while wanted > self.reach > 0:
            self._reach_twice_as_far()
        per_one = np.float32(SIDE / (self.reach or 1.0))
        bins = (values.ravel() * per_one + np.float32(SIDE)).astype(np.int32)
        np.minimum(bins, 2 * SIDE - 1, out=bins)
        self.counts += np.bincount(bins, minlength=2 * SIDE)

    def _reach_twice_as_far(self) -> None:
        inner = self.counts.reshape(SIDE, 2).sum(axis=1)
        self.counts = np.pad(inner, SIDE // 2)
        self.reach *= 2

    def within(self, low: float, high: float) -> tuple[float, float]:
        """No wider than what was seen."""
        return max(low, self.low), min(high, self.high)


def gathered(
    runs: Iterable[Activations], method: Method, percentile: float, heads: Collection[str] = ()
) -> Ranges:
    """runs: all activations of one sample each. Only counts of them are kept. heads: activations
    that keep all of their range by any method.

    Raises Refused for a percentile that is none, and for activations that are no numbers.
    """
    if method == "percentile" and not 50 < percentile <= 100:
        raise Refused(f"percentile {percentile:g}: give one above 50, up to 100, such as 99.99")
    spreads: dict[str, Spread] = {}
    for run in runs:
        for name, values in run.items():
            spread = spreads.setdefault(name, Spread())
            if not (numbers := _numbers(name, values)).size:
                continue
            spread.see(numbers)
            if method != "minmax" and name not in heads:
                spread.count(numbers)
    found: Ranges = {}
    for name, spread in spreads.items():
        if not np.isfinite(spread.low):
            continue
        if method == "minmax" or name in heads:
            found[name] = spread.low, spread.high
        elif method == "percentile":
            found[name] = by_percentile(spread, percentile)
        else:
            found[name] = by_entropy(spread)
    return found


def _numbers(name: str, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Without what is as good as infinite. Raises Refused for what is no number."""
    if not values.size:
        return values
    low, high = values.min(), values.max()
    if np.isnan(low):
        raise Refused(
            f"{name}: what it computes on a sample is no number (NaN): mend the float network"
        )
    if low > -LARGEST and high < LARGEST:
        return values
    return values[np.abs(values) < LARGEST]


def by_percentile(spread: Spread, percentile: float) -> tuple[float, float]:
    """The range without the outermost 100 - percentile percent, half of them at either end."""
    shares = np.cumsum(spread.counts) / spread.counts.sum()
    outside = (100 - percentile) / 200
    width = spread.reach / SIDE
    first = int(np.searchsorted(shares, outside, side="right"))
    last = int(np.searchsorted(shares, 1 - outside, side="left"))
    return spread.within(first * width - spread.reach, (last + 1) * width - spread.reach)


def by_entropy(spread: Spread) -> tuple[float, float]:
    """The range, as far to either side, whose integers tell least else than the values did.

    Source: S. Migacz, 8-bit inference with TensorRT, GTC 2017; as there, the smallest
    Kullback-Leibler divergence. What is next to zero counts as its neighbour does, or a ReLU's
    zeros would outweigh all else (as in NVIDIA's pytorch-quantization).
    """
    sizes = spread.counts[SIDE:] + spread.counts[:SIDE][::-1]
    sizes[0] = sizes[1]
    if not sizes.any():
        return spread.low, spread.high
    tried = np.arange(LEVELS, SIDE + 1, STRIDE)
    best = tried[::-1][np.argmin([_divergence(sizes, bins) for bins in tried[::-1]])]
    threshold = float(best) / SIDE * spread.reach
    return spread.within(-threshold, threshold)


def _divergence(sizes: Counts, bins: int) -> float:
    """From the values, those beyond the first `bins` moved into the last, to their integers."""
    inside = sizes[:bins]
    wanted = inside.copy()
    wanted[-1] += sizes[bins:].sum()
    level = np.arange(bins) * LEVELS // bins
    filled = inside > 0
    total = np.bincount(level, inside, LEVELS)
    share = total / np.maximum(np.bincount(level, filled, LEVELS), 1)
    given = np.where(filled, share[level], 0)
    if not given.any():
        return float("inf")
    there = wanted > 0
    wanted = wanted[there] / wanted.sum()
    given = np.maximum(given[there] / given.sum(), SMALLEST)
    return float(np.sum(wanted * np.log(wanted / given)))


def kept_ranges(path: Path, method: str) -> Ranges | None:
    """What a file keeps, if it is there. Raises Refused if it is of another method."""
    if not path.is_file():
        return None
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=Kept)
    except UNREADABLE as error:
        raise Refused(f"{path}: no file of ranges: {error}") from None
    if kept.method != method:
        raise Refused(f"{path}: holds ranges by {kept.method}, not by {method}: use another file")
    return kept.ranges


def write_ranges(path: Path, method: str, ranges: Ranges) -> None:
    write_durably(path, msgspec.json.encode(Kept(method, ranges)))
