"""Regress: numbers that the model predicts, each under its name."""

from __future__ import annotations

from math import isfinite

import numpy as np

from models.manifest import Manifest
from runtime.engines import TensorSpec
from runtime.tasks import Decode, Found, Tensor, Value, View
from runtime.tasks.scores import check_size, dequantise, described


def make_decode(
    manifest: Manifest, gives: tuple[TensorSpec, ...], labels: tuple[str, ...]
) -> Decode:
    """Takes one output of n numbers, any shape. They are called as the labels say, one each; or as
    the output, with a place behind its name where there are several.

    A prediction with a number that is none (NaN, or infinite) finds nothing.
    """
    spec = described(manifest, gives)[0]
    count = int(np.prod(spec.shape))
    names = labels or (
        (spec.name,) if count == 1 else tuple(f"{spec.name}[{i}]" for i in range(count))
    )
    real = np.empty(spec.shape, np.float32)

    def decode(outputs: tuple[Tensor, ...], view: View) -> Found:
        check_size(spec, outputs[0])
        with np.errstate(all="ignore"):
            dequantise(spec, outputs[0], real)
        values = real.reshape(-1).tolist()
        if not all(map(isfinite, values)):
            return ()
        return tuple(map(Value, names, values))

    return decode
