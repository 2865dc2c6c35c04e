"""Samples as a model's input: real values, by the runtime's own prepare; for calibration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
import numpy.typing as npt

from models.manifest import Input
from models.row import Row
from runtime.memory import aligned_zeros
from runtime.prepare import make_prepare
from runtime.prepare_row import make_row_prepare
from workshop.samples import Samples

Floats = npt.NDArray[np.float32]
Count = Callable[[int, int], None]
"""Told how many of how many are done."""


def prepared(samples: Samples, wanted: Input | Row) -> Iterator[Floats]:
    """Every sample as the model of this input would see it, (1, *shape) float32, each in memory of
    its own: (pixel - mean) / std, not quantised, whatever dtype the input has."""
    plain = msgspec.structs.replace(wanted, dtype="float32", scale=None, zero_point=None)
    prepare = make_row_prepare(plain) if isinstance(plain, Row) else make_prepare(plain)
    out = aligned_zeros(plain.shape, "float32")
    for sample in samples:
        prepare(sample.frame, out)
        yield out.copy()


def write_tensors(
    samples: Samples, wanted: Input | Row, path: Path, count: Count | None = None
) -> tuple[int, ...]:
    """Write all of them into one .npy file, (n, *shape without its batch) float32, holding one at
    a time in memory. Returns that shape. count: hears how far it is."""
    total = len(samples)
    with path.open("wb") as file:
        _write_header(file, (total, *wanted.shape[1:]))
        done = 0
        for done, each in enumerate(prepared(samples, wanted), 1):
            file.write(each.tobytes())
            if count is not None:
                count(done, total)
        shape = (done, *wanted.shape[1:])
        file.seek(0)  # some may have turned out to be broken
        _write_header(file, shape)
    return shape


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    """Of the same length for any n: NumPy's format leaves room for the first axis to grow."""
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
