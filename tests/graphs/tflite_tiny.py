"""Tiny .tflite models with known answers: what a test needs to see what reached the engine."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.graphs.numbers import PROBABILITY, Scaling
from tests.graphs.tflite_file import File, Graph
from tests.graphs.tflite_network import end

COLOURS = ("red", "green", "blue")
GAIN = 4.0  # what `colours` multiplies its colour differences by
PIXEL = {"uint8": Scaling(1 / 255, 0), "int8": Scaling(1 / 255, -128), "float32": None}


def shape_of(width: int, height: int, channels: int, layout: str) -> tuple[int, ...]:
    """(1, height, width, channels) for NHWC, (1, channels, height, width) for NCHW."""
    if layout == "NCHW":
        return (1, channels, height, width)
    return (1, height, width, channels)


def echo(
    path: Path,
    width: int = 8,
    height: int = 6,
    channels: int = 3,
    dtype: str = "uint8",
    layout: str = "NHWC",
    scaling: Scaling | None = None,
) -> Path:
    """Output "output" is a copy of input "input", bit for bit, in memory of its own.

    dtype: any that has a LiteRT tensor type; scaling: of both.
    """
    return passing(path, shape_of(width, height, channels, layout), dtype, scaling=scaling)


def passing(
    path: Path,
    shape: Sequence[int],
    dtype: str,
    signature: Sequence[int] | None = None,
    scaling: Scaling | None = None,
) -> Path:
    """`echo` of any shape; signature: the shape with -1 where a dimension is open."""
    file = File()
    graph = file.graph()
    x = graph.input("input", shape, dtype, scaling, signature)
    out = graph.tensor("output", shape, dtype, scaling, signature)
    size = graph.constant("shape", np.array(signature or shape, np.int32))
    graph.op("RESHAPE", [x, size], [out])
    return file.save(path, [out])


def colours(path: Path, size: int = 32, dtype: str = "uint8", head: str = "probabilities") -> Path:
    """Says which of red, green, blue the picture is: logit red = 4 (R - G/2 - B/2) of the means.

    Input "input" (1, size, size, 3), RGB, real values 0 to 1 (uint8, int8 quantised so; float32).
    Output "output" (1, 3) of the same dtype, quantised int8 arithmetic in between unless float32.
    A pure colour gives logits 4, -2, -2: probability 0.995; any grey gives 1/3 each.
    """
    file = File()
    graph = file.graph()
    inside = "float32" if dtype == "float32" else "int8"
    x = graph.input("input", (1, size, size, 3), dtype, PIXEL[dtype])
    if dtype == "uint8":
        stored = graph.tensor("input_int8", (1, size, size, 3), "int8", PIXEL["int8"])
        graph.op("QUANTIZE", [x], [stored], schema.QuantizeOptionsT())
        x = stored
    means = graph.tensor("means", (1, 3), inside, PIXEL[inside])
    axes = graph.constant("axes", np.array([1, 2], np.int32))
    graph.op("MEAN", [x, axes], [means], schema.ReducerOptionsT())
    scaling = None if inside == "float32" else Scaling(8 / 255, 0)
    logits = graph.tensor("logits", (1, 3), inside, scaling)
    graph.op("FULLY_CONNECTED", [means, *_weights(graph, inside)], [logits], _dense())
    out, made = logits, scaling
    if head == "probabilities":
        made = None if inside == "float32" else PROBABILITY
        out = graph.tensor("probabilities", (1, 3), inside, made)
        graph.op("SOFTMAX", [logits], [out], schema.SoftmaxOptionsT(1.0))
    if dtype == "uint8" and made is not None:
        out = end(graph, out, (1, 3), made, dtype)
    graph.table.tensors[out].name = "output"
    return file.save(path, [out])


def _weights(graph: Graph, inside: str) -> tuple[int, int]:
    """Weights and bias of `colours`, float or int8."""
    real = GAIN * (np.full((3, 3), -0.5) + 1.5 * np.eye(3))
    if inside == "float32":
        weights = graph.constant("weights", real.astype(np.float32))
        return weights, graph.constant("bias", np.zeros(3, np.float32))
    weights = graph.constant("weights", (real * 25).astype(np.int8), [1 / 25])
    return weights, graph.constant("bias", np.zeros(3, np.int32), [1 / 25 / 255])


def _dense() -> object:
    return schema.FullyConnectedOptionsT()


def two_inputs(path: Path, size: int = 8) -> Path:
    """Two float32 inputs "left" and "right" (1, size, size, 3); "output" is their sum."""
    file = File()
    graph = file.graph()
    shape = (1, size, size, 3)
    sides = [graph.input(name, shape, "float32") for name in ("left", "right")]
    out = graph.tensor("output", shape, "float32")
    graph.op("ADD", sides, [out], schema.AddOptionsT())
    return file.save(path, [out])


def open_batch(path: Path, size: int = 8) -> Path:
    """An echo whose batch is open: uint8 (-1, size, size, 3), 1 until it is resized."""
    return passing(path, (1, size, size, 3), "uint8", (-1, size, size, 3))


def open_size(path: Path) -> Path:
    """The mean colour (1, 3) of a float32 picture of any size: (1, -1, -1, 3); 1x1 at first."""
    file = File()
    graph = file.graph()
    x = graph.input("input", (1, 1, 1, 3), "float32", signature=(1, -1, -1, 3))
    out = graph.tensor("output", (1, 3), "float32")
    axes = graph.constant("axes", np.array([1, 2], np.int32))
    graph.op("MEAN", [x, axes], [out], schema.ReducerOptionsT())
    return file.save(path, [out])


def unknown_op(path: Path, name: str = "NobodyKnowsThisOp") -> Path:
    """A custom operator that no engine has."""
    file = File()
    graph = file.graph()
    x = graph.input("input", (1, 8, 8, 3), "uint8")
    out = graph.tensor("output", (1, 8, 8, 3), "uint8")
    graph.custom(name, [x], [out], b"")
    return file.save(path, [out])


def poisoned(path: Path, values: Sequence[float] = (np.nan, np.nan, np.nan)) -> Path:
    """Float32 classifier (1, 8, 8, 3) to (1, n) whose output is always `values`: NaN, infinity."""
    file = File()
    graph = file.graph()
    x = graph.input("input", (1, 8, 8, 3), "float32")
    flat = graph.tensor("flat", (1, 192), "float32")
    size = graph.constant("shape", np.array([1, 192], np.int32))
    graph.op("RESHAPE", [x, size], [flat])
    out = graph.tensor("output", (1, len(values)), "float32")
    weights = graph.constant("weights", np.zeros((len(values), 192), np.float32))
    bias = graph.constant("bias", np.array(values, np.float32))
    graph.op("FULLY_CONNECTED", [flat, weights, bias], [out], _dense())
    return file.save(path, [out])


def pack_labels(path: Path, labels: Sequence[str], name: str = "labels.txt") -> Path:
    """Append a label file to a .tflite, as TFLite's metadata tools do: the end of it is a zip."""
    with zipfile.ZipFile(path, "a") as archive:
        entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
        archive.writestr(entry, "\n".join(labels) + "\n")
    return path
