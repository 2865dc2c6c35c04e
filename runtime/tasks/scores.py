"""What all tasks need of tensors: real values from stored ones, and labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.manifest import Manifest
from runtime.engines import TensorSpec
from runtime.tasks import Tensor
from wire.troubles import Refused


def dequantise(spec: TensorSpec, stored: Tensor, out: Tensor) -> None:
    """out = (stored - zero_point) * scale, float32, into memory of the same shape."""
    if spec.scale is None:
        np.copyto(out, stored, casting="unsafe")
        return
    np.subtract(stored, np.float32(spec.zero_point or 0), out=out)
    np.multiply(out, np.float32(spec.scale), out=out)


def described(manifest: Manifest, gives: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    """The outputs, with the manifest's scale and zero point where the engine cannot tell them."""
    if len(manifest.outputs) != len(gives):
        return gives
    return tuple(
        replace(real, scale=said.scale, zero_point=said.zero_point) if real.scale is None else real
        for real, said in zip(gives, manifest.outputs, strict=True)
    )


def check_size(spec: TensorSpec, stored: Tensor) -> None:
    """Raises Refused if an output is not as large as when the model was opened."""
    if stored.shape != spec.shape:
        raise Refused(
            f"output {spec.name!r} changes its size, {spec.shape} to {stored.shape}, with the "
            "picture: only task raw can show it"
        )


def label_of(labels: tuple[str, ...], index: int) -> str:
    """The label of a class, or its number where the labels do not reach so far."""
    return labels[index] if 0 <= index < len(labels) else str(index)
