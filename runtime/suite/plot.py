"""A suite as one SVG: a bar for each row, the bare call and what a whole frame takes beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from xml.sax.saxutils import escape

from runtime.panel import printable
from runtime.suite import (
    Measured,
    Row,
    Suite,
    camera_in_words,
    engine_in_words,
    threads_in_words,
)
from runtime.suite.table import machine_in_words
from runtime.table import duration

WIDTH, MARGIN = 1080, 24
BAR_X, BAR_WIDTH = 356, 440  # words are left of the bars, figures are right of them
FIGURES_X = (882, 962, WIDTH - MARGIN)  # where each column of figures ends
ROW_HEIGHT, BAR_HEIGHT, GAP = 20, 12, 8
WIDEST = 2.0  # times the longest median: a 95 % beyond that would make the bars small
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#1d2733}.title{font-size:18px;font-weight:600}"
    ".model{font-size:14px;font-weight:600}.faint{fill:#5b6875}.end{text-anchor:end}"
    ".trouble{fill:#a3261c}.raw{fill:#2b6ca3}.beside{fill:#e58a2e}"
    ".most{stroke:#5b6875;stroke-width:1.5;fill:none}.line{stroke:#d5dbe1}"
)


def as_svg(suite: Suite) -> str:
    """One picture, complete in itself: no script, no font and no style from elsewhere."""
    pen = _Pen()
    pen.text(MARGIN, 30, "Vedette: what models take here", "title")
    pen.text(MARGIN, 52, machine_in_words(suite.machine), "faint")
    pen.legend(76)
    pen.y = 92.0
    for model, rows in groupby(suite.rows, key=lambda row: row.of.model):
        pen.group(model, list(rows))
    pen.y += GAP
    for engine in suite.engines:
        if engine.trouble is not None:
            pen.y += ROW_HEIGHT
            words = printable(f"{engine.name} does not work here: {engine.trouble}", 150)
            pen.text(MARGIN, pen.y, words, "faint")
    height = pen.y + MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'width="{WIDTH}" height="{height:.0f}" role="img">\n'
        "<title>Vedette: what models take on this machine</title>\n"
        f"<style>{STYLE}</style>\n"
        f'<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(pen.parts) + "\n</svg>\n"
    )


class _Pen:
    """Where the next row goes, and what is drawn so far."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.y = 0.0

    def text(self, x: float, y: float, words: str, kind: str = "") -> None:
        named = f' class="{kind}"' if kind else ""
        self.parts.append(f'<text x="{x:g}" y="{y:g}"{named}>{escape(words)}</text>')

    def bar(self, x: float, y: float, width: float, kind: str) -> None:
        self.parts.append(
            f'<rect class="{kind}" x="{x:.1f}" y="{y:g}" width="{width:.1f}" '
            f'height="{BAR_HEIGHT}"/>'
        )

    def legend(self, y: float) -> None:
        x = float(MARGIN)
        for kind, words, width in (
            ("raw", "the engine call alone", 166.0),
            ("beside", "what a whole frame takes beside it (medians)", 312.0),
        ):
            self.bar(x, y - 10, 12, kind)
            self.text(x + 18, y, words)
            x += width
        self.parts.append(f'<path class="most" d="M{x:g} {y - 4:g}h12m0 -4v8"/>')
        self.text(x + 18, y, "95 % of frames")

    def group(self, model: str, rows: Sequence[Row]) -> None:
        """All rows of one model, on a scale of their own that begins at 0."""
        self.y += 16
        self.parts.append(f'<path class="line" d="M{MARGIN} {self.y:g}H{WIDTH - MARGIN}"/>')
        self.y += 22
        version = next((row.measured.version for row in rows if row.measured), "")
        own = "" if version.rpartition(" ")[0] in model else f" ({printable(version)})"
        self.text(MARGIN, self.y, printable(model) + own, "model")
        for x, words in zip(FIGURES_X, ("end to end", "x the call", "per second"), strict=True):
            self.text(x, self.y, words, "faint end")
        self.y += 8
        scale = _scale([row.measured for row in rows if row.measured])
        for _, kin in groupby(rows, key=lambda row: (row.of.engine, row.of.accelerator)):
            for row in kin:
                self.row(row, scale)
            self.y += GAP
        self.y -= GAP

    def row(self, row: Row, scale: float) -> None:
        """scale: pixels for a microsecond."""
        self.y += ROW_HEIGHT
        self.text(MARGIN, self.y, _words(row))
        took = row.measured
        if took is None:
            x = BAR_X if row.of.engine else MARGIN
            self.text(x, self.y, printable(row.trouble or "", 110), "trouble")
            return
        top = self.y - BAR_HEIGHT + 2
        raw, whole = took.raw_us.p50 * scale, took.end_to_end_us.p50 * scale
        self.bar(BAR_X, top, raw, "raw")
        if whole > raw:
            self.bar(BAR_X + raw, top, whole - raw, "beside")
        self.parts.append(_whisker(took, scale, self.y - BAR_HEIGHT / 2 + 2))
        for x, figure in zip(FIGURES_X, _figures(took), strict=True):
            self.text(x, self.y, figure, "end")


def _words(row: Row) -> str:
    of = row.of
    if not of.engine:
        return ""
    words = (engine_in_words(of), threads_in_words(of), camera_in_words(of))
    return printable(" · ".join(words), 52)


def _figures(took: Measured) -> Iterator[str]:
    yield duration(took.end_to_end_us.p50)
    yield f"{took.overhead_ratio:.3f}"
    yield f"{took.frames_per_s:,.{0 if took.frames_per_s >= 99.5 else 1}f}"


def _scale(measured: Sequence[Measured]) -> float:
    longest = max((each.end_to_end_us.p50 for each in measured), default=1.0)
    slowest = max((each.end_to_end_us.p95 for each in measured), default=1.0)
    return BAR_WIDTH / min(WIDEST * longest, max(longest, slowest))


def _whisker(took: Measured, scale: float, y: float) -> str:
    """From the median to what 95 % of the frames stay under; without an end where that is not on
    the picture."""
    start, end = took.end_to_end_us.p50 * scale, took.end_to_end_us.p95 * scale
    line = f"M{BAR_X + start:.1f} {y:g}H{BAR_X + min(end, BAR_WIDTH):.1f}"
    return f'<path class="most" d="{line}{"" if end > BAR_WIDTH else "m0 -4v8"}"/>'
