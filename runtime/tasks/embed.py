"""Embed: one vector of a picture, as the model gives it ("vector") or of length 1 ("unit-vector").

A vector with a number that is none is not found, nor is one of length 0 that should become 1.
"""

from __future__ import annotations

from math import isfinite, sqrt

import numpy as np

from models.manifest import Manifest
from runtime.engines import TensorSpec
from runtime.tasks import Decode, Found, Tensor, Vector, View
from runtime.tasks.scores import check_size, dequantise, described
from wire.troubles import Refused

DECIMALS = 7  # of a unit vector: what float32 can tell apart


def make_decode(
    manifest: Manifest, gives: tuple[TensorSpec, ...], labels: tuple[str, ...]
) -> Decode:
    """Takes one output of n numbers, any shape that has them in a line."""
    spec = described(manifest, gives)[0]
    if len(gives) != 1 or not spec.shape or np.prod(spec.shape) != max(spec.shape) or (
        0 in spec.shape
    ):  # fmt: skip
        raise Refused(
            "task embed needs one output of n numbers, as (1, n); this model gives "
            f"{', '.join(str(each.shape) for each in gives)}"
        )
    values = np.empty(spec.shape, np.float32)
    line = values.reshape(-1)
    is_unit = manifest.decoding.head == "unit-vector"
    name = spec.name

    def decode(outputs: tuple[Tensor, ...], view: View) -> Found:
        check_size(spec, outputs[0])
        with np.errstate(all="ignore"):
            dequantise(spec, outputs[0], values)
            exact = line.astype(np.float64)  # squares of large float32 would overflow
            length = sqrt(float(exact @ exact))
            if not isfinite(length) or (is_unit and length == 0):
                return ()
            if is_unit:
                exact = np.round(exact / length, DECIMALS)
        return (Vector(name, length, tuple(exact.tolist())),)

    return decode
