"""A load test as lines of text."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from runtime.panel import printable
from runtime.suite.table import machine_in_words
from runtime.table import duration
from workshop.loading import LoadTest, Point
from workshop.loading.rising import curve_of

BUSY_PERCENT = 25.0  # of a core
COLUMNS = (
    "rate",
    "offered",
    "answered",
    "skipped",
    "errors",
    "p50",
    "p95",
    "p99",
    "CPU %",
    "others %",
    "MiB",
)
EXPLAINED = (
    "rate: pictures per second of each pipeline; offered, answered: of all of them; p50, p95, p99: "
    "from captured to decoded; CPU: 100 is one core; others: what other programs had meanwhile"
)
FOUND_BY = (
    "knee: of the rates that are kept up with, the first whose power, answers per second over p95, "
    "is within a tenth of the highest (Kleinrock 1979)"
)


def as_text(test: LoadTest) -> str:
    """All of it, a row for each load."""
    return "\n".join(_lines(test))


def cells_of(point: Point) -> tuple[str, ...]:
    """The figures of one row; `-` where there is none."""
    times = point.latency_us
    spans = ("-",) * 3 if times is None else (*map(duration, (times.p50, times.p95, times.p99)),)
    return (
        f"{point.load.rate:g}",
        f"{point.offered:g}",
        f"{point.answered:.4g}",
        f"{point.skipped:.1%}",
        f"{point.errors:.1%}",
        *spans,
        f"{point.cpu_percent:.0f}",
        "-" if point.others_percent is None else f"{point.others_percent:.0f}",
        "-" if point.memory_mib is None else f"{point.memory_mib:.0f}",
    )


def curve_in_words(pipelines: int, threads: int) -> str:
    """`2 pipelines, 1 thread each`"""
    each = " each" if pipelines > 1 else ""
    return (
        f"{pipelines} pipeline{'s'[: pipelines != 1]}, {threads} thread{'s'[: threads != 1]}{each}"
    )


def camera_in_words(test: LoadTest) -> str | None:
    """What of the processor is the camera's."""
    if test.camera_us is None:
        return None
    return (
        f"a picture costs the camera {duration(test.camera_us)} of a processor, and is part of CPU "
        "and of what a pipeline can carry"
    )


def others_in_words(test: LoadTest) -> str | None:
    """A warning where the machine had much else to do."""
    most = max((point.others_percent or 0.0 for point in test.points), default=0.0)
    if most <= BUSY_PERCENT:
        return None
    return (
        f"other programs had up to {most:.0f} % of a core meanwhile: on a quiet machine it carries "
        "more"
    )


def _lines(test: LoadTest) -> Iterator[str]:
    subject = test.subject
    yield printable(f"{subject.name} {subject.version} on {subject.engine}, {test.camera}", 120)
    yield machine_in_words(test.machine)
    rows = [COLUMNS, *map(cells_of, test.points)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    curves = [list(curve) for _, curve in itertools.groupby(test.points, curve_of)]
    for knee, curve in zip(test.knees, curves, strict=True):
        yield ""
        yield curve_in_words(knee.pipelines, knee.threads)
        yield _line(COLUMNS, widths)
        for point in curve:
            trouble = "" if point.trouble is None else f"  {printable(point.trouble, 120)}"
            yield _line(cells_of(point), widths) + trouble
        yield knee.words
    yield ""
    if test.left_out:
        count = len(test.left_out)
        yield f"{count} load{'s'[: count != 1]} left out: a lower one was far too much already"
    yield from filter(None, (EXPLAINED, FOUND_BY, camera_in_words(test), others_in_words(test)))


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    return "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
