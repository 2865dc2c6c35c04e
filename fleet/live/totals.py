"""Latency of the whole fleet as it is now, kept up as windows come and go."""

from __future__ import annotations

from collections.abc import Iterable

from wire.histogram import BUCKETS, PER_OCTAVE, Counts
from wire.messages import StageCounts

STAGES: tuple[str, ...] = StageCounts.__struct_fields__


class Totals:
    """One histogram for each stage. Adding and taking away cost what one window holds, however
    many devices there are."""

    def __init__(self) -> None:
        self._buckets = {stage: [0] * (BUCKETS + 1) for stage in STAGES}
        self._sums_us = dict.fromkeys(STAGES, 0.0)

    def add(self, windows: Iterable[StageCounts]) -> None:
        self._change(windows, 1)

    def take_away(self, windows: Iterable[StageCounts]) -> None:
        """What was added before."""
        self._change(windows, -1)

    def counts(self, stage: str) -> Counts:
        """All that is there now. The extremes are the bounds of the outermost buckets."""
        buckets = self._buckets[stage]
        used = [place for place, count in enumerate(buckets) if count > 0]
        if not used:
            return Counts(0, 0.0, 0, ())
        first, last = used[0], used[-1]
        counts = tuple(max(0, count) for count in buckets[first : last + 1])
        least_us, most_us = 2.0 ** (first / PER_OCTAVE), 2.0 ** ((last + 1) / PER_OCTAVE)
        sum_us = max(0.0, self._sums_us[stage])
        return Counts(sum(counts), sum_us, first, counts, least_us, most_us)

    def _change(self, windows: Iterable[StageCounts], sign: int) -> None:
        for window in windows:
            for stage in STAGES:
                counts: Counts = getattr(window, stage)
                if counts.minimum_us is None or counts.maximum_us is None:
                    continue  # it contradicts itself, or is empty
                buckets = self._buckets[stage]
                for place, count in enumerate(counts.counts[:BUCKETS], counts.offset):
                    if place <= BUCKETS:
                        buckets[place] += sign * count
                self._sums_us[stage] += sign * counts.sum_us
