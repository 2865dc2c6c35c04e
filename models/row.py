"""A model's input where it is a row of numbers instead of a picture: the table [row]."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct

from wire.toml_lines import KeyPath

if TYPE_CHECKING:
    from models.manifest import Manifest

MOST_NUMBERS = 65_536
TASKS = ("classify", "regress", "embed", "raw")  # the others find places in pictures

Length = Annotated[int, Meta(ge=1, le=MOST_NUMBERS)]
Column = Annotated[str, Meta(min_length=1, max_length=128)]
Positive = Annotated[float, Meta(gt=0)]


class Row(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a row of numbers becomes the input tensor.

    real = (number - mean) / std, per column (one value stands for all); stored = round(real /
    scale) + zero_point where the model is quantised. shape: of the tensor, the batch of 1 first.
    columns: what the numbers are called, in the order of the tensor, by which they are found in a
    row that has names; without, a row's numbers are taken as they come.
    """

    shape: Annotated[tuple[Length, ...], Meta(min_length=2, max_length=4)]
    dtype: Literal["uint8", "int8", "float32"]
    columns: Annotated[tuple[Column, ...], Meta(max_length=4096)] = ()
    mean: Annotated[tuple[float, ...], Meta(max_length=4096)] = (0.0,)
    std: Annotated[tuple[Positive, ...], Meta(max_length=4096)] = (1.0,)
    scale: Positive | None = None
    zero_point: int | None = None

    @property
    def count(self) -> int:
        """How many numbers a row has."""
        return math.prod(self.shape)


def contradictions_of(manifest: Manifest) -> Iterator[tuple[KeyPath, str]]:
    """What the table [row] may not say: which key to change, and why."""
    row = manifest.row
    if row is None:
        return
    if manifest.task not in TASKS:
        yield (
            ("task",),
            f"{manifest.task!r} finds places in pictures, and [row] has none: use "
            f"{', '.join(TASKS[:-1])} or {TASKS[-1]}",
        )
    if row.shape[0] != 1:
        yield ("row", "shape"), f"begins with {row.shape[0]}: one row at a time: [1, ...]"
    if row.count > MOST_NUMBERS:
        yield ("row", "shape"), f"{row.count} numbers; {MOST_NUMBERS} can be used"
    if row.columns and len(row.columns) != row.count:
        yield (
            ("row", "columns"),
            f"names {len(row.columns)} columns, and shape has room for {row.count} numbers",
        )
    for place, name in enumerate(row.columns):
        if not name.isprintable() or name != name.strip():
            yield ("row", "columns", place), f"{name!r} has blanks around it, or cannot be shown"
        if name in row.columns[:place]:
            yield ("row", "columns", place), f"{name!r} is named twice"
    for key, values in (("mean", row.mean), ("std", row.std)):
        if len(values) not in (1, row.count):
            yield ("row", key), f"{len(values)} values; a row of {row.count} takes 1 or {row.count}"
