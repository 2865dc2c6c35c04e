"""Prometheus' text format 0.0.4: histograms with a few buckets, of bounds that ours have, too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fleet.serve.metrics.families import Family, Labels
from fleet.serve.metrics.grown import Grown

KIND = "text/plain; version=0.0.4"
# 64 us to 17 s, in steps of half an octave
OCTAVES = tuple(step / 2 for step in range(12, 49))


def exposed(families: Iterable[Family]) -> bytes:
    return b"".join("".join(_lines(family)).encode() for family in families)


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.what}\n# TYPE {family.name} {family.kind}\n"
    for labels, value in family.samples:
        yield f"{family.name}{_braced(labels)} {value:.17g}\n"
    for labels, grown in family.histograms:
        yield from _histogram(family.name, labels, grown)


def _histogram(name: str, labels: Labels, grown: Grown) -> Iterator[str]:
    for octaves in OCTAVES:
        bound = ("le", f"{2.0**octaves / 1e6:.6g}")
        yield f"{name}_bucket{_braced((*labels, bound))} {grown.below(octaves)}\n"
    yield f"{name}_bucket{_braced((*labels, ('le', '+Inf')))} {grown.count}\n"
    yield f"{name}_sum{_braced(labels)} {grown.sum_us / 1e6:.17g}\n"
    yield f"{name}_count{_braced(labels)} {grown.count}\n"


def _braced(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
