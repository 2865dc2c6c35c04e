"""The past of one device as charts draw it: columns of numbers on one axis of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import Struct

from fleet.live.totals import STAGES
from fleet.registry.registry import Registry
from fleet.registry.words import EventQuery, EventRow, Gap, Span, Stretch, Vital
from fleet.wording import plural, printable

MOST_POINTS = 400
MOST_MARKS = 60
SHARES = (0.50, 0.95, 0.99)


@dataclass(frozen=True)
class Range:
    """What may be looked at. words: for people; name: in an address."""

    name: str
    words: str
    seconds: float


RANGES = (
    Range("15m", "15 min", 900.0),
    Range("1h", "1 h", 3600.0),
    Range("24h", "24 h", 86400.0),
    Range("7d", "7 days", 7 * 86400.0),
    Range("90d", "90 days", 90 * 86400.0),
)


class Percentiles(Struct, frozen=True):
    """Of one stage, in ms, one for each stretch; None of no frames."""

    p50: tuple[float | None, ...]
    p95: tuple[float | None, ...]
    p99: tuple[float | None, ...]


class Stretches(Struct, frozen=True):
    """Columns: what a pipeline counted in each stretch. at_s: its begin."""

    at_s: tuple[float, ...]
    seconds: tuple[float, ...]
    release: tuple[str, ...]
    frames: tuple[int, ...]
    fps: tuple[float | None, ...]
    skipped: tuple[int, ...]
    driver: tuple[int, ...]
    decode: tuple[int, ...]
    refused: tuple[int, ...]
    stages: dict[str, Percentiles]


class Vitals(Struct, frozen=True):
    """Columns: how the board was. throttled: why it was slowed down, "" if it was not."""

    at_s: tuple[float, ...]
    hottest_c: tuple[float | None, ...]
    cpu_percent: tuple[float | None, ...]
    memory_percent: tuple[float | None, ...]
    disk_percent: tuple[float | None, ...]
    throttled: tuple[str, ...]


class Mark(Struct, frozen=True):
    """Something that happened, to be drawn on the axis."""

    at_s: float
    kind: str
    words: str


class History(Struct, frozen=True):
    """Everything that the charts of a device draw."""

    from_s: float
    to_s: float
    pipeline: str
    stretches: Stretches
    vitals: Vitals
    marks: tuple[Mark, ...]


def range_of(name: str) -> Range:
    """The one of this name; the hour if there is none."""
    return next((one for one in RANGES if one.name == name), RANGES[1])


def history_of(registry: Registry, device: str, pipeline: str, span: Span) -> History:
    """Raises Unavailable."""
    stretches = registry.windows(device, pipeline, span, MOST_POINTS) if pipeline else ()
    vitals = registry.vitals(device, span, MOST_POINTS)
    events = registry.events(EventQuery(device=device, span=span, most=MOST_MARKS)).events
    gaps = registry.gaps(device, span)[:MOST_MARKS]
    return History(
        span.from_s,
        span.to_s,
        pipeline,
        _stretches(stretches),
        _vitals(vitals),
        tuple(sorted([*map(_mark, events), *map(_hole, gaps)], key=lambda mark: mark.at_s)),
    )


def _stretches(many: Sequence[Stretch]) -> Stretches:
    return Stretches(
        at_s=tuple(round(each.start_s, 1) for each in many),
        seconds=tuple(round(each.seconds, 1) for each in many),
        release=tuple(f"{each.model} {each.version}".strip() for each in many),
        frames=tuple(each.frames for each in many),
        fps=tuple(_rounded(each.fps, 2) for each in many),
        skipped=tuple(each.losses.skipped for each in many),
        driver=tuple(each.losses.driver for each in many),
        decode=tuple(each.losses.decode for each in many),
        refused=tuple(each.losses.refused for each in many),
        stages={stage: _percentiles(many, stage) for stage in STAGES},
    )


def _percentiles(many: Sequence[Stretch], stage: str) -> Percentiles:
    columns: tuple[list[float | None], ...] = ([], [], [])
    for each in many:
        counts = getattr(each.stages, stage)
        for column, share in zip(columns, SHARES, strict=True):
            us = counts.percentile(share)
            column.append(None if us is None else _rounded(us / 1000, 3))
    p50, p95, p99 = columns
    return Percentiles(tuple(p50), tuple(p95), tuple(p99))


def _vitals(many: Sequence[Vital]) -> Vitals:
    return Vitals(
        at_s=tuple(round(each.start_s, 1) for each in many),
        hottest_c=tuple(_rounded(each.hottest_c, 1) for each in many),
        cpu_percent=tuple(_rounded(each.cpu_percent, 1) for each in many),
        memory_percent=tuple(_rounded(each.memory_percent, 1) for each in many),
        disk_percent=tuple(_rounded(each.disk_percent, 1) for each in many),
        throttled=tuple(printable(", ".join(each.throttled), 100) for each in many),
    )


def _mark(row: EventRow) -> Mark:
    event = row.event
    kind = event.update.phase if event.update is not None else event.kind
    return Mark(round(row.at_s, 1), kind, printable(event.text, 120))


def _hole(gap: Gap) -> Mark:
    words = f"{plural(gap.last - gap.first + 1, 'record')} never came"
    return Mark(round(gap.at_s, 1), "gap", words)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
