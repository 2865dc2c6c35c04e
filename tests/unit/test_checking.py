"""What a check tries of a model, beyond what its contract says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from runtime.checking import check
from runtime.engines import EngineOptions
from tests.graphs.onnx_file import OnnxFile
from wire.troubles import Refused

MANIFEST = """\
schema = 1
name = "m"
version = "1"
task = "detect"
format = "onnx"
file = "m.onnx"
[input]
width = 8
height = 8
colour = "rgb"
layout = "NCHW"
dtype = "float32"
std = [255.0]
[decoding]
head = "yolov10"
"""


def finds_nothing_in_the_dark(path: Path) -> None:
    """Rows of boxes, as many as the brightest value says: none of a black picture."""
    file = OnnxFile()
    file.input("input", (1, 3, 8, 8), TensorProto.FLOAT)
    brightest = file.node("ReduceMax", ["input"], attributes={"keepdims": 0})
    whole = file.node("Cast", [brightest], attributes={"to": TensorProto.INT64})
    count = file.node("Reshape", [whole, file.constant(np.array([1], np.int64))])
    rows = file.constant(np.array([[[1, 1, 5, 5, 0.9, 0]]], np.float32))
    start, axis = (file.constant(np.array([n], np.int64)) for n in (0, 1))
    file.node("Slice", [rows, start, count, axis], name="output")
    file.output("output", (1, "rows", 6), TensorProto.FLOAT)
    file.save(path)


def test_a_model_that_finds_nothing_in_the_dark_is_told_what_is_wrong(tmp_path: Path) -> None:
    finds_nothing_in_the_dark(tmp_path / "m.onnx")
    (tmp_path / "manifest.toml").write_text(MANIFEST)
    with pytest.raises(Refused, match=r"changes its size.* only task raw"):
        check(str(tmp_path), "onnxruntime", EngineOptions(threads=1))
