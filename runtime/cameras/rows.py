"""A camera that gives rows of numbers: from a CSV file, or made up.

`rows://PATH.csv?rate=10&loop=yes&columns=a,b`. Without a rate: every row in order, as soon as it is
wanted. With one: so many rows a second, late readers get the newest. `rows+synthetic://4@10?seed=1`
makes up rows of 4 normally distributed numbers.
"""

from __future__ import annotations

import contextlib
import logging
import re
import time
from collections.abc import Callable, Generator

import numpy as np

from runtime.cameras import Ended
from runtime.cameras.options import Address, parse
from runtime.cameras.recording import path_of
from runtime.cameras.row_buffers import RowBuffers
from runtime.frames import Aim, Frame, Layout, Losses
from runtime.rows import Cells, Floats, Picker, names_and_rows, picker
from wire.troubles import Refused

RATES = (0.001, 10_000.0)
MOST_SYNTHETIC = 4096
LOOKED_AT = 1000  # rows, for the first that can be read
SIZE = re.compile(r"([1-9]\d{0,3})(?:@(\d{1,5}(?:\.\d{1,3})?))?")

Table = tuple[tuple[str, ...], Generator[Cells, None, None]]
"""What its columns are called, if anything, and its rows."""

log = logging.getLogger("vedette.cameras")


class Rows:
    """Lends the rows of a table. seq: the number of the row, broken ones counted too.

    captured_ns: when a row was due, or when it was begun to be read. open: begins the table anew.
    rate: rows a second; None: as they are wanted. given: the columns that the URI names.
    """

    def __init__(
        self,
        shown: str,
        open: Callable[[], Table],
        rate: float | None,
        loop: bool = True,
        given: tuple[str, ...] = (),
    ) -> None:
        self.losses = Losses()
        self.absent: str | None = None
        self.aim: Aim | None = None
        self._shown = shown
        self._open = open
        self._rate = rate
        self._loop = loop
        self._given = given
        self._buffers = RowBuffers()
        self.layout: Layout = self._buffers.layout
        self._rows: Generator[Cells, None, None] | None = None
        self._names: tuple[str, ...] = ()
        self._picker: Picker | None = None
        self._picked_for: Aim | None = None
        self._next: Cells | None = None  # the row that comes next
        self._seq = 0  # its number
        self._start_ns = 0
        self._has_warned = False
        self._has_told_order = False

    def start(self) -> None:
        self.stop()
        self._seq, self._picker = 0, None
        self._begin_round()
        if self._next is None:
            raise Refused(f"{self._shown}: has no rows below the names of its columns")
        self._look_for_one_that_fits()
        self._start_ns = time.monotonic_ns()

    def read(self, timeout: float) -> Frame | None:
        if self._rows is None:
            raise RuntimeError("the table was not opened")
        if not self._buffers.has_room:
            time.sleep(timeout)  # perhaps another thread gives one back meanwhile
            return None
        if self._rate is not None and not self._wait_for_turn(self._rate, timeout):
            return None
        end_s = time.monotonic() + timeout
        while True:
            if self._next is None:
                self._turn_over()
            row, seq = self._next or [], self._seq
            captured_ns = time.monotonic_ns() if self._rate is None else self._due_ns(self._rate)
            fitting = self._fit(row)
            try:
                return self._buffers.lend(seq, captured_ns, self._filling(fitting, row))
            except Refused as trouble:
                self._count_broken(seq, trouble)
                if self._rate is not None or time.monotonic() >= end_s:
                    return None
            finally:
                self._step()

    def stop(self) -> None:
        rows, self._rows = self._rows, None
        if rows is not None:
            rows.close()

    def _look_for_one_that_fits(self) -> None:
        """By which the others are read. Rows before it are left out when their turn comes, and
        counted, as all broken ones. Raises Refused with what is wrong with the first."""
        assert self._rows is not None
        row, rest = self._next, self._rows
        passed: list[Cells] = []
        first: Refused | None = None
        while row is not None and len(passed) < LOOKED_AT:
            self._picker = None
            try:
                self._fit(row).into(row, np.empty(self.layout.width, np.float32))
            except Refused as trouble:
                of_table = self._picker is None  # the file is named already
                why = trouble if of_table else Refused(f"{self._shown}: row 1: {trouble}")
                first = first or why
            else:
                if passed:
                    self._rows = _chained([*passed[1:], row], rest)
                return
            passed.append(row)
            row = next(rest, None)
        assert first is not None
        raise first

    def _filling(self, fitting: Picker, row: Cells) -> Callable[[Floats], None]:
        return lambda memory: fitting.into(row, memory)

    def _fit(self, row: Cells) -> Picker:
        """How to read rows for the model of now. Raises Refused where that cannot be."""
        if self._picker is not None and self.aim is self._picked_for:
            return self._picker
        wanted, count = taken(self.aim)
        names = self._names or self._given
        if self._names and not wanted:
            wanted = self._given
        try:
            self._picker = picker(names, wanted, count, row)
        except Refused as trouble:
            raise Refused(f"{self._shown}: {trouble}") from None
        if self._names and not wanted and count is not None:
            self._tell_order()
        self._picked_for = self.aim
        self._buffers.shape(len(self._picker.places), self._picker.columns)
        self.layout = self._buffers.layout
        return self._picker

    def _wait_for_turn(self, rate: float, timeout: float) -> bool:
        """Until the next row is due; rows that are overtaken are skipped. False: it takes longer
        than `timeout`."""
        newest = int((time.monotonic_ns() - self._start_ns) * rate / 1e9)
        while self._seq < newest:
            if self._next is None:
                self._turn_over()
            self._step()
            self.losses.skipped += 1
        wait_s = (self._due_ns(rate) - time.monotonic_ns()) / 1e9
        if wait_s > 0:
            time.sleep(min(wait_s, timeout))
        return wait_s <= timeout

    def _due_ns(self, rate: float) -> int:
        return self._start_ns + round(self._seq * 1e9 / rate)

    def _step(self) -> None:
        assert self._rows is not None
        self._next = next(self._rows, None)
        self._seq += 1

    def _turn_over(self) -> None:
        """Begin the table again. Raises Ended where it is to be shown once."""
        if not self._loop:
            raise Ended
        before = self._names
        self._begin_round()
        if self._next is None:
            raise Refused(f"{self._shown}: its rows are gone")
        if self._names != before:
            self._picker = None

    def _begin_round(self) -> None:
        self.stop()
        self._names, self._rows = self._open()
        self._next = next(self._rows, None)

    def _tell_order(self) -> None:
        if not self._has_told_order:
            log.warning(
                "%s: names its columns, and the model does not: they are taken in the table's "
                "order; columns=A,B in the camera's URI says another",
                self._shown,
            )
        self._has_told_order = True

    def _count_broken(self, seq: int, trouble: Refused) -> None:
        self.losses.decode += 1
        if not self._has_warned:
            log.warning("%s: row %d is left out: %s", self._shown, seq + 1, trouble)
        self._has_warned = True


def _chained(
    passed: list[Cells], rest: Generator[Cells, None, None]
) -> Generator[Cells, None, None]:
    """What was looked at already, and the rest; closes it, too."""
    with contextlib.closing(rest):
        yield from passed
        yield from rest


def taken(aim: Aim | None) -> tuple[tuple[str, ...], int | None]:
    """The columns that a model takes and how many numbers, as far as it says so. What one that
    takes pictures is given, its prepare refuses."""
    if aim is None or aim.columns is None:
        return (), None
    return aim.columns, aim.width


def synthetic(count: int, seed: int) -> Table:
    """Rows without end, of numbers around 0 that lie within 1 of it two times out of three."""

    def rows() -> Generator[Cells, None, None]:
        chance = np.random.default_rng(seed)
        while True:
            yield chance.standard_normal(count).tolist()

    return (), rows()


def columns_of(address: Address) -> tuple[str, ...]:
    """What the URI calls its columns. Raises Refused."""
    names = tuple(name.strip() for name in address.given.get("columns", "").split(","))
    if names == ("",):
        return ()
    if not all(names) or len(set(names)) < len(names):
        raise address.refused("columns= needs a name for each column, no two the same")
    return names


def make(uri: str) -> Rows:
    """The camera that a `rows:` URI asks for. Raises Refused with what is allowed."""
    if uri.startswith("rows+synthetic:"):
        return _make_synthetic(uri)
    address = parse(uri, ("rate", "loop", "columns"))
    path = path_of(address)
    loop = address.choice("loop", ("no", "yes"), "no") == "yes"
    rate = address.number("rate", *RATES)

    def open() -> Table:
        names, rows = names_and_rows(path)
        return names, rows

    return Rows(uri, open, rate, loop, columns_of(address))


def _make_synthetic(uri: str) -> Rows:
    address = parse(uri, ("seed",))
    size = SIZE.fullmatch(address.place.rstrip("/"))
    if size is None or int(size[1]) > MOST_SYNTHETIC:
        raise address.refused(
            f"write rows+synthetic://COUNT or rows+synthetic://COUNT@RATE, from 1 to "
            f"{MOST_SYNTHETIC} numbers"
        )
    rate = float(size[2]) if size[2] else None
    if rate is not None and not RATES[0] <= rate <= RATES[1]:
        raise address.refused(f"the rate must be from {RATES[0]:g} to {RATES[1]:g} rows a second")
    seed = address.number("seed", 0, 999_999_999) or 0
    return Rows(uri, lambda: synthetic(int(size[1]), int(seed)), rate)
