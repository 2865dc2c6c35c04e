"""The one pass over a row's numbers: from the row's memory straight into engine memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from models.row import Row
from runtime.engines import Tensor
from runtime.frames import ROW, Aim, Frame, Layout
from runtime.prepare import Prepare
from runtime.rows import listed
from runtime.tasks import View
from wire.troubles import Refused

Floats = npt.NDArray[np.float32]


def make_row_prepare(wanted: Row) -> Prepare:
    """A function that writes a row into an input tensor of `wanted`'s shape and dtype.

    A number that is missing (NaN) stays missing where the tensor has floats; a quantised one takes
    the column's mean. Raises Refused for a frame that is no such row; columns are found by their
    names where both sides have them.
    """
    put = _floats(wanted) if wanted.dtype == "float32" else _codes(wanted)
    view = View(wanted.count, 1, 0.0, 0.0, 1.0, 1.0)
    picked: Floats = np.empty(wanted.count, np.float32)
    known: Layout | None = None
    places: npt.NDArray[np.intp] | None = None  # of the wanted columns; None: as they lie

    def prepare(frame: Frame, out: Tensor) -> View:
        nonlocal known, places
        if frame.layout is not known:
            places = _places(wanted, frame.layout)
            known = frame.layout
        row = frame.pixels.view(np.float32)[0]
        if places is not None:
            row = np.take(row, places, out=picked, mode="clip")
        put(row, out.reshape(-1))
        return view

    return prepare


def aim_of_row(wanted: Row) -> Aim:
    """What a camera that gives rows needs to know of the model."""
    return Aim(wanted.count, 1, cover=False, columns=wanted.columns)


def _places(wanted: Row, layout: Layout) -> npt.NDArray[np.intp] | None:
    if layout.format != ROW:
        raise Refused(
            f"the model takes rows of {wanted.count} numbers, and this camera gives pictures: use "
            "rows://FILE.csv or rows+mqtt://HOST/TOPIC"
        )
    if wanted.columns and layout.columns and wanted.columns != layout.columns:
        missing = [name for name in wanted.columns if name not in layout.columns]
        if missing:
            raise Refused(f"{listed(missing)}: the rows have none: {listed(layout.columns)}")
        return np.array([layout.columns.index(name) for name in wanted.columns])
    if layout.width != wanted.count:
        raise Refused(
            f"the model takes rows of {wanted.count} numbers, this camera gives {layout.width}"
        )
    return None


def _floats(wanted: Row) -> Callable[[Floats, Tensor], None]:
    mean, std = np.array(wanted.mean, np.float32), np.array(wanted.std, np.float32)
    if not mean.any() and (std == 1).all():
        return lambda row, out: np.copyto(out, row)

    def put(row: Floats, out: Tensor) -> None:
        np.subtract(row, mean, out=out)
        np.divide(out, std, out=out)

    return put


def _codes(wanted: Row) -> Callable[[Floats, Tensor], None]:
    mean, step = np.array(wanted.mean), np.array(wanted.std) * (wanted.scale or 1.0)
    zero, limits = wanted.zero_point or 0, np.iinfo(wanted.dtype)
    real: npt.NDArray[Any] = np.empty(wanted.count, np.float64)

    def put(row: Floats, out: Tensor) -> None:
        np.subtract(row, mean, out=real)
        np.divide(real, step, out=real)
        np.nan_to_num(real, copy=False)
        np.rint(real, out=real)
        np.add(real, zero, out=real)
        np.clip(real, limits.min, limits.max, out=real)
        np.copyto(out, real, casting="unsafe")

    return put
