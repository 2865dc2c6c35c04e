"""Tiny .onnx models that take a row of numbers: linear ones, whose answers can be told by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from onnx import TensorProto

from tests.graphs.onnx_file import OnnxFile


def linear(
    path: Path, weights: Sequence[Sequence[float]], bias: Sequence[float], softmax: bool = False
) -> Path:
    """Output "answer" (1, k) = row (1, n) @ weights (n, k) + bias; with softmax of that."""
    file = OnnxFile()
    count, wide = np.shape(weights)
    row = file.input("row", (1, count), TensorProto.FLOAT)
    parts = [row, *(file.constant(np.array(each, np.float32)) for each in (weights, bias))]
    if softmax:
        file.node("Softmax", [file.node("Gemm", parts)], "answer", {"axis": -1})
    else:
        file.node("Gemm", parts, "answer")
    file.output("answer", (1, wide), TensorProto.FLOAT)
    return file.save(path)
