"""Writes .onnx files: nodes are named in order, so that the same graph gives the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8  # what goes with opset 17: old engines read it too
FOREIGN = "nobody.knows"  # the domain of operators that no engine has

Attribute = int | float | str | Sequence[int] | GraphProto | TensorProto


class OnnxFile:
    """One graph. Tensors are their names."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[TensorProto] = []
        self.inputs: list[ValueInfoProto] = []
        self.outputs: list[ValueInfoProto] = []

    def input(self, name: str, shape: Sequence[int | str], kind: int) -> str:
        """kind: of TensorProto. A string in the shape names an open dimension."""
        self.inputs.append(helper.make_tensor_value_info(name, kind, list(shape)))
        return name

    def output(self, name: str, shape: Sequence[int | str], kind: int) -> None:
        self.outputs.append(helper.make_tensor_value_info(name, kind, list(shape)))

    def constant(self, content: Any) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(content, name))
        return name

    def node(
        self,
        operator: str,
        inputs: Sequence[str],
        name: str = "",
        attributes: Mapping[str, Attribute] | None = None,
        domain: str = "",
    ) -> str:
        """Add an operator with one output; returns that. attributes: by ONNX's names."""
        out = name or f"{operator.lower()}_{len(self.nodes)}"
        node = helper.make_node(operator, list(inputs), [out], out, domain=domain)
        for key, content in (attributes or {}).items():
            node.attribute.append(helper.make_attribute(key, content))
        self.nodes.append(node)
        return out

    def graph(self, name: str = "main") -> GraphProto:
        return helper.make_graph(self.nodes, name, self.inputs, self.outputs, self.constants)

    def model(self) -> ModelProto:
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(FOREIGN, 1)]
        return helper.make_model(
            self.graph(),
            producer_name="vedette tests",
            opset_imports=opsets,
            ir_version=IR_VERSION,
        )

    def save(self, path: Path) -> Path:
        path.write_bytes(self.model().SerializeToString(deterministic=True))
        return path


def one_more() -> GraphProto:
    """The body of a Loop that counts its rounds: int64 (1,)."""
    body = OnnxFile()
    body.input("round", (), TensorProto.INT64)
    body.input("more", (), TensorProto.BOOL)
    body.input("count", (1,), TensorProto.INT64)
    one = helper.make_tensor("one", TensorProto.INT64, [1], [1])
    body.node("Identity", ["more"], name="still")
    body.node("Add", ["count", body.node("Constant", [], "step", {"value": one})], name="next")
    body.output("still", (), TensorProto.BOOL)
    body.output("next", (1,), TensorProto.INT64)
    return body.graph("body")
