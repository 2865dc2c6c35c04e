"""CSV that no spreadsheet takes for a program."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone
from itertools import chain, islice

from litestar.response import Stream

Cell = str | int | float | None
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
ROWS = 500  # in one piece


def sheet(name: str, heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Stream:
    """A file NAME.csv that is written while it is read."""
    headers = {"content-disposition": f'attachment; filename="{name}.csv"'}
    return Stream(pieces(heads, rows), media_type="text/csv", headers=headers)


def pieces(heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[bytes]:
    """RFC 4180, in pieces of some hundred rows."""
    lines = iter(chain((tuple(heads),), rows))
    while some := list(islice(lines, ROWS)):
        text = io.StringIO(newline="")
        csv.writer(text).writerows([harmless(cell) for cell in row] for row in some)
        yield text.getvalue().encode("utf-8", "replace")


def harmless(cell: Cell) -> Cell:
    """Text that begins like a formula gets an apostrophe first. Words of devices are strangers'."""
    if isinstance(cell, str):
        cell = cell.replace("\0", "")
        return f"'{cell}" if cell.startswith(FORMULA) else cell
    return round(cell, 3) if isinstance(cell, float) else cell


def moment(at_s: float | None) -> str | None:
    """As spreadsheets read it, in UTC."""
    if at_s is None:
        return None
    try:
        at = datetime.fromtimestamp(at_s, timezone.utc)
    except (OverflowError, ValueError, OSError):
        return None
    return at.strftime("%Y-%m-%d %H:%M:%S")


def ms(value_us: float | None) -> float | None:
    return None if value_us is None else value_us / 1000.0
