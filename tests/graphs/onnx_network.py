"""MobileNetV2 as ONNX, NCHW, with QuantizeLinear and DequantizeLinear around every operator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto

from tests.graphs import mobilenet
from tests.graphs.mobilenet import Known
from tests.graphs.network import Filter, Network, Node
from tests.graphs.numbers import Array, Scaling
from tests.graphs.onnx_file import OnnxFile


class Layers:
    """Writes a network's layers as Q/DQ pairs. A handle names the dequantised tensor."""

    def __init__(self, file: OnnxFile) -> None:
        self.file = file

    def conv(self, x: Node, filter: Filter, result: Node) -> str:
        if filter.depthwise:
            weights = filter.weights.transpose(2, 0, 1)[:, None]
            groups = weights.shape[0]
        else:
            weights, groups = filter.weights.transpose(3, 2, 0, 1), 1
        inputs = [x.handle, *self._weighted(x, filter, weights)]
        out = self.file.node(
            "Conv",
            inputs,
            attributes={
                "auto_pad": "SAME_UPPER",
                "group": groups,
                "kernel_shape": list(weights.shape[2:]),
                "strides": [filter.stride] * 2,
            },
        )
        if filter.ceiling is not None:
            limits = [self.file.constant(np.float32(v)) for v in (0.0, filter.ceiling)]
            out = self.file.node("Clip", [out, *limits])
        return self.stored(out, result.scaling)

    def dense(self, x: Node, filter: Filter, result: Node) -> str:
        inputs = [x.handle, *self._weighted(x, filter, filter.weights[0, 0].T)]
        return self.stored(self.file.node("Gemm", inputs, attributes={"transB": 1}), result.scaling)

    def add(self, a: Node, b: Node, result: Node) -> str:
        return self.stored(self.file.node("Add", [a.handle, b.handle]), result.scaling)

    def mean(self, x: Node, result: Node) -> str:
        pooled = self.stored(self.file.node("GlobalAveragePool", [x.handle]), result.scaling)
        return self.stored(self.file.node("Flatten", [pooled]), result.scaling)

    def stored(self, real: str, scaling: Scaling, name: str = "") -> str:
        """Through eight bits and back.

        uint8: with int8 activations ONNX Runtime 1.31 leaves every residual block in float on x86
        (its int8 to uint8 pass cannot convert a tensor that has two readers).
        """
        numbers = self._numbers(scaling)
        kept = self.file.node("QuantizeLinear", [real, *numbers])
        return self.file.node("DequantizeLinear", [kept, *numbers], name=name)

    def real(self, kept: str, scaling: Scaling) -> str:
        """What uint8 values stand for."""
        return self.file.node("DequantizeLinear", [kept, *self._numbers(scaling)])

    def _numbers(self, scaling: Scaling) -> list[str]:
        scale, zero_point = np.float32(scaling.scale), np.uint8(scaling.zero_point + 128)
        return [self.file.constant(scale), self.file.constant(zero_point)]

    def _weighted(self, x: Node, filter: Filter, weights: Array) -> tuple[str, str]:
        units = (np.float32(x.scaling.scale) * filter.scales).astype(np.float32)
        return (
            self._constant(np.ascontiguousarray(weights), filter.scales),
            self._constant(filter.bias, units),
        )

    def _constant(self, content: Array, scales: Array) -> str:
        zeros = np.zeros(len(scales), content.dtype)
        inputs = [self.file.constant(part) for part in (content, scales, zeros)]
        return self.file.node("DequantizeLinear", inputs, attributes={"axis": 0})


def mobilenet_v2(
    path: Path,
    size: int = 224,
    classes: int = 1000,
    seed: int = 0,
    head: str = "logits",
    dtype: str = "float32",
) -> Known:
    """MobileNetV2 1.0, Q/DQ inside (int8 weights, uint8 activations), random weights.

    Input "input" float32 (1, 3, size, size), -1 to 1, or uint8 (1, size, size, 3), the pixels;
    output "output" float32 (1, classes). head: "logits", as PyTorch exports it, or "probabilities".
    """
    file = OnnxFile()
    layers = Layers(file)
    net = Network(layers, seed)
    sample = mobilenet.picture(size, seed)
    if dtype == "float32":
        file.input("input", (1, 3, size, size), TensorProto.FLOAT)
        start = layers.stored("input", mobilenet.INPUT)
    else:
        file.input("input", (1, size, size, 3), TensorProto.UINT8)
        planes = file.node("Transpose", ["input"], attributes={"perm": [0, 3, 1, 2]})
        start = layers.real(planes, mobilenet.INPUT)
    logits = mobilenet.classifier(net, Node(start, sample, mobilenet.INPUT), classes)
    if head == "logits":
        file.node("Identity", [logits.handle], name="output")
    else:
        file.node("Softmax", [logits.handle], "output", {"axis": -1})
    file.output("output", (1, classes), TensorProto.FLOAT)
    file.save(path)
    return Known(sample, logits.sample)
