"""Raw: for a model whose outputs nobody has described: what each output tensor holds."""

from __future__ import annotations

import numpy as np

from models.manifest import Manifest
from runtime.engines import TensorSpec
from runtime.tasks import Decode, Found, Stats, Tensor, View
from runtime.tasks.scores import dequantise, described


def make_decode(
    manifest: Manifest, gives: tuple[TensorSpec, ...], labels: tuple[str, ...]
) -> Decode:
    """Any outputs. NaN and infinity are shown as they are."""
    gives = described(manifest, gives)
    values = [np.empty(spec.shape, np.float32) for spec in gives]

    def decode(outputs: tuple[Tensor, ...], view: View) -> Found:
        found = []
        for spec, stored, real in zip(gives, outputs, values, strict=True):
            if stored.shape != real.shape:  # a dynamic output: its size follows the picture
                real = np.empty(stored.shape, np.float32)
            if real.size == 0:
                found.append(Stats(spec.name, stored.shape, 0.0, 0.0, 0.0))
                continue
            with np.errstate(all="ignore"):
                dequantise(spec, stored, real)
                mean = float(real.mean(dtype=np.float64))
            found.append(Stats(spec.name, stored.shape, float(real.min()), float(real.max()), mean))
        return tuple(found)

    return decode
