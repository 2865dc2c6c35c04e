"""A step: which layers suffer most by smaller numbers, each quantized alone, ranked."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wire.troubles import Refused
from workshop.quantizing import Layer, Request, Sensitivity, SensitivityRequest, Suffered
from workshop.quantizing.calibration import samples_in
from workshop.step import say

ALL = "all layers"
BEST_DB = 200.0  # of outputs that are the same to the last bit

Outputs = list[npt.NDArray[Any]]


@dataclass(frozen=True)
class Tools:
    """What either format does its own way. quantized: all layers (None), or one by name, to bytes.
    run: a file's bytes on samples."""

    content: bytes
    shape: tuple[int, ...]
    layers: Sequence[Layer]
    versions: dict[str, str]
    quantized: Callable[[str | None], bytes]
    run: Callable[[bytes, list[npt.NDArray[np.float32]]], Outputs]


def step(request: SensitivityRequest) -> Sensitivity:
    """Raises Refused for what cannot be quantized at all, naming the layer."""
    tools = _tools(request)
    samples = samples_in(request.held, tools.shape, request.most)
    wanted = tools.run(tools.content, samples)
    small = [layer for layer in tools.layers if layer.precision != "float32"]
    if not small:
        raise Refused(f"{request.source}: no layer of it has a {request.precision} form")
    found = []
    for number, layer in enumerate(small):
        say("quantizing one layer at a time", number, len(small))
        found.append(_suffered(layer, tools.run(tools.quantized(layer.name), samples), wanted))
    say("quantizing one layer at a time", len(small), len(small))
    together = _suffered(
        Layer(ALL, "", request.precision), tools.run(tools.quantized(None), samples), wanted
    )
    found.sort(key=lambda each: (each.sqnr_db, each.name))
    return Sensitivity(tuple(found), together, tools.versions)


def sqnr_db(wanted: npt.NDArray[Any], given: npt.NDArray[Any]) -> float:
    """10 log10 of the signal's power to the error's; at most BEST_DB."""
    signal = float(np.sum(np.square(wanted, dtype=np.float64)))
    error = float(np.sum(np.square(given - wanted, dtype=np.float64)))
    if error <= signal * 10 ** (-BEST_DB / 10):
        return BEST_DB
    return 10 * math.log10(max(signal, 1e-30) / error)


def cosine(wanted: npt.NDArray[Any], given: npt.NDArray[Any]) -> float:
    """Of the angle between two arrays, seen as vectors; 1 where both are zero."""
    one, other = wanted.ravel().astype(np.float64), given.ravel().astype(np.float64)
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / lengths if lengths else float(not (one.any() or other.any()))


def _suffered(layer: Layer, given: Outputs, wanted: Outputs) -> Suffered:
    """Of several outputs the worst: a detector's boxes do not make up for its scores."""
    pairs = list(zip(wanted, given, strict=True))
    return Suffered(
        layer.name,
        layer.kind,
        round(min(sqnr_db(*pair) for pair in pairs), 3),
        round(min(cosine(*pair) for pair in pairs), 6),
    )


def _tools(request: SensitivityRequest) -> Tools:
    asked = Request(
        source=request.source,
        file="",
        precision=request.precision,
        calibration=request.calibration,
        method=request.method,
        percentile=request.percentile,
        ranges=request.ranges,
        suits=request.suits,
    )
    return _tflite(asked) if request.source.endswith(".tflite") else _onnx(asked)


def _tflite(asked: Request) -> Tools:
    from workshop.quantizing import tflite, tflite_network

    network = tflite_network.open_network(asked.source)
    ranges = tflite.ranges_for(network, asked)
    return Tools(
        network.content,
        network.shape,
        tflite.layers_of(network, asked.precision, ()),
        {"ai-edge-quantizer": network.version},
        lambda only: tflite.quantized(network, asked.precision, ranges, only=only),
        tflite_network.outputs_of,
    )


def _onnx(asked: Request) -> Tools:
    from workshop.quantizing import onnx, onnx_network

    network = onnx_network.open_network(asked.source)
    ranges = onnx.ranges_for(network, asked)
    return Tools(
        network.model.SerializeToString(),
        network.shape,
        onnx.layers_of(network, asked.precision, ()),
        network.tools,
        lambda only: onnx.quantized(network, asked, ranges, only=only),
        onnx_network.outputs_of,
    )
