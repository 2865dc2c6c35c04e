"""The last hour of the whole fleet, step by step: for the small curves beside its numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise

from msgspec import Struct

from fleet.registry.words import Stretch
from wire.histogram import Counts, merge

HOUR_S = 3600.0
STEPS = 60


class Past(Struct, frozen=True):
    """A step. fps: of all devices together; p95_us: end to end, None of no frames."""

    start_s: float
    fps: float
    p95_us: float | None


def trend_of(stretches: Iterable[Stretch], to_s: float) -> tuple[Past, ...]:
    """stretches: of the whole fleet, one for each release and step. The newest step is left out:
    not everybody has reported of it."""
    frames: dict[float, int] = defaultdict(int)
    latency: dict[float, list[Counts]] = defaultdict(list)
    for each in stretches:
        frames[each.start_s] += each.frames
        counts = each.stages.end_to_end
        if counts.minimum_us is not None and counts.maximum_us is not None:
            latency[each.start_s].append(counts)
    starts = sorted(frames)
    step_s = min((b - a for a, b in pairwise(starts)), default=HOUR_S / STEPS)
    return tuple(
        Past(at_s, frames[at_s] / step_s, merge(latency[at_s]).percentile(0.95))
        for at_s in starts
        if at_s + 2 * step_s <= to_s
    )
