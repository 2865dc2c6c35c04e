"""Writes .tflite files: tensors, operators and subgraphs, by the published flatbuffer schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.graphs.numbers import Array, Scaling

# the version of an operator that first took int8 as we use it; all others are version 1
VERSIONS = {
    "ADD": 2,
    "AVERAGE_POOL_2D": 2,
    "CONCATENATION": 2,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "DEQUANTIZE": 2,
    "FULLY_CONNECTED": 4,
    "LOGISTIC": 2,
    "MEAN": 2,
    "SOFTMAX": 2,
}


class Buffer:
    """A constant tensor's bytes, aligned to 16 as the schema demands (generated code forgets)."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def Pack(self, builder: Any) -> int:  # the name that the generated code calls
        vector = None
        if self.content:
            builder.StartVector(1, len(self.content), 16)
            builder.head -= len(self.content)
            builder.Bytes[builder.head : builder.head + len(self.content)] = self.content
            vector = builder.EndVector()
        schema.BufferStart(builder)
        if vector is not None:
            schema.BufferAddData(builder, vector)
        return int(schema.BufferEnd(builder))


class Graph:
    """One subgraph. Tensors are their indexes."""

    def __init__(self, file: File, name: str) -> None:
        self.file = file
        self.index = len(file.graphs)
        self.table = schema.SubGraphT([], [], [], [], name)
        file.graphs.append(self)

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: str,
        scaling: Scaling | None = None,
        signature: Sequence[int] | None = None,
    ) -> int:
        """A tensor that an operator fills. signature: the shape with -1 where it is not fixed."""
        quantization = None
        if scaling is not None:
            quantization = schema.QuantizationParametersT(
                scale=[scaling.scale], zeroPoint=[scaling.zero_point]
            )
        return self._add(name, shape, dtype, 0, quantization, signature)

    def input(
        self,
        name: str,
        shape: Sequence[int],
        dtype: str,
        scaling: Scaling | None = None,
        signature: Sequence[int] | None = None,
    ) -> int:
        tensor = self.tensor(name, shape, dtype, scaling, signature)
        self.table.inputs.append(tensor)
        return tensor

    def constant(
        self, name: str, content: Array, scales: Sequence[float] = (), axis: int = 0
    ) -> int:
        """A tensor whose content lies in the file. scales: one, or one per index of `axis`."""
        quantization = None
        if len(scales):
            quantization = schema.QuantizationParametersT(
                scale=list(scales), zeroPoint=[0] * len(scales), quantizedDimension=axis
            )
        buffer = self.file.buffer(content.tobytes())
        return self._add(name, content.shape, content.dtype.name, buffer, quantization, None)

    def _add(
        self,
        name: str,
        shape: Sequence[int],
        dtype: str,
        buffer: int,
        quantization: Any,
        signature: Sequence[int] | None,
    ) -> int:
        kind = getattr(schema.TensorType, dtype.upper())
        tensor = schema.TensorT(list(shape), kind, buffer, name, quantization)
        tensor.hasRank = True
        tensor.shapeSignature = None if signature is None else list(signature)
        self.table.tensors.append(tensor)
        return len(self.table.tensors) - 1

    def op(
        self,
        operator: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: object | None = None,
    ) -> None:
        """A builtin operator; options: its table of the schema."""
        kind = 0
        if options is not None:
            kind = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        self.table.operators.append(
            schema.OperatorT(self.file.code(operator), list(inputs), list(outputs), kind, options)
        )

    def custom(
        self, operator: str, inputs: Sequence[int], outputs: Sequence[int], options: bytes
    ) -> None:
        """A custom operator; options: a flexbuffer."""
        self.table.operators.append(
            schema.OperatorT(
                self.file.custom_code(operator),
                list(inputs),
                list(outputs),
                customOptions=np.frombuffer(options, np.uint8),
            )
        )


class File:
    """A model: its subgraphs (the first one is what runs), buffers and operator codes."""

    def __init__(self) -> None:
        self.graphs: list[Graph] = []
        self.buffers = [Buffer(b"")]  # by the schema the first buffer is empty
        self.codes: list[Any] = []
        self.signatures: list[Any] = []

    def graph(self, name: str = "main") -> Graph:
        return Graph(self, name)

    def buffer(self, content: bytes) -> int:
        self.buffers.append(Buffer(content))
        return len(self.buffers) - 1

    def code(self, operator: str) -> int:
        number = getattr(schema.BuiltinOperator, operator)
        for index, code in enumerate(self.codes):
            if code.builtinCode == number:
                return index
        old = min(number, 127)  # old readers look at this one byte
        self.codes.append(schema.OperatorCodeT(old, None, VERSIONS.get(operator, 1), number))
        return len(self.codes) - 1

    def custom_code(self, operator: str) -> int:
        custom = schema.BuiltinOperator.CUSTOM
        self.codes.append(schema.OperatorCodeT(custom, operator, 1, custom))
        return len(self.codes) - 1

    def sign(self, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> None:
        """Give the main graph's tensors the public names of `serving_default`."""
        named = [
            [schema.TensorMapT(name, tensor) for name, tensor in side.items()]
            for side in (inputs, outputs)
        ]
        self.signatures.append(schema.SignatureDefT(*named, "serving_default", 0))

    def packed(self) -> bytes:
        """The file's bytes: the same ones for the same content."""
        model = schema.ModelT(
            3, self.codes, [graph.table for graph in self.graphs], "vedette tests", self.buffers
        )
        model.signatureDefs = self.signatures or None
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def save(self, path: Path, outputs: Sequence[int]) -> Path:
        """Write the file; outputs: the main graph's."""
        self.graphs[0].table.outputs = list(outputs)
        path.write_bytes(self.packed())
        return path
