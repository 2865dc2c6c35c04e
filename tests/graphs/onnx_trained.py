"""`python -m tests.graphs.onnx_trained digits.onnx`: a network as a training leaves it, to try."""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
from onnx import numpy_helper

ROOT = Path(__file__).resolve().parents[2]
ZOO = ROOT / "models" / "zoo" / "digits" / "onnx" / "digits.onnx"


def trained(file: Path) -> Path:
    """The zoo's classifier as float32, as if a training had just left it: no Q/DQ pairs."""
    model = onnx.load(ZOO)
    arrays = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    same: dict[str, str] = {}
    nodes, made = [], []
    for node in model.graph.node:
        inputs = [same.get(name, name) for name in node.input]
        if node.op_type == "DequantizeLinear" and inputs[0] in arrays:
            whole, scale = arrays[inputs[0]].astype("float32"), arrays[inputs[1]]
            real = whole * scale.reshape(-1, *(1,) * (whole.ndim - 1))
            made.append(numpy_helper.from_array(real, node.output[0]))
        elif node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            same[node.output[0]] = inputs[0]
        else:
            node.input[:] = inputs
            nodes.append(node)
    nodes[-1].output[0] = model.graph.output[0].name
    used = {name for node in nodes for name in node.input}
    made += [each for each in model.graph.initializer if each.name in used]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(made)
    onnx.checker.check_model(model)
    onnx.save(model, file)
    return file


if __name__ == "__main__":
    trained(Path(sys.argv[1]))
