"""Where a curve bends: the last load that is worth its latency.

L. Kleinrock, "Power and deterministic rules of thumb for probabilistic problems in computer
communications", ICC 1979: power is throughput over response time, and the knee is where it is at
its most. R. Jain, "The Art of Computer Systems Performance Analysis", 1991, section 3.2, calls it
the knee capacity. Response time is the 95th percentile here.

Their systems let work wait, this one skips pictures and stays at about its highest power when more
comes than it can take. So only loads that are kept up with count, and of two that are nearly equal
the lower one.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from workshop.loading import Knee, Point

NEAR = 0.9  # of the highest power


def power(point: Point) -> float:
    """Answers per second over the 95th percentile of their latency in seconds."""
    if point.latency_us is None:
        return 0.0
    return point.answered / (point.latency_us.p95 / 1e6)


def knee_of(points: Sequence[Point]) -> Knee:
    """points: of one number of pipelines and threads, rates rising; at least one."""
    load = points[0].load
    kept = list(itertools.takewhile(lambda point: point.keeps_up, points))
    if not kept:
        words = f"no knee: {_at(points[0])} is too much already{_why(points[0])}"
        return Knee(load.pipelines, load.threads, None, None, True, words)
    most = max(map(power, kept))
    place = next(i for i, each in enumerate(kept) if power(each) >= NEAR * most)
    reached = len(kept) < len(points) or place < len(kept) - 1
    words = _words(kept[place], points[place + 1]) if reached else _none_so_far(kept[place])
    return Knee(
        load.pipelines, load.threads, kept[place].load.rate, kept[-1].load.rate, reached, words
    )


def _none_so_far(point: Point) -> str:
    return f"no knee up to {_at(point)}: ask for higher rates"


def _words(found: Point, after: Point) -> str:
    at = f"knee at {_at(found)}"
    if found.latency_us is None or after.latency_us is None:
        return f"{at}; nothing comes of {after.load.rate:g}/s{_why(after)}"
    longer = after.latency_us.p95 / found.latency_us.p95
    more = after.answered / found.answered
    return (
        f"{at}; at {after.load.rate:g}/s the 95th percentile is {longer:.1f} times as long for "
        f"{more:.1f} times as many answers{_why(after)}"
    )


def _at(point: Point) -> str:
    each = " for each pipeline" if point.load.pipelines > 1 else ""
    return f"{point.load.rate:g}/s{each}"


def _why(point: Point) -> str:
    """What of a load is lost, if it is worth a word."""
    if point.trouble is not None:
        return f": {point.trouble}"
    lost = point.skipped + point.errors
    return f", and {lost:.0%} of the pictures come to nothing" if lost >= 0.005 else ""
