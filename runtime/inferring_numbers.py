"""Bare models of few numbers: scores of classes, and what takes a row instead of a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from models.manifest import Decoding
from models.row import Row
from runtime.engines import Engine, TensorSpec
from wire.troubles import Refused

RowTask = Literal["classify", "regress", "raw"]

DTYPES: dict[str, Literal["uint8", "int8", "float32"]] = {
    "uint8": "uint8", "int8": "int8", "float32": "float32",
}  # fmt: skip


def guess_scores(engine: Engine) -> tuple[Decoding, str]:
    """Probabilities sum to one and lie between 0 and 1; anything else needs a softmax."""
    if _sums_to_one(engine):
        said = f"{np.prod(engine.gives[0].shape)} scores that sum to one: classes"
        return Decoding(head="probabilities"), said
    return Decoding(head="logits"), f"{np.prod(engine.gives[0].shape)} scores: classes, by softmax"


def is_row(takes: TensorSpec) -> bool:
    """Whether this input has room for a row of numbers, and for no picture."""
    return len(takes.shape) == 2


def row_of(model_file: Path, takes: TensorSpec) -> Row:
    """How a row becomes this input, if it is taken as it is. Raises Refused."""
    if takes.shape[0] != 1:
        raise Refused(f"{model_file}: takes {takes.shape[0]} rows at once; export it with batch 1")
    if takes.dtype not in DTYPES:
        raise Refused(
            f"{model_file}: input {takes.name!r} is {takes.dtype}: export it with float32 inputs"
        )
    return Row(takes.shape, DTYPES[takes.dtype], scale=takes.scale, zero_point=takes.zero_point)


def guess_row_task(engine: Engine) -> tuple[RowTask, Decoding, str]:
    """What a model that takes a row does, and why that is thought."""
    gives = engine.gives
    if len(gives) != 1 or 0 in gives[0].shape:
        return "raw", Decoding(), f"{len(gives)} outputs: their statistics are shown"
    count = int(np.prod(gives[0].shape))
    if count > 1 and _sums_to_one(engine):
        return "classify", *guess_scores(engine)
    numbers = "one number" if count == 1 else f"{count} numbers"
    return "regress", Decoding(head="values"), f"{numbers}: predictions, given as they are"


def _sums_to_one(engine: Engine) -> bool:
    spec = engine.gives[0]
    stored = engine.run()[0].astype(np.float64).reshape(-1)
    real = (stored - (spec.zero_point or 0)) * (spec.scale or 1.0)
    room = 0.02 + (spec.scale or 0.0) / 2 * real.size  # each may be rounded by half a step
    in_range = real.min() >= 0 and real.max() <= 1.001
    return bool(in_range and abs(real.sum() - 1) < min(room, 0.9))
