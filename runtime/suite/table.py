"""A suite as text: a table for people, CSV for other programs, and a line while it runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from runtime.panel import printable
from runtime.suite import (
    Machine,
    Row,
    Suite,
    Worse,
    camera_in_words,
    engine_in_words,
    threads_in_words,
)
from runtime.table import duration

COLUMNS = (
    "model", "engine", "threads", "camera", "raw p50", "p95", "end to end", "ratio", "per second",
    "MiB",
)  # fmt: skip
LEFT = 4  # columns of words; the others are figures
EXPLAINED = (
    "raw: the engine call alone; end to end: from the camera's stamp to the decoded answer; ratio: "
    "of both, pair by pair; per second: frames that the loop carries"
)
FIELDS = (
    "model", "version", "digest", "engine", "accelerator", "threads", "camera", "pairs",
    "raw_p50_us", "raw_p95_us", "end_to_end_p50_us", "end_to_end_p95_us", "preprocess_p50_us",
    "overhead_us", "overhead_ratio", "frames_per_s", "peak_rss_mib", "trouble",
)  # fmt: skip


def in_words(suite: Suite) -> str:
    """The whole suite as a person reads it."""
    lines = [machine_in_words(suite.machine)]
    lines += [
        f"{engine.name} does not work here: {engine.trouble}"
        for engine in suite.engines
        if engine.trouble is not None
    ]
    cells = [COLUMNS, *(_cells(row) for row in suite.rows)]
    widths = [max(len(line[n]) for line in cells if n < len(line)) for n in range(len(COLUMNS))]
    lines += ["", *(_line(each, widths) for each in cells[:1])]
    model = None
    for row, line in zip(suite.rows, cells[1:], strict=True):
        if model not in (None, row.of.model):
            lines.append("")
        model = row.of.model
        words = "" if row.trouble is None else "  " + printable(row.trouble, 200)
        lines.append(_line(line, widths) + words)
    lines += ["", EXPLAINED]
    return "\n".join(lines)


def machine_in_words(machine: Machine) -> str:
    return (
        f"{machine.processor}, {machine.cores} cores, {machine.system}, Python {machine.python}, "
        f"Vedette {machine.vedette}, {machine.began}, load {machine.load:.1f} when it began"
    )


def worse_in_words(worse: Sequence[Worse]) -> str:
    """What the earlier run did better, a line each."""
    return "\n".join(
        f"worse: {combination_in_words(each)}: {each.figure} took {duration(each.before)}, "
        + ("it does not run now" if each.now is None else _grown(each.before, each.now))
        for each in worse
    )


def _grown(before: float, now: float) -> str:
    return f"takes {duration(now)} now ({now / before - 1:+.0%})"


def combination_in_words(row: Row | Worse) -> str:
    """`digits with litert, 1 thread, 640x480`"""
    of = row.of
    if not of.engine:
        return printable(of.model)
    words = (engine_in_words(of), threads_in_words(of), camera_in_words(of))
    return f"{printable(of.model)} with {', '.join(printable(each, 200) for each in words)}"


def row_in_words(row: Row) -> str:
    """One combination in a line, for who waits for the rest."""
    if row.measured is None:
        return f"{combination_in_words(row)}: {printable(row.trouble or '', 200)}"
    took = row.measured
    return (
        f"{combination_in_words(row)}: {duration(took.raw_us.p50)} alone, "
        f"{duration(took.end_to_end_us.p50)} end to end, x {took.overhead_ratio:.3f}"
    )


def as_csv(suite: Suite) -> str:
    """A line for each row, under one of names."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIELDS)
    writer.writerows(_values(row) for row in suite.rows)
    return text.getvalue()


def _values(row: Row) -> Iterator[object]:
    """In the order of FIELDS. A text that a spreadsheet would take for a formula is quoted."""
    of, took = row.of, row.measured
    yield _harmless(of.model)
    yield from (_harmless(took.version), took.digest) if took else ("", "")
    yield from (of.engine, _harmless(of.accelerator or ""), of.threads, _harmless(of.camera))
    if took is None:
        yield from [""] * (FIELDS.index("trouble") - FIELDS.index("pairs"))
    else:
        yield took.pairs
        yield from (round(us, 1) for us in (took.raw_us.p50, took.raw_us.p95))
        yield from (round(us, 1) for us in (took.end_to_end_us.p50, took.end_to_end_us.p95))
        yield from (round(us, 1) for us in (took.preprocess_us.p50, took.overhead_us))
        yield round(took.overhead_ratio, 4)
        yield from (round(took.frames_per_s, 1), round(took.peak_rss_mib, 1))
    yield _harmless(row.trouble or "")


def _harmless(text: str) -> str:
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


def _cells(row: Row) -> tuple[str, ...]:
    of, took = row.of, row.measured
    words = (
        printable(of.model),
        printable(engine_in_words(of)),
        str(of.threads or ""),
        printable(camera_in_words(of)),
    )
    if took is None:
        return words
    return (
        *words,
        f"{took.raw_us.p50:,.0f}",
        f"{took.raw_us.p95:,.0f}",
        f"{took.end_to_end_us.p50:,.0f}",
        f"{took.overhead_ratio:.3f}",
        f"{took.frames_per_s:,.1f}",
        f"{took.peak_rss_mib:,.0f}",
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.ljust(width) if n < LEFT else cell.rjust(width)
        for n, (cell, width) in enumerate(zip(cells, widths, strict=False))
    ]
    return "  ".join(padded).rstrip()
