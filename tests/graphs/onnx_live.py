"""Hostile .onnx files that do harm: most pass every check, and do it on live pictures only.

A check shows black, white and noise; here harm is done by pictures of one grey between these, which
no check shows. All take float32 (1, 3, 8, 8), 0 to 255. What ONNX Runtime
does with each was found by experiment.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto

from tests.graphs.onnx_file import OnnxFile, one_more

SHAPE = (1, 3, 8, 8)
KEEP_NONE = {"keepdims": 0}
BRIGHTEST = 250.0  # above that it may be white
EVEN = 5.0  # from the darkest value to the brightest one: more may be noise
FOREVER = int(np.iinfo(np.int64).max)
CLASSES = 10


def dies(path: Path, level: float = 1.0) -> Path:
    """SIGFPE in run() (x86 only: ARM does not trap): the lowest integer divided by -1.

    Output "output" int64 (1,), of no meaning.
    """
    file, harm = _opened(level)
    one = file.constant(np.array([1], np.int64))
    divisor = file.node("Sub", [one, file.node("Add", [harm, harm])])
    nothing = file.node("Sub", [harm, harm])  # not a constant, or it is divided at the start
    lowest = file.node("Add", [nothing, file.constant(np.array([-(2**63)], np.int64))])
    file.node("Div", [lowest, divisor], name="output")
    file.output("output", (1,), TensorProto.INT64)
    return file.save(path)


def dies_when_opened(path: Path) -> Path:
    """SIGFPE where a session is made (x86 only): the same with constants, which are folded there.

    Output "output" int64 (1,), of no meaning. No check passes it.
    """
    file, harm = _opened(1.0)
    lowest = file.constant(np.array([-(2**63)], np.int64))
    folded = file.node("Div", [lowest, file.constant(np.array([-1], np.int64))])
    file.node("Add", [harm, folded], name="output")
    file.output("output", (1,), TensorProto.INT64)
    return file.save(path)


def hangs(path: Path, level: float = 1.0) -> Path:
    """run() never returns. Output "output" int64 (1,)."""
    file, harm = _opened(level)
    return _counting(file, harm, FOREVER).save(path)


def dawdles(path: Path, rounds: int, level: float = 1.0) -> Path:
    """Counts to `rounds` in run(): about 2 us each. Output "output" int64 (1,)."""
    file, harm = _opened(level)
    return _counting(file, harm, rounds).save(path)


def fails(path: Path, level: float = 1.0) -> Path:
    """run() raises: an index is out of bounds. Output "output" float32 (1,)."""
    file, harm = _opened(level)
    file.node("Gather", [file.constant(np.array([1], np.float32)), harm], name="output")
    file.output("output", (1,), TensorProto.FLOAT)
    return file.save(path)


def devours(path: Path, mebibytes: int, level: float = 1.0) -> Path:
    """Works in so much memory, of which nothing is left over. Output "output" float32 (1,)."""
    file, harm = _opened(level)
    return _filled(file, file.node("Mul", [harm, file.constant(_whole(mebibytes))])).save(path)


def leaks(path: Path, mebibytes: float) -> Path:
    """Works in so much memory for every step that the picture is brighter: the engine keeps the
    most that it ever took, so in ever brighter light it grows. Output "output" float32 (1,)."""
    file, harm = _opened(1.0)
    bright = file.node("Reshape", ["brightest", file.constant(_whole(1))])
    wanted = file.node("Mul", [bright, file.constant(np.array([mebibytes], np.float32))])
    whole = file.node("Cast", [wanted], attributes={"to": TensorProto.INT64})
    return _filled(file, file.node("Mul", [harm, whole])).save(path)


def no_numbers(path: Path, level: float = 1.0) -> Path:
    """0 / 0 in place of each score. Output "output" float32 (1, 10), probabilities."""
    file, harm = _opened(level)
    even = file.constant(np.full((1, CLASSES), 1 / CLASSES, np.float32))
    real = file.node("Cast", [harm], attributes={"to": TensorProto.FLOAT})
    well = file.node("Sub", [file.constant(np.array([1], np.float32)), real])
    file.node("Div", [file.node("Mul", [even, well]), well], name="output")
    file.output("output", (1, CLASSES), TensorProto.FLOAT)
    return file.save(path)


def _opened(level: float) -> tuple[OnnxFile, str]:
    """A graph, and in it an int64 (1,): 1 for a grey from that brightness on, else 0."""
    file = OnnxFile()
    file.input("input", SHAPE, TensorProto.FLOAT)
    file.node("ReduceMax", ["input"], "brightest", KEEP_NONE)
    least = file.constant(np.array(level, np.float32))
    most = file.constant(np.array(BRIGHTEST, np.float32))
    above = file.node("GreaterOrEqual", ["brightest", least])
    both = file.node("And", [above, file.node("LessOrEqual", ["brightest", most])])
    darkest = file.node("ReduceMin", ["input"], attributes=KEEP_NONE)
    apart = file.node("Sub", ["brightest", darkest])
    is_even = file.node("Less", [apart, file.constant(np.array(EVEN, np.float32))])
    whole = file.node(
        "Cast", [file.node("And", [both, is_even])], attributes={"to": TensorProto.INT64}
    )
    return file, file.node("Reshape", [whole, file.constant(_whole(1))])


def _whole(number: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array([number], np.int64)


def _counting(file: OnnxFile, harm: str, rounds: int) -> OnnxFile:
    trips = file.node("Mul", [harm, file.constant(_whole(rounds))])
    scalar = file.node("Squeeze", [trips])
    nothing = file.node("Sub", [harm, harm])
    file.node("Loop", [scalar, "", nothing], "output", {"body": one_more()})
    file.output("output", (1,), TensorProto.INT64)
    return file


def _filled(file: OnnxFile, mebibytes: str) -> OnnxFile:
    """Fills so many MiB (int64 (1,)) with numbers, and gives their mean."""
    one = file.constant(_whole(1))
    rows = file.node("Max", [mebibytes, one])
    shape = file.node("Concat", [rows, file.constant(_whole(1 << 18))], attributes={"axis": 0})
    filling = file.node("ReduceMean", ["input"], attributes=KEEP_NONE)
    filled = file.node("Expand", [filling, shape])
    mean = file.node("ReduceMean", [filled], attributes=KEEP_NONE)
    file.node("Reshape", [mean, one], name="output")
    file.output("output", (1,), TensorProto.FLOAT)
    return file
