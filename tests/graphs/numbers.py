"""Quantised numbers and plain float arithmetic: what random networks are calibrated with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Scaling:
    """real = (stored - zero_point) * scale, stored in int8 unless a tensor says otherwise."""

    scale: float
    zero_point: int

    def store(self, real: Array, dtype: str = "int8") -> Array:
        """Real values as an engine stores them: rounded and cut off at the ends of the type."""
        limits = np.iinfo(dtype)
        stored = np.round(np.asarray(real, np.float64) / self.scale) + self.zero_point
        return np.asarray(np.clip(stored, limits.min, limits.max), dtype)

    def read(self, stored: Array) -> Array:
        """Stored values as real ones, float64."""
        return np.asarray((np.asarray(stored, np.float64) - self.zero_point) * self.scale)


PROBABILITY = Scaling(1 / 256, -128)  # what TFLite demands of int8 softmax and logistic


def spanning(low: float, high: float) -> Scaling:
    """The int8 scaling whose range holds low, high and zero."""
    low, high = min(low, 0.0), max(high, 1e-3)
    scale = float(f"{(high - low) / 255:.3g}")  # few digits: the last bits differ between machines
    return Scaling(scale, int(np.clip(round(-128 - low / scale), -128, 127)))


def symmetric(reach: float) -> Scaling:
    """The int8 scaling for -reach to reach."""
    return Scaling(reach / 127, 0)


def conv(x: Array, weights: Array, stride: int) -> Array:
    """Convolution as TFLite's SAME padding means it.

    x: (1, H, W, In) float32. weights: (size, size, In, Out). Returns (1, H / stride, W / stride,
    Out) float32, rounded up.
    """
    if weights.shape[0] == 1 and stride == 1:
        return np.asarray(x @ weights[0, 0])
    taps = _patches(x, weights.shape[0], stride)
    return np.asarray(sum(patch @ weights[row, column] for row, column, patch in taps))


def depthwise(x: Array, weights: Array, stride: int) -> Array:
    """Each channel by its own filter. weights: (size, size, In); the rest as in `conv`."""
    taps = _patches(x, weights.shape[0], stride)
    return np.asarray(sum(patch * weights[row, column] for row, column, patch in taps))


def _patches(x: Array, size: int, stride: int) -> list[tuple[int, int, Array]]:
    """(row, column, what that filter tap sees) with SAME padding: more of it at the far end."""
    pads = []
    for side in x.shape[1:3]:
        total = max((-(-side // stride) - 1) * stride + size - side, 0)
        pads.append((total // 2, total - total // 2))
    wide = np.pad(x, ((0, 0), *pads, (0, 0)))
    height, width = (-(-side // stride) * stride for side in x.shape[1:3])
    return [
        (i, j, wide[:, i : i + height - stride + 1 : stride, j : j + width - stride + 1 : stride])
        for i in range(size)
        for j in range(size)
    ]


def softmax(logits: Array) -> Array:
    """Along the last axis, float64."""
    powers = np.exp(np.asarray(logits, np.float64) - np.max(logits, axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
