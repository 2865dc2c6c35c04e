"""Tables as samples: each row of a CSV file, and the class that a column of it says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from runtime.cameras import options
from runtime.cameras.recording import path_of
from runtime.cameras.rows import columns_of
from runtime.frames import Frame, row_layout
from runtime.rows import Picker, listed, names_and_rows, picker
from runtime.tasks import Box
from wire.troubles import Refused
from workshop.samples import Sample, Truth
from workshop.samples.labels import match

ENDING = ".csv"
USUAL = ("class", "label")  # names of a column that are believed to be the truth
MOST_ROWS = 2_000_000


def is_table(words: str) -> bool:
    """Whether these words name a table."""
    return words.partition("?")[0].lower().endswith(ENDING) or words.startswith("rows://")


def open_rows(words: str, labels: Sequence[str], limit: int | None, seed: int) -> RowSamples:
    """The rows of `FILE.csv?truth=COLUMN&columns=A,B`, or `rows://FILE.csv?...`.

    truth: the column with the class, by its name or its number in the model; without, one that is
    called class or label. columns: those that a model takes which does not say; without, all others
    that are numbers. Raises Refused.
    """
    uri = words if words.startswith("rows://") else f"rows://{words}"
    address = options.parse(uri, ("truth", "columns"))
    path = path_of(address)
    above, lines = names_and_rows(path)
    given = columns_of(address)
    names = above or given
    place = _truth_place(names, address.given.get("truth"), path)
    rows = [cells for cells, _ in zip(lines, range(MOST_ROWS), strict=False)]
    lines.close()
    if not rows:
        raise Refused(f"{path}: has no rows below the names of its columns")
    numbered = list(enumerate(rows, start=1))
    if limit is not None and limit < len(rows):
        places = np.random.default_rng(seed).choice(len(rows), limit, replace=False)
        numbered = [numbered[each] for each in sorted(places)]
    fitting = _fitting(names, given if above else (), place, rows[0], path)
    if place is None:
        return RowSamples(str(path), fitting, numbered, None, (), {})
    # of all rows, so that a part of them numbers the classes as the whole does
    said = {cells[place].strip() for cells in rows if len(cells) > place}
    theirs = sorted(said, key=_as_people_sort)
    known = match(theirs, labels, str(path))
    classes = dict(zip(theirs, known.index, strict=True))
    return RowSamples(str(path), fitting, numbered, place, known.labels, classes)


def _truth_place(names: Sequence[str], said: str | None, path: Path) -> int | None:
    if said is not None and said not in names:
        raise Refused(f"{path}: has no column {said!r} for the truth: there are {listed(names)}")
    usual = [place for place, name in enumerate(names) if name.casefold() in USUAL]
    if said is not None:
        return list(names).index(said)
    return usual[0] if len(usual) == 1 else None


def _fitting(
    names: Sequence[str], wanted: Sequence[str], truth: int | None, row: Sequence[str], path: Path
) -> Picker:
    try:
        fitting = picker(names, wanted, None, row)
    except Refused as trouble:
        raise Refused(f"{path}: {trouble}") from None
    kept = [place for place in range(len(fitting.places)) if fitting.places[place] != truth]
    if not kept:
        raise Refused(f"{path}: has no numbers beside the truth")
    columns = tuple(fitting.columns[each] for each in kept) if fitting.columns else ()
    return Picker(fitting.expects, tuple(fitting.places[each] for each in kept), columns)


class RowSamples:
    """Rows, in their order. Those that cannot be read are left out, and said."""

    def __init__(
        self,
        name: str,
        fitting: Picker,
        rows: Sequence[tuple[int, Sequence[str]]],
        truth: int | None,
        labels: tuple[str, ...],
        classes: Mapping[str, int],
    ) -> None:
        """rows: each with its number. truth: the place of the class. classes: their index in
        `labels`, by how they are called in the rows. Raises Refused."""
        self.name = name
        self.truth: Truth = "none" if truth is None else "classes"
        self.labels = labels
        self._layout = row_layout(len(fitting.places), fitting.columns)
        self._numbers: list[int] = []
        self._classes: list[int | None] = []
        left_out = []
        values: npt.NDArray[Any] = np.empty((len(rows), self._layout.width), np.float32)
        for number, cells in rows:
            try:
                fitting.into(cells, values[len(self._numbers)])
            except Refused as trouble:
                left_out.append(f"row {number}: {trouble}")
                continue
            self._numbers.append(number)
            self._classes.append(None if truth is None else classes[cells[truth].strip()])
        self.left_out = tuple(left_out)
        self._values = values[: len(self._numbers)]
        if not self._numbers:
            raise Refused(f"{name}: not one of its rows can be used: {left_out[0]}")

    @cached_property
    def digest(self) -> str:
        whole = hashlib.sha256(
            msgspec.json.encode((self.labels, self._layout.columns, self._numbers, self._classes))
        )
        whole.update(np.ascontiguousarray(self._values).tobytes())
        return whole.hexdigest()

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[Sample]:
        for place, number in enumerate(self._numbers):
            memory = self._values[place].view(np.uint8)
            with Frame(place, 0, self._layout, memory, _nothing) as frame:
                yield Sample(f"row {number}", frame, self._truth(place))

    def _truth(self, place: int) -> tuple[Box, ...] | None:
        index = self._classes[place]
        if index is None:
            return None
        return (Box(index, self.labels[index], 1.0, 0.0, 0.0, float(self._layout.width), 1.0),)


def _as_people_sort(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdecimal() else (-1, name)


def _nothing() -> None:
    """The memory goes with the samples."""
