"""Tiny .onnx models with known answers: what a test needs to see what reached the engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from onnx import TensorProto

from tests.graphs.onnx_file import FOREIGN, OnnxFile
from tests.graphs.tflite_tiny import GAIN, shape_of

Shape = Sequence[int | str]


def echo(
    path: Path,
    width: int = 8,
    height: int = 6,
    channels: int = 3,
    dtype: str = "float32",
    layout: str = "NCHW",
) -> Path:
    """Output "output" is a copy of input "input", bit for bit. dtype: as ONNX has it in numpy's
    words: "uint8", "int8", "float32", "int64", "bool", "string"."""
    return passing(path, shape_of(width, height, channels, layout), dtype)


def passing(path: Path, shape: Shape, dtype: str) -> Path:
    """`echo` of any shape; a string in it is an open dimension."""
    file = OnnxFile()
    file.input("input", shape, _kind(dtype))
    file.node("Identity", ["input"], name="output")
    file.output("output", shape, _kind(dtype))
    return file.save(path)


def _kind(dtype: str) -> int:
    return int(TensorProto.DataType.Value("FLOAT" if dtype == "float32" else dtype.upper()))


def colours(
    path: Path,
    size: int = 32,
    dtype: str = "float32",
    head: str = "probabilities",
    layout: str = "NCHW",
) -> Path:
    """Says which of red, green, blue the picture is: logit red = 4 (R - G/2 - B/2) of the means.

    Input "input", RGB: float32 0 to 1, or uint8 0 to 255. Output "output" float32 (1, 3). A pure
    colour gives logits 4, -2, -2: probability 0.995; any grey gives 1/3 each.
    """
    file = OnnxFile()
    real = file.input("input", shape_of(size, size, 3, layout), _kind(dtype))
    if dtype != "float32":
        real = file.node("Cast", [real], attributes={"to": TensorProto.FLOAT})
        real = file.node("Div", [real, file.constant(np.float32(255))])
    axes = [2, 3] if layout == "NCHW" else [1, 2]
    means = file.node("ReduceMean", [real], attributes={"axes": axes, "keepdims": 0})
    weights = file.constant((GAIN * (np.full((3, 3), -0.5) + 1.5 * np.eye(3))).astype(np.float32))
    if head == "logits":
        file.node("MatMul", [means, weights], name="output")
    else:
        logits = file.node("MatMul", [means, weights])
        file.node("Softmax", [logits], "output", {"axis": -1})
    file.output("output", (1, 3), TensorProto.FLOAT)
    return file.save(path)


def two_inputs(path: Path, size: int = 8) -> Path:
    """Two float32 inputs "left" and "right" (1, 3, size, size); "output" is their sum."""
    file = OnnxFile()
    shape = (1, 3, size, size)
    sides = [file.input(name, shape, TensorProto.FLOAT) for name in ("left", "right")]
    file.node("Add", sides, name="output")
    file.output("output", shape, TensorProto.FLOAT)
    return file.save(path)


def open_batch(path: Path, size: int = 8) -> Path:
    """An echo whose batch is open: float32 ("batch", 3, size, size)."""
    return passing(path, ("batch", 3, size, size), "float32")


def open_size(path: Path) -> Path:
    """The mean colour (1, 3) of a float32 picture of any size: (1, 3, "height", "width")."""
    file = OnnxFile()
    file.input("input", (1, 3, "height", "width"), TensorProto.FLOAT)
    file.node("ReduceMean", ["input"], "output", {"axes": [2, 3], "keepdims": 0})
    file.output("output", (1, 3), TensorProto.FLOAT)
    return file.save(path)


def unknown_op(path: Path) -> Path:
    """An operator of a domain that no engine knows."""
    file = OnnxFile()
    file.input("input", (1, 3, 8, 8), TensorProto.FLOAT)
    file.node("Mystery", ["input"], name="output", domain=FOREIGN)
    file.output("output", (1, 3, 8, 8), TensorProto.FLOAT)
    return file.save(path)


def poisoned(path: Path, values: Sequence[float] = (np.nan, np.nan, np.nan)) -> Path:
    """Float32 classifier (1, 3, 8, 8) to (1, n) whose output is always `values`: NaN, infinity."""
    file = OnnxFile()
    file.input("input", (1, 3, 8, 8), TensorProto.FLOAT)
    weights = file.constant(np.zeros((192, len(values)), np.float32))
    product = file.node("MatMul", [file.node("Flatten", ["input"]), weights])
    file.node("Add", [product, file.constant(np.array(values, np.float32))], name="output")
    file.output("output", (1, len(values)), TensorProto.FLOAT)
    return file.save(path)
