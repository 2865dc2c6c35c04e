"""Runs a model file in the vendor's engine alone: nothing of ours is between."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from ai_edge_litert.interpreter import Interpreter

from tests.graphs.numbers import Array


def run_tflite(path: Path, *inputs: Array) -> list[Array]:
    """Real values of all outputs."""
    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    for detail, stored in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], stored)
    interpreter.invoke()
    return [_real(interpreter, detail) for detail in interpreter.get_output_details()]


def _real(interpreter: Any, detail: Mapping[str, Any]) -> Array:
    stored: Array = interpreter.get_tensor(detail["index"])
    scale, zero_point = detail["quantization"]
    return (stored.astype(np.float64) - zero_point) * scale if scale else stored


def run_onnx(path: Path, *inputs: Array) -> list[Array]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]
    return list(session.run(None, dict(zip(names, inputs, strict=True))))
