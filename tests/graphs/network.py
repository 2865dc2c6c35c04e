"""Random networks that behave like trained ones: every layer is drawn, normalised and calibrated.

Each channel of a convolution is scaled and shifted so that it has a given mean and spread on a
sample picture, which is what a trained network's folded batch normalisation does (Ioffe and
Szegedy 2015; as an initialisation: Mishkin and Matas 2016, LSUV). So activations neither saturate
nor die, and the float result on the sample is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tests.graphs import numbers
from tests.graphs.numbers import Array, Scaling, spanning


@dataclass(frozen=True)
class Filter:
    """A convolution as it is stored. real weight = weights * scales, per output channel.

    weights: int8, (size, size, In, Out), or (size, size, Channels) for a depthwise one.
    bias: int32, in units of input scale * scales. ceiling: outputs are cut to 0..ceiling.
    """

    weights: Array
    scales: Array
    bias: Array
    stride: int
    ceiling: float | None

    @property
    def depthwise(self) -> bool:
        return self.weights.ndim == 3


@dataclass(frozen=True)
class Node:
    """A tensor: the writer's handle, its scaling, and its float value for the sample picture."""

    handle: Any
    sample: Array
    scaling: Scaling


class Writer(Protocol):
    """A file format. Every method returns the handle of a new tensor with the given scaling."""

    def conv(self, x: Node, filter: Filter, result: Node) -> Any: ...

    def add(self, a: Node, b: Node, result: Node) -> Any: ...

    def mean(self, x: Node, result: Node) -> Any: ...

    def dense(self, x: Node, filter: Filter, result: Node) -> Any: ...


class Network:
    """Draws layers and writes them. Samples are NHWC whatever the file's layout is."""

    def __init__(self, writer: Writer, seed: int) -> None:
        self.writer = writer
        self.random = np.random.default_rng(seed)

    def conv(
        self,
        x: Node,
        filters: int,
        size: int = 1,
        stride: int = 1,
        ceiling: float | None = 6.0,
        mean: float = 0.5,
        scaling: Scaling | None = None,
    ) -> Node:
        """SAME convolution to `filters` channels; before the ceiling each has the given mean."""
        weights = self._draw(size, size, x.sample.shape[-1], filters)
        raw = numbers.conv(x.sample, weights.astype(np.float32), stride)
        return self._filtered(x, weights, raw, stride, ceiling, mean, scaling)

    def depthwise(self, x: Node, stride: int = 1) -> Node:
        """SAME 3x3 depthwise convolution with ReLU6."""
        weights = self._draw(3, 3, x.sample.shape[-1])
        raw = numbers.depthwise(x.sample, weights.astype(np.float32), stride)
        return self._filtered(x, weights, raw, stride, 6.0, 0.5, None)

    def add(self, a: Node, b: Node) -> Node:
        result = _calibrated(a.sample + b.sample, None)
        return _handled(result, self.writer.add(a, b, result))

    def mean(self, x: Node) -> Node:
        """Over the whole picture: (1, H, W, C) to (1, C)."""
        result = _calibrated(x.sample.mean(axis=(1, 2)), None)
        return _handled(result, self.writer.mean(x, result))

    def dense(self, x: Node, units: int, spread: float) -> Node:
        """Fully connected; `spread` is the standard deviation over the outputs."""
        weights = self._draw(1, 1, x.sample.shape[-1], units)
        raw = x.sample @ weights[0, 0].astype(np.float32)
        scales = np.full(units, spread / raw.std(), np.float32)
        filter, y = _settled(x, weights, raw, scales, -raw.mean() * scales, 1, None)
        result = _calibrated(y, None)
        return _handled(result, self.writer.dense(x, filter, result))

    def _draw(self, *shape: int) -> Array:
        return self.random.integers(-127, 128, shape, np.int8)

    def _filtered(
        self,
        x: Node,
        weights: Array,
        raw: Array,
        stride: int,
        ceiling: float | None,
        mean: float,
        scaling: Scaling | None,
    ) -> Node:
        scales, bias = _normalising(raw, mean)
        filter, y = _settled(x, weights, raw, scales, bias, stride, ceiling)
        result = _calibrated(y, scaling)
        return _handled(result, self.writer.conv(x, filter, result))


def _normalising(raw: Array, mean: float) -> tuple[Array, Array]:
    """The (scales, shifts) that give every channel spread 1 and the given mean."""
    # a picture of a few pixels says nothing about one channel: there all are taken together
    axes = (0, 1, 2) if raw.shape[1] * raw.shape[2] >= 16 else None
    centre = np.broadcast_to(raw.mean(axis=axes), raw.shape[-1:])
    spread = np.broadcast_to(raw.std(axis=axes), raw.shape[-1:])
    scales = (1 / np.maximum(spread, 1e-3)).astype(np.float32)
    return scales, mean - centre * scales


def _settled(
    x: Node,
    weights: Array,
    raw: Array,
    scales: Array,
    bias: Array,
    stride: int,
    ceiling: float | None,
) -> tuple[Filter, Array]:
    """The filter with its bias as it can be stored, and what it makes of the sample."""
    units = x.scaling.scale * scales.astype(np.float64)
    stored = np.round(bias / units).astype(np.int32)
    y = raw * scales + (stored * units).astype(np.float32)
    if ceiling is not None:
        y = np.clip(y, 0.0, ceiling)
    return Filter(weights, scales, stored, stride, ceiling), y.astype(np.float32)


def _calibrated(sample: Array, scaling: Scaling | None) -> Node:
    return Node(None, sample, scaling or spanning(float(sample.min()), float(sample.max())))


def _handled(node: Node, handle: Any) -> Node:
    return Node(handle, node.sample, node.scaling)
