"""A .tflite opened up: what is quantized in it, whose layer an operator is, and other shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workshop.reading.packages import import_quietly
from workshop.reading.tf_front import Front

ARITHMETIC = ("MUL", "ADD", "SUB", "DIV")


@dataclass(frozen=True)
class Flat:
    """A .tflite as objects, made by LiteRT's schema. graph: its first and main one."""

    model: Any
    schema: Any

    @property
    def graph(self) -> Any:
        return self.model.subgraphs[0]


def read_flat(content: bytes) -> Flat:
    """Of bytes that LiteRT has read already, and so has found whole."""
    schema = import_quietly("ai_edge_litert.schema_py_generated")
    return Flat(schema.ModelT.InitFromPackedBuf(content, 0), schema)


def quantized_tensors(flat: Flat) -> list[str]:
    """Tensors that are kept in fewer bits than float32, with their type."""
    half = (flat.schema.TensorType.FLOAT16, flat.schema.TensorType.BFLOAT16)
    return [
        f"{_text(tensor.name)} {_name_of(flat.schema.TensorType, tensor.type).lower()}"
        for graph in flat.model.subgraphs
        for tensor in graph.tensors
        if tensor.type in half or _is_scaled(tensor.quantization)
    ]


def custom_operator(flat: Flat, start: str) -> tuple[str, str] | None:
    """(operator, name of its first output) of the first operator that is not of TFLite's own and
    whose name begins so."""
    for graph in flat.model.subgraphs:
        for operator in graph.operators:
            code = flat.model.operatorCodes[operator.opcodeIndex].customCode
            if code is not None and _text(code).startswith(start):
                return _text(code), _text(graph.tensors[operator.outputs[0]].name)
    return None


def with_shapes(flat: Flat, shapes: Mapping[int, Sequence[int]]) -> bytes:
    """The file with these shapes of the main graph's tensors, and none left open."""
    flatbuffers = import_quietly("flatbuffers")
    for place, tensor in enumerate(flat.graph.tensors):
        tensor.shapeSignature = None
        if place in shapes:
            tensor.shape = [int(size) for size in shapes[place]]
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(flat.model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def front_of_flat(flat: Flat) -> Front:
    """What it does first to its input, value by value."""
    front, tensor = Front(), flat.graph.inputs[0]
    while True:
        users = [one for one in flat.graph.operators if tensor in one.inputs]
        if len(users) != 1:
            return front
        (operator,) = users
        kind = _kind(flat, operator)
        if kind != "CAST":
            changed = _after(flat, front, operator, tensor, kind)
            if changed is None:
                return front
            front = changed
        tensor = operator.outputs[0]


def _after(flat: Flat, front: Front, operator: Any, tensor: int, kind: str) -> Front | None:
    none = flat.schema.ActivationFunctionType.NONE
    if kind not in ARITHMETIC or operator.builtinOptions.fusedActivationFunction != none:
        return None
    others = [_constant(flat, one) for one in operator.inputs if one != tensor]
    if len(others) != 1 or others[0] is None:
        return None
    return front.then(kind, others[0], bool(operator.inputs[0] == tensor))


def _constant(flat: Flat, place: int) -> Any:
    """The values of a float32 tensor that the file holds; else None."""
    tensor = flat.graph.tensors[place]
    content = flat.model.buffers[tensor.buffer].data
    if tensor.type != flat.schema.TensorType.FLOAT32 or content is None or not len(content):
        return None
    return np.frombuffer(bytes(content), np.float32).reshape(tensor.shape)


def _kind(flat: Flat, operator: Any) -> str:
    code = flat.model.operatorCodes[operator.opcodeIndex]
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    return _name_of(flat.schema.BuiltinOperator, number)


def _is_scaled(quantization: Any) -> bool:
    return quantization is not None and quantization.scale is not None


def _name_of(kinds: Any, number: int) -> str:
    """What the schema calls a number of one of its enumerations."""
    return next((name for name, each in vars(kinds).items() if each == number), str(number))


def _text(content: bytes | str | None) -> str:
    return content.decode(errors="replace") if isinstance(content, bytes) else content or ""
