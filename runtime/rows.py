"""Rows of numbers as they stand in files and messages: taken apart, picked by name, made floats."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from models.row import MOST_NUMBERS
from runtime.panel import printable
from wire.troubles import Refused
from wire.unreadable import UNREADABLE

Floats = npt.NDArray[np.float32]
Cells = Sequence[Any]
Lines = Generator[list[str], None, None]

LARGEST = float(np.finfo(np.float32).max)
SEPARATORS = ",;\t"
MISSING = ("", "nan", "na", "null")  # cells of files that have no number, in any case
DECIMAL_COMMA = re.compile(r"[+-]?[0-9]{1,20},[0-9]{1,20}")
LONGEST_LINE = 1 << 20  # bytes: a file without line breaks is no table
NAMED = 8  # columns that a message lists


def names_and_rows(path: Path) -> tuple[tuple[str, ...], Lines]:
    """The names above the columns of a CSV file, none if its first line has numbers only, and the
    rows below them, read when they are asked for. Empty lines are none.

    Separated by commas, semicolons or tabs, whichever the first line has most of. Raises Refused,
    also from the iterator.
    """
    rows = _rows(path)
    first = next(rows, None)
    if first is None:
        rows.close()
        raise Refused(f"{path}: is empty: a table of rows is needed")
    if all(is_number(cell) for cell in first):
        return (), _chained(first, rows)
    names = tuple(cell.strip() for cell in first)
    for name in names:
        if names.count(name) > 1:
            rows.close()
            raise Refused(f"{path}: two columns are called {name!r}: rename one")
    return names, rows


def _rows(path: Path) -> Lines:
    try:
        with path.open("rb") as file:
            first = file.readline(LONGEST_LINE).decode("utf-8-sig")
            # line by line: Python's own text files decode pieces larger than any frame may cost
            rest = (line.decode() for line in iter(lambda: file.readline(LONGEST_LINE), b""))
            separator = max(SEPARATORS, key=first.count)
            for cells in csv.reader(chain((first,), rest), delimiter=separator):
                if any(map(str.strip, cells)):
                    yield cells
    except OSError as error:
        raise Refused(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Refused(f"{path}: is no text in UTF-8: save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise Refused(f"{path}: is no table that can be read: {error}") from None


def _chained(first: list[str], rows: Lines) -> Lines:
    yield first
    yield from rows


def is_number(cell: Any) -> bool:
    """Whether it is one, or says that one is missing."""
    try:
        number(cell)
    except ValueError:
        return False
    return True


def number(cell: Any) -> float:
    """The number that a cell of a table or a value of JSON means; NaN where one is missing. Raises
    ValueError with what it is instead."""
    try:
        value = float(cell)
    except (TypeError, ValueError, OverflowError):
        if cell is None or (isinstance(cell, str) and cell.strip().lower() in MISSING):
            return math.nan
    else:
        is_python = isinstance(cell, str) and "_" in cell  # 1_000 is a number in Python alone
        if (-LARGEST <= value <= LARGEST or value != value) and not is_python:
            return value
    hint = f": write {cell.strip().replace(',', '.')}" if _has_comma(cell) else ""
    raise ValueError(f"{str(cell)[:40]!r} is no number that float32 can hold{hint}")


def _has_comma(cell: Any) -> bool:
    """Whether it is a decimal number as it is written in half of the world."""
    return isinstance(cell, str) and DECIMAL_COMMA.fullmatch(cell.strip()) is not None


@dataclass(frozen=True)
class Picker:
    """Takes a model's numbers out of rows of one form. expects: how many values such a row has.
    places: which of them are taken, in order; columns: what these are called, if that is known."""

    expects: int
    places: tuple[int, ...]
    columns: tuple[str, ...]

    def into(self, cells: Cells, out: Floats) -> None:
        """Write the numbers of a row. Raises Refused for a row that has not what is needed."""
        if len(cells) != self.expects:
            raise Refused(f"{len(cells)} values, where {self.expects} are expected")
        for index, place in enumerate(self.places):
            try:
                out[index] = number(cells[place])
            except ValueError as error:
                named = f"value {place + 1}"
                if self.columns:
                    named = f"column {printable(self.columns[index], 40)}"
                raise Refused(f"{named}: {error}") from None


def picker(names: Sequence[str], wanted: Sequence[str], count: int | None, row: Cells) -> Picker:
    """How to read rows like `row`, whose values are called `names`, if they are called anything.

    wanted: the columns to take; none: all. count: how many numbers the model takes; None: as many
    as there are in this row. Raises Refused for rows that do not fit.
    """
    if names and wanted:
        missing = [name for name in wanted if name not in names]
        if missing:
            verb = "is" if len(missing) == 1 else "are"
            raise Refused(f"{listed(missing)} {verb} missing: there are {listed(names)}")
        places = tuple(map(list(names).index, wanted))
    elif names and count is None:
        found = range(min(len(names), len(row)))
        places = tuple(place for place in found if is_number(row[place]))
    else:
        places = tuple(range(len(names or row)))
    columns = tuple(names[place] for place in places) if names else tuple(wanted)
    if not 1 <= len(places) <= MOST_NUMBERS:
        raise Refused(f"{len(places)} numbers in a row: from 1 to {MOST_NUMBERS} can be used")
    if len(places) != (count or len(places)) or len(columns) not in (0, len(places)):
        raise Refused(
            f"{len(places)} values in a row, and {count or len(columns)} numbers are taken: say "
            "which: [row] columns in the model's manifest, or columns=A,B in the camera's URI"
        )
    return Picker(len(names or row), places, columns)


def read_message(payload: bytes) -> Mapping[str, Any] | list[Any]:
    """A message: a JSON object by names, a JSON array, or a line of CSV. Raises Refused."""
    text = payload.lstrip()
    try:
        if text[:1] in (b"{", b"["):
            kind: Any = dict[str, Any] if text[:1] == b"{" else list[Any]
            read: dict[str, Any] | list[Any] = msgspec.json.decode(text, type=kind)
            return read
        line = payload.decode("utf-8").strip()
        separator = max(SEPARATORS, key=line.count)
        rows = list(csv.reader([line], delimiter=separator))
    except (csv.Error, *UNREADABLE) as error:
        raise Refused(f"is no row: {error}") from None
    if len(rows) != 1 or not line:
        raise Refused("is no row: a JSON object or array, or a line of CSV, is expected")
    return rows[0]


def listed(names: Sequence[str]) -> str:
    """The first few names: strangers give them."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(printable(name, 40) for name in names[:NAMED]) + more
