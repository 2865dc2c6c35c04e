"""A comparison as one HTML page: what decides first, then where differences come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

from runtime.panel import printable
from runtime.suite.table import machine_in_words
from workshop.comparing.front import worth
from workshop.comparing.report_inside import classes, confusions, layers
from workshop.comparing.results import Compared, Comparison, OnDevice
from workshop.comparing.words import (
    NO_FIGURE,
    changes_in_words,
    device_in_words,
    metric_of,
    milliseconds,
    share,
    size,
)
from workshop.drawing import (
    Cell,
    Tile,
    document,
    figure,
    heading,
    notes,
    section,
    side_by_side,
    table,
    tiles,
    verdict,
)
from workshop.drawing_plots import Point, scatter

LEAST_SPAN = 0.01  # of accuracy: a plot shows a point at least, or noise would look like much
FEW = 4  # names in a row
MANY = 60  # of lines that a list of reasons has at most


def as_html(comparison: Comparison) -> str:
    """The whole page."""
    samples, rows = comparison.samples, comparison.models
    what = " and ".join(row.name for row in rows) if len(rows) < 3 else f"{len(rows)} models"
    parts = [
        tiles(_tiles(comparison)),
        *_gates(comparison),
        _overview(comparison),
        *_agreement(comparison),
        *_devices(comparison.devices),
        *confusions(rows),
        *classes(rows),
        *layers(rows),
        _made(comparison),
    ]
    return document(
        f"{what} compared",
        f"{samples.count:,} samples of {printable(samples.name, 200)} \u00b7 "
        f"{machine_in_words(comparison.machine)}",
        parts,
        f"vedette model compare {comparison.machine.vedette}, {comparison.machine.began}",
    )


def _tiles(comparison: Comparison) -> list[Tile]:
    """Who is best at what."""
    sound = [row for row in comparison.models if row.trouble is None]
    found = []
    ranked = [(value, row) for row in sound if (value := worth(row, comparison.reference))]
    if ranked and any(row.accuracy for row in sound):
        most = max(value for value, _ in ranked)
        best = _listed([row.name for value, row in ranked if value == most])
        found.append(Tile(f"Most accurate: {best}", share(most), metric_of(sound)))
    timed = [(row.latency.end_to_end_us.p50, row) for row in sound if row.latency is not None]
    if timed:
        microseconds, quick = min(timed, key=lambda each: each[0])
        found.append(
            Tile(f"Quickest: {quick.name}", milliseconds(microseconds), "median of a frame in hand")
        )
    if sound:
        small = min(sound, key=lambda row: row.size_bytes)
        found.append(Tile(f"Smallest: {small.name}", size(small.size_bytes), "model file"))
        front = ", ".join(row.name for row in sound if row.on_front)
        found.append(Tile("On the Pareto front", front or NO_FIGURE, "none is better at all three"))
    return found


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) < FEW else f"{names[0]} and {len(names) - 1} more"


def _gates(comparison: Comparison) -> list[str]:
    if not comparison.gates:
        return []
    said = [
        verdict(
            f"{'Fails' if gate.fails else 'Passes'}: fail if {gate.condition} ({gate.figures})",
            not gate.fails,
        )
        for gate in comparison.gates
    ]
    return [section("Gates", said)]


def _overview(comparison: Comparison) -> str:
    rows = comparison.models
    by_truth = any(row.accuracy is not None for row in rows)
    metric = metric_of(rows) if by_truth else f"agreement with {comparison.reference}"
    plots = _scatters(comparison, metric)
    words = (
        "Filled circles are on the Pareto front: no other model is at least as accurate, as quick "
        "and as small."
    )
    if not by_truth:
        words = f"The samples have no truth for this task: {metric} stands for accuracy. {words}"
    reasons = [f"{row.name}: {row.trouble}" for row in rows if row.trouble]
    guessed = [f"{row.name}: no manifest: {guess}" for row in rows for guess in row.guesses]
    return section(
        "Accuracy, latency and size",
        [*plots, _figures(comparison), notes(reasons + guessed[:MANY])],
        words if plots else "",
    )


def _scatters(comparison: Comparison, metric: str) -> list[str]:
    shown = [
        (place, row, value, row.latency.end_to_end_us.p50 / 1e3)
        for place, row in enumerate(comparison.models)
        if row.latency is not None
        and row.trouble is None
        and (value := worth(row, comparison.reference)) is not None
    ]
    if not shown:
        return []
    largest = max(row.size_bytes for _, row, _, _ in shown) or 1
    per, unit = (1e6, "MB") if largest >= 1_000_000 else (1e3, "kB")
    by_time = [
        Point(row.name, ms, value, row.size_bytes / largest, row.on_front, place,
              f"{row.name}: {share(value)}, {ms:.2f} ms, {size(row.size_bytes)}")
        for place, row, value, ms in shown
    ]  # fmt: skip
    by_size = [
        Point(row.name, row.size_bytes / per, value, 0.15, row.on_front, place,
              f"{row.name}: {share(value)}, {size(row.size_bytes)}")
        for place, row, value, _ in shown
    ]  # fmt: skip
    return [
        side_by_side(
            [
                figure(
                    scatter(f"{metric} against latency, circles by size", by_time,
                            "median of a frame in hand, ms", metric, LEAST_SPAN, 1.0),
                    "The larger the circle the larger the file. Left and up is better; the line "
                    "joins what is best by these two.",
                ),
                figure(
                    scatter(f"{metric} against size", by_size, f"model file, {unit}", metric,
                            LEAST_SPAN, 1.0),
                    "The same models by the size of their files.",
                ),
            ]
        )
    ]  # fmt: skip


def _figures(comparison: Comparison) -> str:
    """Every model in a row, the best of each column marked."""
    rows = comparison.models
    columns = [_accuracy_column(rows), [row.agreement.get(comparison.reference) for row in rows]]
    costs: list[list[float | None]] = [
        [None if row.latency is None else row.latency.end_to_end_us.p50 for row in rows],
        [None if row.latency is None else row.latency.end_to_end_us.p95 for row in rows],
        [None if row.latency is None else row.latency.inference_us.p50 for row in rows],
        [row.size_bytes or None for row in rows],
        [None if row.memory is None else row.memory.peak_mib for row in rows],
    ]
    best = [_standing_out(columns[0], max), None]
    least = [_standing_out(column, min) for column in costs]
    body = []
    for place, row in enumerate(rows):
        values = [column[place] for column in (*columns, *costs)]
        words = [share(values[0]), share(values[1]), *_cost_words(values[2:])]
        marks = [*best, *least]
        cells = [
            Cell(said, value is not None and value == mark)
            for said, value, mark in zip(words, values, marks, strict=True)
        ]
        extra = _further(row)
        where = f"{row.format}, {row.engine}" if row.format else NO_FIGURE
        name = f"{row.name} *" if row.on_front else row.name
        line: list[str | Cell] = [name, where, cells[0], *extra, *cells[1:]]
        body.append(line)
    metric = metric_of(rows)
    second = {"top-1": ["95 % confidence", "top-5"], "mAP50": ["", "mAP50-95"]}
    header = ["model", "format", metric, *second.get(metric, ["", ""]), "agrees", "p50", "p95",
              "inference p50", "size", "memory"]  # fmt: skip
    kept = [place for place, name in enumerate(header) if name]
    return table(
        [header[place] for place in kept],
        [[line[place] for place in kept] for line in body],
        f"*: on the front. agrees: with {comparison.reference}. p50, p95: of a whole frame in hand "
        f"(prepare, infer, decode), {comparison.threads} thread"
        f"{'s' if comparison.threads > 1 else ''}. memory: the most that was resident.",
        words=2,
    )


def _standing_out(
    column: Sequence[float | None], pick: Callable[[list[float]], float]
) -> float | None:
    """The best of a column, where not all are as good."""
    known = [value for value in column if value is not None]
    return pick(known) if len(set(known)) > 1 else None


def _accuracy_column(rows: Sequence[Compared]) -> list[float | None]:
    return [None if row.accuracy is None else row.accuracy.value for row in rows]


def _cost_words(values: Sequence[float | None]) -> list[str]:
    *times, count, memory = values
    words = [NO_FIGURE if each is None else milliseconds(each) for each in times]
    words.append(NO_FIGURE if count is None else size(int(count)))
    return [*words, NO_FIGURE if memory is None else f"{memory:,.0f} MiB"]


def _further(row: Compared) -> list[str]:
    """Confidence and top-5 of a classifier, or nothing and mAP50-95 of a detector."""
    if row.accuracy is None:
        return [NO_FIGURE, NO_FIGURE]
    if row.low is None or row.high is None:
        return ["", share(row.accuracy.map50_95)]
    return [f"{row.low:.4f} to {row.high:.4f}", share(row.accuracy.top5)]


def _agreement(comparison: Comparison) -> list[str]:
    sound = [row for row in comparison.models if row.agreement]
    if len(sound) < 2:
        return []
    body = [[row.name, *(share(row.agreement.get(other.name)) for other in sound)] for row in sound]
    said = changes_in_words(comparison)
    for row in sound:
        if row.changed is not None and row.changed.names:
            names = ", ".join(printable(name, 60) for name in row.changed.names)
            said.append(f"{row.name} lost {names}")
    header = ["model", *(row.name for row in sound)]
    words = "How often two models say the same, whatever is true."
    return [section("Agreement", [table(header, body, words), notes(said)])]


def _devices(devices: Sequence[OnDevice]) -> list[str]:
    if not devices:
        return []
    words = "The live loop of enrolled devices, measured by their agents."
    return [section("On devices", [notes([device_in_words(each) for each in devices])], words)]


def _made(comparison: Comparison) -> str:
    """What each file is and how it came about."""
    samples = comparison.samples
    parts = [
        table(
            ["model", "file", "name", "digest"],
            [[row.name, row.path, printable(f"{row.model} {row.version}"), row.digest[:16]]
             for row in comparison.models],
            "What was compared.", words=4,
        )
    ]  # fmt: skip
    for row in comparison.models:
        if row.made is not None:
            lines = [f"by {row.made.by}", *row.made.steps]
            lines += [f"{key} = {value}" for key, value in row.made.options.items()]
            lines += [f"{key} {value}" for key, value in row.made.tools.items()]
            parts += [heading(f"How {row.name} was made"), notes(list(islice(lines, MANY)))]
    parts += [
        heading("How it was measured"),
        notes(
            [
                f"{samples.count:,} samples of {printable(samples.name, 300)}, sha256 "
                f"{samples.digest}",
                *(f"left out: {line}" for line in samples.left_out[:MANY]),
                "Each model has a process of its own for latency and memory; they take turns on "
                "the same pictures, so that what disturbs one disturbs all. Times on a busy "
                "machine are upper bounds: compare them with each other.",
                "mAP: all points of the precision-recall curve; confidence: Wilson's interval; "
                "lost and gained: the exact McNemar test.",
            ]
        ),
    ]
    return section("What, and how", parts)
