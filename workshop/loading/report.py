"""A load test as one page: the knees in words, what bends as plots, every figure in a table."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from runtime.panel import printable
from runtime.suite.table import machine_in_words
from workshop.drawing import (
    Cell,
    Tile,
    document,
    figure,
    notes,
    section,
    side_by_side,
    table,
    tiles,
    verdict,
)
from workshop.drawing_plots import Series, lines
from workshop.loading import Knee, LoadTest, Point
from workshop.loading.rising import curve_of, in_words
from workshop.loading.table import (
    COLUMNS,
    EXPLAINED,
    FOUND_BY,
    camera_in_words,
    cells_of,
    curve_in_words,
    others_in_words,
)

Curve = Sequence[Point]
OFFERED = "pictures per second, all pipelines"
LOST_COLUMNS = (3, 4)  # of a row: skipped, errors


def as_html(test: LoadTest) -> str:
    """The whole page."""
    subject = test.subject
    curves = [list(curve) for _, curve in itertools.groupby(test.points, curve_of)]
    pairs = list(zip(curves, test.knees, strict=True))
    return document(
        f"{printable(subject.name)} {printable(subject.version)} under load",
        f"{subject.engine} · {printable(test.camera, 120)} · {test.seconds:g} s for each load · "
        f"{machine_in_words(test.machine)}",
        [
            tiles(_tiles(test)),
            *([verdict(_sentence(others), False)] if (others := others_in_words(test)) else []),
            section(
                "Latency", [side_by_side([_latency(*pair) for pair in pairs])], _sentence(FOUND_BY)
            ),
            section("Throughput and losses", [side_by_side(_flow(curves))]),
            section("Processor and memory", [side_by_side(_costs(test, curves))]),
            _figures(test, pairs),
        ],
    )


def _tiles(test: LoadTest) -> list[Tile]:
    kept = [point for point in test.points if point.keeps_up]
    most = max(test.points, key=lambda point: point.answered)
    shown = [Tile("Most answers", f"{most.answered:,.4g}/s", in_words(most.load))]
    if kept:
        best = max(kept, key=lambda point: point.offered)
        shown.insert(
            0, Tile("Most that is kept up with", f"{best.offered:,.4g}/s", in_words(best.load))
        )
    for knee in test.knees[:4]:
        rate = "-" if knee.rate is None else f"{knee.rate:g}/s"
        name = "Knee" if knee.reached else "No knee up to"
        shown.append(Tile(name, rate, curve_in_words(knee.pipelines, knee.threads)))
    return shown


def _latency(curve: Curve, knee: Knee) -> str:
    """Three percentiles of one curve, and its knee."""
    name = curve_in_words(knee.pipelines, knee.threads)
    spreads = [point.latency_us for point in curve]
    series = [
        _series(curve, "50 %", [None if s is None else s.p50 / 1e3 for s in spreads]),
        _series(curve, "95 %", [None if s is None else s.p95 / 1e3 for s in spreads]),
        _series(curve, "99 %", [None if s is None else s.p99 / 1e3 for s in spreads]),
    ]
    mark = None if knee.rate is None else (knee.rate * knee.pipelines, "knee")
    plot = lines(
        f"Latency that 50, 95 and 99 % of the answers stay under: {name}",
        series, OFFERED, "captured to decoded, ms", mark=mark if knee.reached else None,
    )  # fmt: skip
    return figure(plot, f"{name}: {knee.words}.")


def _flow(curves: Sequence[Curve]) -> list[str]:
    """For each number of threads, since more than five lines are hard to tell apart."""
    plots = []
    for alike in _by_threads(curves):
        most = max(point.offered for curve in alike for point in curve)
        answered = [_series(curve, _name(curve), [p.answered for p in curve]) for curve in alike]
        answered.append(Series("all of them", (0.0, most), (0.0, most)))
        lost = [
            _series(curve, _name(curve), [100 * (p.skipped + p.errors) for p in curve])
            for curve in alike
        ]
        errors = sum(point.errors > 0 for curve in alike for point in curve)
        words = f"Loads with errors: {errors}." if errors else "All were skipped: no errors."
        plots += [
            figure(
                lines("Answers per second", answered, OFFERED, "answers per second"),
                "What lies below the straight line was skipped, or came to nothing.",
            ),
            figure(
                lines("Share of the pictures that is lost", lost, OFFERED, "skipped and errors, %"),
                words if any(any(each.ys) for each in lost) else "Nothing was lost.",
            ),
        ]
    return plots


def _costs(test: LoadTest, curves: Sequence[Curve]) -> list[str]:
    """For each number of threads, too."""
    cores = (100.0 * test.machine.cores, f"{test.machine.cores} cores")
    plots = []
    for alike in _by_threads(curves):
        cpu = [_series(curve, _name(curve), [p.cpu_percent for p in curve]) for curve in alike]
        memory = [_series(curve, _name(curve), [p.memory_mib for p in curve]) for curve in alike]
        plots += [
            figure(
                lines("Processor time of all pipelines", cpu, OFFERED, "CPU, % of one core",
                      level=cores),
                _sentence(camera_in_words(test)),
            ),
            figure(
                lines("Memory of all pipelines", memory, OFFERED, "MiB"),
                "What the processes share is counted once.",
            ),
        ]  # fmt: skip
    return plots


def _by_threads(curves: Sequence[Curve]) -> list[list[Curve]]:
    groups = itertools.groupby(curves, lambda curve: curve[0].load.threads)
    return [list(alike) for _, alike in groups]


def _figures(test: LoadTest, pairs: Sequence[tuple[Curve, Knee]]) -> str:
    parts = [table(COLUMNS, [_row(p) for p in curve], _name(curve), 0) for curve, _ in pairs]
    troubles = dict.fromkeys(
        printable(p.trouble, 200) for curve, _ in pairs for p in curve if p.trouble
    )
    left_out = [f"left out, since less was far too much already: {in_words(load)}"
                for load in test.left_out]  # fmt: skip
    digest = [f"the model is {test.subject.digest}"] if test.subject.digest else []
    return section(
        "All figures", [*parts, notes([*troubles, *left_out, *digest])],
        _sentence(EXPLAINED),
    )  # fmt: skip


def _row(point: Point) -> list[str | Cell]:
    """A load that is not kept up with stands out in what it lost."""
    is_bad = not point.keeps_up
    return [
        Cell(words, is_bad=is_bad and column in LOST_COLUMNS and words != "0.0%")
        for column, words in enumerate(cells_of(point))
    ]


def _series(curve: Curve, name: str, ys: Sequence[float | None]) -> Series:
    return Series(name, [point.offered for point in curve], ys)


def _name(curve: Curve) -> str:
    return curve_in_words(curve[0].load.pipelines, curve[0].load.threads)


def _sentence(words: str | None) -> str:
    return f"{words[:1].upper()}{words[1:]}." if words else ""
