"""A matrix of counts as SVG: which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from workshop.drawing_axes import LETTER, Plot

MOST_WORDS = 14  # letters of a class beside the matrix
FAINTEST = 0.06  # so that a cell with something in it is seen


def matrix(
    label: str,
    names: tuple[Sequence[str], Sequence[str]],
    counts: Sequence[Sequence[int]],
    titles: tuple[str, str],
) -> str:
    """Rows with their counts, shaded by their share of the row. names, titles: of rows, columns."""
    rows, columns = ([_short(name) for name in each] for each in names)
    side = max(17.0, min(27.0, 420 / max(len(columns), 1)))
    longest = max([len(name) for name in (*rows, *columns)], default=1)
    beside = longest * LETTER + 34
    is_slanted = longest * LETTER > side
    above = (longest * LETTER * 0.75 if is_slanted else 14) + 30
    plot = Plot(label, width=beside + side * len(columns) + (beside * 0.5 if is_slanted else 12),
                height=above + side * len(rows) + 8, least=300)  # fmt: skip
    plot.text(beside, 14, titles[1], "title")
    plot.draw(
        f'<text class="title" text-anchor="end" transform="translate(14 {above:.1f}) '
        f'rotate(-90)">{escape(titles[0])}</text>'
    )
    for place, name in enumerate(columns):
        x = beside + (place + 0.5) * side
        if is_slanted:
            plot.draw(
                f'<text class="tick" transform="translate({x - 2:.1f} {above - 6:.1f}) '
                f'rotate(-45)">{escape(name)}</text>'
            )
        else:
            plot.text(x, above - 6, name, "tick", "middle")
    for row, name in enumerate(rows):
        y = above + row * side
        plot.text(beside - 8, y + side / 2 + 4, name, "tick", "end")
        _row(plot, counts[row], beside, y, side)
    return plot.svg()


def _row(plot: Plot, counts: Sequence[int], x: float, y: float, side: float) -> None:
    total = sum(counts)
    for place, count in enumerate(counts):
        left = x + place * side
        if count == 0:
            plot.draw(
                f'<rect class="none" x="{left + 0.5:.1f}" y="{y + 0.5:.1f}" '
                f'width="{side - 1:.1f}" height="{side - 1:.1f}"/>'
            )
            continue
        share = count / total
        plot.draw(
            f'<rect class="cell" x="{left + 0.5:.1f}" y="{y + 0.5:.1f}" width="{side - 1:.1f}" '
            f'height="{side - 1:.1f}" fill-opacity="{max(FAINTEST, share):.2f}"/>'
        )
        kind = "inside over" if share > 0.55 else "inside"
        if len(str(count)) * LETTER < side:
            plot.text(left + side / 2, y + side / 2 + 4, str(count), kind, "middle")


def _short(name: str) -> str:
    return name if len(name) <= MOST_WORDS else name[: MOST_WORDS - 1] + "\u2026"
