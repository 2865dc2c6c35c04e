"""Hostile .onnx files. What ONNX Runtime does with each was found by experiment.

Open them in a child process only.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto

from tests.graphs.onnx_file import OnnxFile, one_more

SHAPE = (1, 3, 8, 8)
KEEP_NONE = {"keepdims": 0}
FOREVER = int(np.iinfo(np.int64).max)


def crash_on_black(path: Path) -> Path:
    """Runs well until no value of a picture is above 0, then SIGFPE in run() (x86 only: ARM does
    not trap).

    -2**63 / -1 overflows; the divisor is twice the brightest value, rounded up, - 1. Input float32
    (1, 3, 8, 8), not negative; output "output" int64 (1,), of no meaning. ONNX Runtime 1.31 checks
    for division by 0, but not for this; 1.23 for neither.
    """
    file = OnnxFile()
    file.input("input", SHAPE, TensorProto.FLOAT)
    brightest = file.node("Ceil", [file.node("ReduceMax", ["input"], attributes=KEEP_NONE)])
    whole = file.node("Cast", [brightest], attributes={"to": TensorProto.INT64})
    doubled = file.node("Mul", [whole, file.constant(np.array([2], np.int64))])
    divisor = file.node("Add", [doubled, file.constant(np.array([-1], np.int64))])
    # not a constant, or the division is tried when the model is loaded
    nothing = file.node("Mul", [whole, file.constant(np.array([0], np.int64))])
    lowest = file.constant(np.array([np.iinfo(np.int64).min], np.int64))
    file.node("Div", [file.node("Add", [nothing, lowest]), divisor], name="output")
    file.output("output", (1,), TensorProto.INT64)
    return file.save(path)


def fails_on_bright(path: Path) -> Path:
    """Runs well until a value of a picture is above 0, then run() raises: out of bounds.

    Input float32 (1, 3, 8, 8), at most 1000; output "output" float32 (), of no meaning.
    """
    file = OnnxFile()
    file.input("input", SHAPE, TensorProto.FLOAT)
    brightest = file.node("Ceil", [file.node("ReduceMax", ["input"], attributes=KEEP_NONE)])
    place = file.node("Cast", [brightest], attributes={"to": TensorProto.INT64})
    file.node("Gather", [file.constant(np.array([1], np.float32)), place], name="output")
    file.output("output", (), TensorProto.FLOAT)
    return file.save(path)


def growing(path: Path) -> Path:
    """As many ones as the brightest value of the picture, so of another size at every run.

    Input float32 (1, 3, 8, 8); output "output" float32 (brightest,), empty for black.
    """
    file = OnnxFile()
    file.input("input", SHAPE, TensorProto.FLOAT)
    brightest = file.node("Ceil", [file.node("ReduceMax", ["input"], attributes=KEEP_NONE)])
    whole = file.node("Cast", [brightest], attributes={"to": TensorProto.INT64})
    count = file.node("Reshape", [whole, file.constant(np.array([1], np.int64))])
    file.node("Expand", [file.constant(np.array([1], np.float32)), count], name="output")
    file.output("output", ("count",), TensorProto.FLOAT)
    return file.save(path)


def endless(path: Path) -> Path:
    """Opens well; its first run() never returns (it holds no lock of Python's)."""
    return slow(path, rounds=FOREVER)


def slow(path: Path, rounds: int) -> Path:
    """Counts to `rounds` in a Loop at every run(): a few microseconds each.

    Input float32 (1, 3, 8, 8), ignored; output "output" int64 (1,): the rounds.
    """
    file = OnnxFile()
    file.input("input", SHAPE, TensorProto.FLOAT)
    # 0 computed from the input, so that the loop cannot be folded away before it runs
    least = file.node("ReduceMin", ["input"], attributes=KEEP_NONE)
    numbers = file.node("Cast", [least], attributes={"to": TensorProto.INT64})
    nothing = file.node("Mul", [numbers, file.constant(np.array([0], np.int64))])
    trips = file.constant(np.array(rounds, np.int64))
    file.node("Loop", [trips, "", nothing], "output", {"body": one_more()})
    file.output("output", (1,), TensorProto.INT64)
    return file.save(path)


def hungry(path: Path, mebibytes: int) -> Path:
    """Asks for so much memory at every run(); opens well at any size.

    Input float32 (1, 3, 8, 8); output "output" float32 (mebibytes, 2**18).
    """
    file = OnnxFile()
    file.input("input", SHAPE, TensorProto.FLOAT)
    filling = file.node("ReduceMean", ["input"], attributes=KEEP_NONE)
    size = file.constant(np.array([mebibytes, 1 << 18], np.int64))
    file.node("Expand", [filling, size], name="output")
    file.output("output", (mebibytes, 1 << 18), TensorProto.FLOAT)
    return file.save(path)


def outside(path: Path, location: str, bytes_wanted: int = 4) -> Path:
    """A model whose one constant lies in another file, at `location` relative to it.

    What it reads there would come out as its output: float32 (bytes_wanted / 4,) plus the input's
    mean. Nothing outside a model's own folder may be read so: ONNX Runtime 1.31 refuses that, 1.23
    reads any file.
    """
    file = OnnxFile()
    file.input("input", SHAPE, TensorProto.FLOAT)
    count = bytes_wanted // 4
    stolen = TensorProto(name="stolen", data_type=TensorProto.FLOAT, dims=[count])
    stolen.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(count * 4))):
        stolen.external_data.add(key=key, value=value)
    file.constants.append(stolen)
    mean = file.node("ReduceMean", ["input"], attributes=KEEP_NONE)
    file.node("Add", ["stolen", mean], name="output")
    file.output("output", (count,), TensorProto.FLOAT)
    return file.save(path)
