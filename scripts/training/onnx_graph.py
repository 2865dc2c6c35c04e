"""Writes a trained network as ONNX, and quantises it with Q/DQ nodes as TensorRT wants them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from network import Conv, Head, Layer, Network, same_padding, sides
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

OPSET = 17
IR_VERSION = 8  # old enough for every ONNX Runtime and TensorRT in the field

ACTIVATIONS = {"softmax": "Softmax", "sigmoid": "Sigmoid", "relu": "Relu"}


class _Graph:
    """Collects nodes and weights; every tensor is named after the node that makes it."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, kind: str, inputs: list[str], output: str, /, **attributes: object) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def conv(self, name: str, x: str, layer: Layer, conv: Conv, side: tuple[int, int]) -> str:
        kernel = np.ascontiguousarray(layer.kernel.transpose(3, 2, 0, 1))
        self.weights.append(numpy_helper.from_array(kernel, f"{name}.weight"))
        self.weights.append(numpy_helper.from_array(layer.bias, f"{name}.bias"))
        (top, bottom), (left, right) = (same_padding(each, conv) for each in side)
        return self.add(
            "Conv", [x, f"{name}.weight", f"{name}.bias"], name,
            kernel_shape=[conv.size] * 2, strides=[conv.stride] * 2,
            dilations=[conv.dilation] * 2, pads=[top, left, bottom, right],
        )  # fmt: skip

    def head(self, x: str, head: Head, layer: Layer) -> None:
        if head.pooled:
            x = self.add("GlobalAveragePool", [x], f"{head.name}.mean")
        x = self.conv(f"{head.name}.conv", x, layer, Conv(head.filters, 1), (1, 1))
        if head.pooled:
            x = self.add("Flatten", [x], f"{head.name}.flat")
        else:
            x = self.add("Transpose", [x], f"{head.name}.nhwc", perm=[0, 2, 3, 1])
        self.add(ACTIVATIONS[head.activation], [x], head.name)


def float_model(network: Network, body: list[Layer], heads: list[Layer]) -> onnx.ModelProto:
    """Input "picture" (1, 1, height, width); outputs named and laid out as the heads are."""
    graph, x, places = _Graph(), "picture", sides(network)
    for number, (conv, layer) in enumerate(zip(network.body, body, strict=True)):
        y = graph.conv(f"conv{number}", x, layer, conv, places[number])
        if conv.residual:
            y = graph.add("Add", [x, y], f"sum{number}")
        x = graph.add("Relu", [y], f"relu{number}")
    for head, layer in zip(network.heads, heads, strict=True):
        graph.head(x, head, layer)
    shape = [1, 1, network.height, network.width]
    outputs = [
        helper.make_tensor_value_info(
            head.name,
            TensorProto.FLOAT,
            [1, head.filters] if head.pooled else [1, *places[-1], head.filters],
        )
        for head in network.heads
    ]
    picture = helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)
    proto = helper.make_graph(graph.nodes, "network", [picture], outputs, graph.weights)
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    return model


class _Pictures(CalibrationDataReader):
    """Hands pictures (n, height, width) in 0 to 1 to the calibration, one by one."""

    def __init__(self, pictures: npt.NDArray[np.float32]) -> None:
        self._rest: Iterator[npt.NDArray[np.float32]] = iter(pictures[:, None, None])

    def get_next(self) -> dict[str, npt.NDArray[np.float32]] | None:
        one = next(self._rest, None)
        return None if one is None else {"picture": one}


def quantised_model(float_file: Path, file: Path, pictures: npt.NDArray[np.float32]) -> None:
    """Write the Q/DQ twin. Symmetric int8 with float biases, as TensorRT needs it."""
    quantize_static(
        float_file, file, _Pictures(pictures), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QInt8, weight_type=QuantType.QInt8,
        extra_options={"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False},
    )  # fmt: skip
