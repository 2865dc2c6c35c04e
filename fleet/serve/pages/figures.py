"""Small drawings on pages, as numbers for SVG: shares of a bar, curves, ranges on a scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10

from fleet.live.summary import Release, StageLatency

MOST_SHARES = 5  # parts of a bar; what is left is one more


@dataclass(frozen=True)
class BarPart:
    """A part of a bar: x and width in percent; place: which colour. release: None for the rest."""

    release: Release | None
    count: int
    x: float
    width: float
    place: int


@dataclass(frozen=True)
class Reach:
    """A stage on the scale that all stages share: percentiles in percent of its width."""

    stage: StageLatency
    p50: float
    p95: float
    p99: float


def bar_of(releases: Sequence[Release]) -> tuple[BarPart, ...]:
    """Who runs what, in one bar."""
    whole = sum(each.count for each in releases)
    parts: list[BarPart] = []
    x = 0.0
    for place, release in enumerate(releases[:MOST_SHARES]):
        width = 100.0 * release.count / whole
        parts.append(BarPart(release, release.count, round(x, 3), round(width, 3), place + 1))
        x += width
    if rest := sum(each.count for each in releases[MOST_SHARES:]):
        parts.append(BarPart(None, rest, round(x, 3), round(100.0 - x, 3), 0))
    return tuple(parts)


def reaches_of(stages: Sequence[StageLatency]) -> tuple[Reach, ...]:
    """On a scale of powers of ten that holds all that is known."""
    known = [us for each in stages for us in (each.p50_us, each.p99_us) if us is not None]
    least, most = log10(max(1.0, min(known, default=1.0))), log10(max(known, default=10.0))
    width = max(0.3, most - least)

    def place(us: float | None) -> float:
        return 0.0 if us is None else round(2 + 96 * (log10(max(1.0, us)) - least) / width, 2)

    return tuple(
        Reach(each, place(each.p50_us), place(each.p95_us), place(each.p99_us)) for each in stages
    )


def curve_of(values: Sequence[float | None]) -> str:
    """A curve as the points of a polyline in a box of 100 x 28, from zero on; "" of too few."""
    known = [value for value in values if value is not None]
    if len(known) < 3:
        return ""
    most = max(known) or 1.0
    step = 100 / (len(values) - 1)
    return " ".join(
        f"{place * step:.1f},{27 - 25 * value / most:.1f}"
        for place, value in enumerate(values)
        if value is not None
    )
