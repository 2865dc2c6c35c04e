"""A step: two ONNX networks, layer by layer. Tensors inside are made outputs to be seen.

A quantized network (Q/DQ) is looked at behind QuantizeLinear and DequantizeLinear: what the next
layer gets. ONNX Runtime may still join them with the operator before: that is what runs, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wire.troubles import Refused, Unavailable
from workshop.comparing.differences import Network, Pair, Step, Tensor, compare
from workshop.comparing.results import Layers

AROUND = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
NO_LAYERS = (*AROUND, "Constant", "Shape", "Cast", "Identity")


def step(request: Pair) -> Layers:
    return compare(_network(request.reference), _network(request.other), request)


def _network(path: str) -> Network:
    try:
        import onnx
    except ImportError as error:
        raise Unavailable(f"{error.msg}: pip install onnx") from None
    model = onnx.load(path)
    steps = _steps(model.graph)
    given = {output.name for output in model.graph.output}
    for name in dict.fromkeys(step.real for step in steps):
        if name not in given:
            model.graph.output.append(onnx.ValueInfoProto(name=name))
    return Network(steps, _Running(model.SerializeToString(), path).run)


def _steps(graph: Any) -> list[Step]:
    """The operators in their order, but for those that quantize."""
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    steps = [
        Step(name, node.op_type, _real(name, readers))
        for node in graph.node if node.op_type not in NO_LAYERS
        for name in node.output[:1] if name
    ]  # fmt: skip
    return _named_as_given(steps, graph)


def _real(name: str, readers: dict[str, list[Any]]) -> str:
    """What comes out when this tensor was quantized and is real again."""
    for quantize in readers.get(name, []):
        if quantize.op_type == "QuantizeLinear":
            for back in readers.get(quantize.output[0], []):
                if back.op_type == "DequantizeLinear":
                    return str(back.output[0])
    return name


def _named_as_given(steps: list[Step], graph: Any) -> list[Step]:
    """An output that was quantized has its name from the last DequantizeLinear: the operator's own
    was changed for that."""
    given = {output.name for output in graph.output}
    return [Step(s.real if s.real in given else s.tensor, s.op, s.real) for s in steps]


class _Running:
    """A session with all tensors as outputs."""

    def __init__(self, content: bytes, path: str) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # each kind of failure has a type of its own there
            line = (str(error).strip().splitlines() or ["no reason given"])[0]
            raise Refused(f"{path}: cannot be looked into: {line}") from None

    def run(self, tensor: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        wanted = list(dict.fromkeys(names))
        outputs = self._session.run(wanted, {self._session.get_inputs()[0].name: tensor})
        return {
            name: output for name, output in zip(wanted, outputs, strict=True)
            if isinstance(output, np.ndarray) and output.dtype.kind == "f"
        }  # fmt: skip
