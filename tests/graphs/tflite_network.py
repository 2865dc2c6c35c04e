"""Networks as int8 .tflite files: MobileNetV2 and SSD on it, quantised per channel throughout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.graphs import mobilenet
from tests.graphs.mobilenet import Known
from tests.graphs.network import Filter, Network, Node
from tests.graphs.numbers import PROBABILITY, Scaling
from tests.graphs.tflite_file import File, Graph

SAME = schema.Padding.SAME
UINT8 = Scaling(mobilenet.INPUT.scale, mobilenet.INPUT.zero_point + 128)


class Layers:
    """Writes a network's layers as LiteRT operators, NHWC."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def conv(self, x: Node, filter: Filter, result: Node) -> int:
        activation = _activation(filter.ceiling)
        step = filter.stride
        if filter.depthwise:
            weights, axis, operator = filter.weights[None], 3, "DEPTHWISE_CONV_2D"
            options = schema.DepthwiseConv2DOptionsT(SAME, step, step, 1, activation)
        else:
            weights, axis, operator = filter.weights.transpose(3, 0, 1, 2), 0, "CONV_2D"
            options = schema.Conv2DOptionsT(SAME, step, step, activation)
        return self._weighted(operator, x, filter, weights, axis, result, options)

    def dense(self, x: Node, filter: Filter, result: Node) -> int:
        weights = filter.weights[0, 0].T
        options = schema.FullyConnectedOptionsT()
        return self._weighted("FULLY_CONNECTED", x, filter, weights, 0, result, options)

    def add(self, a: Node, b: Node, result: Node) -> int:
        out = self.made("add", result)
        self.graph.op("ADD", [a.handle, b.handle], [out], schema.AddOptionsT())
        return out

    def mean(self, x: Node, result: Node) -> int:
        out = self.made("mean", result)
        axes = self.graph.constant("mean/axes", np.array([1, 2], np.int32))
        self.graph.op("MEAN", [x.handle, axes], [out], schema.ReducerOptionsT())
        return out

    def made(self, name: str, result: Node) -> int:
        """An int8 tensor for what an operator gives."""
        number = len(self.graph.table.operators)
        return self.graph.tensor(f"{name}_{number}", result.sample.shape, "int8", result.scaling)

    def _weighted(
        self,
        operator: str,
        x: Node,
        filter: Filter,
        weights: np.ndarray,
        axis: int,
        result: Node,
        options: object,
    ) -> int:
        out = self.made(operator.lower(), result)
        name = f"{operator.lower()}_{len(self.graph.table.operators)}"
        stored = self.graph.constant(f"{name}/weights", weights, filter.scales.tolist(), axis)
        units = (np.float32(x.scaling.scale) * filter.scales).tolist()
        bias = self.graph.constant(f"{name}/bias", filter.bias, units)
        self.graph.op(operator, [x.handle, stored, bias], [out], options)
        return out


def _activation(ceiling: float | None) -> int:
    kinds = schema.ActivationFunctionType
    return int({None: kinds.NONE, 6.0: kinds.RELU6}[ceiling])


def begin(graph: Graph, size: int, dtype: str, seed: int) -> tuple[Node, int]:
    """The input: (the node that the first layer eats, the graph's input tensor)."""
    sample = mobilenet.picture(size, seed)
    scaling = mobilenet.INPUT
    shape = (1, size, size, 3)
    if dtype == "int8":
        tensor = graph.input("input", shape, "int8", scaling)
        return Node(tensor, sample, scaling), tensor
    outside = graph.input("input", shape, dtype, UINT8 if dtype == "uint8" else None)
    tensor = graph.tensor("input_int8", shape, "int8", scaling)
    graph.op("QUANTIZE", [outside], [tensor], schema.QuantizeOptionsT())
    return Node(tensor, sample, scaling), outside


def end(graph: Graph, tensor: int, shape: tuple[int, ...], scaling: Scaling, dtype: str) -> int:
    """The output `output` of the wanted type for an int8 tensor."""
    if dtype == "float32":
        out = graph.tensor("output", shape, dtype)
        graph.op("DEQUANTIZE", [tensor], [out], schema.DequantizeOptionsT())
    else:
        unsigned = Scaling(scaling.scale, scaling.zero_point + 128)
        out = graph.tensor("output", shape, dtype, unsigned)
        graph.op("QUANTIZE", [tensor], [out], schema.QuantizeOptionsT())
    return out


def mobilenet_v2(
    path: Path,
    size: int = 224,
    classes: int = 1001,
    seed: int = 0,
    dtype: str = "int8",
    head: str = "probabilities",
) -> Known:
    """MobileNetV2 1.0, int8 inside, random weights.

    dtype: of input and output: "int8", "uint8" or "float32". head: "probabilities" | "logits".
    Input "input" (1, size, size, 3), real values -1 to 1; output "output" (1, classes).
    """
    file = File()
    graph = file.graph()
    net = Network(Layers(graph), seed)
    x, _ = begin(graph, size, dtype, seed)
    logits = mobilenet.classifier(net, x, classes)
    tensor, scaling, shape = logits.handle, logits.scaling, (1, classes)
    if head == "probabilities":
        tensor, scaling = graph.tensor("probabilities", shape, "int8", PROBABILITY), PROBABILITY
        graph.op("SOFTMAX", [logits.handle], [tensor], schema.SoftmaxOptionsT(1.0))
    if dtype == "int8":
        graph.table.tensors[tensor].name = "output"
    else:
        tensor = end(graph, tensor, shape, scaling, dtype)
    file.save(path, [tensor])
    return Known(x.sample, logits.sample)
