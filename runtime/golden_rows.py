"""Rows of a table as files of one row each: what golden samples of tabular models are made of."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from models.row import Row
from runtime.rows import Cells, names_and_rows, picker
from wire.troubles import Refused

MOST_ROWS = 100_000  # of a table that are looked through


def rows_in(table: Path, wanted: Row, folder: Path, most: int) -> list[Path]:
    """At most so many rows of a CSV file, evenly from all of it, each as a file in `folder` with
    nothing but the model's columns. Raises Refused."""
    names, lines = names_and_rows(table)
    rows = [row for row, _ in zip(lines, range(MOST_ROWS), strict=False)]
    lines.close()
    if not rows:
        raise Refused(f"{table}: has no rows below the names of its columns")
    try:
        fitting = picker(names, wanted.columns, wanted.count, rows[0])
    except Refused as trouble:
        raise Refused(f"{table}: {trouble}") from None
    step = max(1, -(-len(rows) // most))
    files = []
    for number in range(0, len(rows), step):
        if len(rows[number]) != fitting.expects:
            raise Refused(
                f"{table}: row {number + 1} has {len(rows[number])} values, {fitting.expects} are "
                "expected"
            )
        file = folder / f"{table.stem} row {number + 1}.csv"
        file.write_bytes(_one(fitting.columns, [rows[number][place] for place in fitting.places]))
        files.append(file)
    return files


def _one(columns: Sequence[str], cells: Cells) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if columns:
        writer.writerow(columns)
    writer.writerow(cells)
    return text.getvalue().encode()
