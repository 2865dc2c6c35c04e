"""What Prometheus takes: families of samples, whatever the format in which they travel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from fleet.serve.metrics.grown import Grown

Labels = tuple[tuple[str, str], ...]
Kind = Literal["gauge", "counter", "histogram"]


@dataclass(frozen=True)
class Family:
    """One metric. what: its meaning, a sentence. samples: of gauges and counters, read once;
    histograms: of histograms."""

    name: str
    kind: Kind
    what: str
    samples: Iterable[tuple[Labels, float]] = ()
    histograms: tuple[tuple[Labels, Grown], ...] = ()
