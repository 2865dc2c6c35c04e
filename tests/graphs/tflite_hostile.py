"""Hostile .tflite files: they pass for models and then crash, hang or swallow the machine.

What ai-edge-litert 2.3 does with each was found by experiment. Open them in a child process only.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.graphs.tflite_file import File, Graph

SHAPE = (1, 8, 8, 3)


def crash_on_open(path: Path) -> Path:
    """SIGSEGV in allocate_tensors(): RESHAPE reads its optional shape without a look (index -1)."""
    file = File()
    _deadly(file.graph())
    return file.save(path, [1])


def overflow_on_open(path: Path) -> Path:
    """SIGSEGV in allocate_tensors() by stack overflow: an IF whose branches are its own graph."""
    file = File()
    graph = file.graph()
    x = graph.input("input", (1,), "bool")
    out = graph.tensor("output", (1,), "bool")
    graph.op("IF", [x, x], [out], schema.IfOptionsT(0, 0))
    return file.save(path, [out])


def crash_on_run(path: Path) -> Path:
    """Opens and allocates well; SIGSEGV at the first invoke(), where CALL_ONCE prepares its graph.

    Input and output: uint8 (1, 8, 8, 3).
    """
    file = File()
    graph = file.graph()
    x = graph.input("input", SHAPE, "uint8")
    out = graph.tensor("output", SHAPE, "uint8")
    hidden = file.graph("hidden")
    constant = hidden.constant("content", np.zeros(SHAPE, np.float32))
    made = hidden.tensor("made", SHAPE, "float32")
    hidden.op("RESHAPE", [constant, -1], [made])
    graph.op("CALL_ONCE", [], [], schema.CallOnceOptionsT(hidden.index))
    size = graph.constant("shape", np.array(SHAPE, np.int32))
    graph.op("RESHAPE", [x, size], [out])
    return file.save(path, [out])


def crash_on_black(path: Path) -> Path:
    """Runs well until a picture is all 0, then SIGFPE in invoke() (x86 only: ARM does not trap).

    -2**31 modulo -1 overflows; the divisor is twice the brightest value - 1. Input uint8
    (1, 8, 8, 3); output "output" int32 (1,), of no meaning.
    """
    file = File()
    graph = file.graph()
    x = graph.input("input", SHAPE, "uint8")
    brightest = _extreme(graph, x, "REDUCE_MAX")
    doubled = graph.tensor("doubled", (), "int32")
    two = graph.constant("two", np.array(2, np.int32))
    graph.op("MUL", [brightest, two], [doubled], schema.MulOptionsT())
    divisor = graph.tensor("divisor", (1,), "int32")
    minus = graph.constant("minus", np.array([-1], np.int32))
    graph.op("ADD", [doubled, minus], [divisor], schema.AddOptionsT())
    out = graph.tensor("output", (1,), "int32")
    lowest = graph.constant("lowest", np.array([np.iinfo(np.int32).min], np.int32))
    graph.op("FLOOR_MOD", [lowest, divisor], [out], schema.FloorModOptionsT())
    return file.save(path, [out])


def fails_on_bright(path: Path) -> Path:
    """Runs well until a value of a picture is above 0, then invoke() raises: out of bounds.

    Input uint8 (1, 8, 8, 3); output "output" float32 (1,), of no meaning.
    """
    file = File()
    graph = file.graph()
    x = graph.input("input", SHAPE, "uint8")
    place = graph.tensor("place", (1,), "int32")
    size = graph.constant("shape", np.array([1], np.int32))
    graph.op("RESHAPE", [_extreme(graph, x, "REDUCE_MAX"), size], [place])
    out = graph.tensor("output", (1,), "float32")
    table = graph.constant("table", np.array([1], np.float32))
    graph.op("GATHER", [table, place], [out], schema.GatherOptionsT())
    return file.save(path, [out])


def growing(path: Path) -> Path:
    """As many ones as the brightest value of the picture, so of another size at every run.

    Input uint8 (1, 8, 8, 3); output "output" float32 (brightest,), empty for black.
    """
    file = File()
    graph = file.graph()
    x = graph.input("input", SHAPE, "uint8")
    count = graph.tensor("count", (1,), "int32")
    shape = graph.constant("shape", np.array([1], np.int32))
    graph.op("RESHAPE", [_extreme(graph, x, "REDUCE_MAX"), shape], [count])
    out = graph.tensor("output", (0,), "float32")
    one = graph.constant("one", np.array(1, np.float32))
    graph.op("FILL", [count, one], [out], schema.FillOptionsT())
    return file.save(path, [out])


def _extreme(graph: Graph, x: int, operator: str) -> int:
    """The least or greatest value of the uint8 input, int32 ()."""
    kinds = schema.TensorType
    numbers = graph.tensor("numbers", SHAPE, "int32")
    graph.op("CAST", [x], [numbers], schema.CastOptionsT(kinds.UINT8, kinds.INT32))
    extreme = graph.tensor("extreme", (), "int32")
    axes = graph.constant("axes", np.arange(4, dtype=np.int32))
    graph.op(operator, [numbers, axes], [extreme], schema.ReducerOptionsT())
    return extreme


def _deadly(graph: Graph) -> None:
    x = graph.input("input", SHAPE, "float32")
    out = graph.tensor("output", SHAPE, "float32")
    graph.op("RESHAPE", [x, -1], [out])


def hungry(path: Path, mebibytes: int) -> Path:
    """Fills so much memory at every invoke().

    Up to what the machine can promise it opens and allocates, and the memory is touched at the
    first invoke(); beyond that (2**24 is 16 TiB) allocate_tensors() raises a RuntimeError whose
    message is empty. Input uint8 (1, 8, 8, 3), output float32 (mebibytes, 2**18).
    """
    file = File()
    graph = file.graph()
    x = graph.input("input", SHAPE, "uint8")
    shape = (mebibytes, 1 << 18)
    out = graph.tensor("output", shape, "float32")
    # the filling is the mean of the input: nothing that can be folded away before it runs
    kinds = schema.TensorType
    real = graph.tensor("real", SHAPE, "float32")
    graph.op("CAST", [x], [real], schema.CastOptionsT(kinds.UINT8, kinds.FLOAT32))
    filling = graph.tensor("filling", (), "float32")
    axes = graph.constant("axes", np.arange(4, dtype=np.int32))
    graph.op("MEAN", [real, axes], [filling], schema.ReducerOptionsT())
    size = graph.constant("size", np.array(shape, np.int32))
    graph.op("FILL", [size, filling], [out], schema.FillOptionsT())
    return file.save(path, [out])


def endless(path: Path) -> Path:
    """Opens well; its first invoke() never returns (it holds no lock of Python's)."""
    return slow(path, rounds=-1)


def slow(path: Path, rounds: int) -> Path:
    """Counts to `rounds` in a WHILE loop at every invoke(): well below a microsecond each.

    Input uint8 (1, 8, 8, 3), ignored; output "output" int32 (1,): the rounds. -1 never ends.
    """
    file = File()
    graph = file.graph()
    x = graph.input("input", SHAPE, "uint8")
    start = graph.tensor("start", (1,), "int32")
    out = graph.tensor("output", (1,), "int32")
    _zero(graph, x, start)
    condition, body = file.graph("condition"), file.graph("body")
    _condition(condition, rounds)
    _body(body)
    graph.op("WHILE", [start], [out], schema.WhileOptionsT(condition.index, body.index))
    return file.save(path, [out])


def _zero(graph: Graph, x: int, start: int) -> None:
    """0 computed from the input, so that the loop cannot be run before there is one."""
    zero = graph.constant("zero", np.array([0], np.int32))
    graph.op("MUL", [_extreme(graph, x, "REDUCE_MIN"), zero], [start], schema.MulOptionsT())


def _condition(graph: Graph, rounds: int) -> None:
    count = graph.input("count", (1,), "int32")
    last = graph.constant("last", np.array([rounds], np.int32))
    more = graph.tensor("more", (1,), "bool")
    if rounds < 0:
        graph.op("GREATER_EQUAL", [count, last], [more], schema.GreaterEqualOptionsT())
    else:
        graph.op("LESS", [count, last], [more], schema.LessOptionsT())
    graph.table.outputs = [more]


def _body(graph: Graph) -> None:
    count = graph.input("count", (1,), "int32")
    one = graph.constant("one", np.array([1], np.int32))
    higher = graph.tensor("higher", (1,), "int32")
    graph.op("ADD", [count, one], [higher], schema.AddOptionsT())
    graph.table.outputs = [higher]
