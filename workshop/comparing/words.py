"""A comparison as a terminal shows it."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.panel import printable
from runtime.suite.table import machine_in_words
from workshop.comparing.results import Changed, Compared, Comparison, OnDevice

NO_FIGURE = "-"
RANKED_BY = {"top1": "top-1", "map50": "mAP50"}
LIKELY = 0.05  # from which on a difference may well be chance, by custom


def in_words(comparison: Comparison) -> str:
    """All that fits into a screen's width; the report has the rest."""
    samples = comparison.samples
    lines = [
        f"{samples.count} samples of {printable(samples.name, 200)}, "
        f"{machine_in_words(comparison.machine)}",
        "",
        *table(comparison),
    ]
    lines += [f"  {row.name}: {row.trouble}" for row in comparison.models if row.trouble]
    if any(row.on_front for row in comparison.models):
        lines += ["", "* no other is as accurate, as quick and as small (the Pareto front)"]
    lines += changes_in_words(comparison)
    lines += [device_in_words(each) for each in comparison.devices]
    lines += [
        f"{'FAILS' if gate.fails else 'passes'}: fail if {gate.condition}   ({gate.figures})"
        for gate in comparison.gates
    ]
    return "\n".join(lines)


def table(comparison: Comparison) -> list[str]:
    """A line for each model."""
    header = ["", "model", "format", metric_of(comparison.models), "agrees", "p50", "p95", "size",
              "memory"]  # fmt: skip
    rows = [["*" if row.on_front else "", *cells_of(row, comparison.reference)]
            for row in comparison.models]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return [
        "  ".join(
            f"{cell:<{wide}}" if place < 3 else f"{cell:>{wide}}"
            for place, (cell, wide) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (header, *rows)
    ]


def cells_of(row: Compared, reference: str) -> list[str]:
    """name, format, accuracy, agreement, p50, p95, size, memory."""
    agrees = row.agreement.get(reference)
    whole = None if row.latency is None else row.latency.end_to_end_us
    return [
        row.name,
        row.format or NO_FIGURE,
        share(None if row.accuracy is None else row.accuracy.value),
        share(agrees),
        NO_FIGURE if whole is None else milliseconds(whole.p50),
        NO_FIGURE if whole is None else milliseconds(whole.p95),
        size(row.size_bytes) if row.size_bytes else NO_FIGURE,
        NO_FIGURE if row.memory is None else f"{row.memory.peak_mib:,.0f} MiB",
    ]


def metric_of(rows: Sequence[Compared]) -> str:
    """What the accuracy is, where all have the same."""
    metrics = {row.accuracy.metric for row in rows if row.accuracy is not None}
    return RANKED_BY[metrics.pop()] if len(metrics) == 1 else "accuracy"


def share(value: float | None) -> str:
    return NO_FIGURE if value is None else f"{value:.4f}"


def milliseconds(microseconds: float) -> str:
    """Of a small network on rows a frame takes some microseconds."""
    value = microseconds / 1e3
    return f"{value:,.2f} ms" if value >= 0.1 else f"{value:.3f} ms"


def size(count: int) -> str:
    """Of a file, in units of thousands."""
    if count < 1_000_000:
        return f"{count / 1e3:,.1f} kB"
    return f"{count / 1e6:,.2f} MB"


def changes_in_words(comparison: Comparison) -> list[str]:
    """What is different beside the reference, and whether that may be chance. Models of which the
    same is true share a line."""
    lines: dict[str, list[str]] = {}
    for row in comparison.models:
        if row.changed is not None:
            words = _changed_in_words(row.changed, comparison.reference)
            lines.setdefault(words, []).append(row.name)
    return [f"{', '.join(names)}: {words}" for words, names in lines.items()]


def _changed_in_words(changed: Changed, reference: str) -> str:
    if not changed.lost and not changed.gained:
        return f"right and wrong where {reference} is"
    likely = "may well be chance" if changed.chance > LIKELY else "is hardly chance"
    return (
        f"lost {changed.lost} and gained {changed.gained} samples beside {reference}, which "
        f"{likely} (McNemar p = {changed.chance:.2g})"
    )


def device_in_words(bench: OnDevice) -> str:
    """One line."""
    where = bench.device + (f", pipeline {bench.pipeline}" if bench.pipeline else "")
    if bench.trouble is not None or bench.inference_us is None or bench.end_to_end_us is None:
        return f"{where}: no figures: {bench.trouble}"
    which = bench.of or f"{bench.model}, which is none of these"
    return (
        f"{where}: {which}, {bench.engine}: inference {milliseconds(bench.inference_us.p50)}, "
        f"sensor to result {milliseconds(bench.end_to_end_us.p50)}, 95 % under "
        f"{milliseconds(bench.end_to_end_us.p95)} ({bench.frames} frames)"
    )
