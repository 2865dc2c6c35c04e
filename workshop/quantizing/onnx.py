"""A step: a float32 .onnx becomes one of another precision, by ONNX Runtime's tools."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from wire.durable import write_durably
from wire.troubles import Refused, one_line
from workshop.quantizing import CALIBRATED, Layer, Made, Precision, Request
from workshop.quantizing.calibration import ranges_of
from workshop.quantizing.layers import chosen, heads, refuse_floats, told_floats
from workshop.quantizing.onnx_network import WEIGHTY, Network, Watched, open_network
from workshop.quantizing.ranges import Ranges
from workshop.step import say

STEPS = {
    "float16": "float16 inside, inputs and outputs float32, by onnxruntime",
    "dynamic": "weights as uint8, activations rounded at run time, by onnxruntime.quantization",
    "int8": "Q/DQ nodes by onnxruntime.quantization: int8 weights per channel, float biases",
    "int8x16": "Q/DQ nodes by onnxruntime.quantization: int16 activations, int8 weights per "
    "channel, float biases",
}
ACTIVATIONS = {
    "tensorrt": "activations as symmetric int8, for TensorRT",
    "cpu": "activations as asymmetric uint8, for CPUs",
}
DYNAMIC = ("Conv", "MatMul", "Gemm")  # whose weights dynamic quantization changes
NOTES = {
    "float16": "float16 is for GPUs: on a CPU it is as quick as float32, at half the bytes",
    "dynamic": "on a CPU convolutions are slower this way than in float32; TensorRT refuses it",
    "int8x16": "on a CPU slower than float32, for want of kernels for int16; TensorRT refuses it",
    "tensorrt": "symmetric int8 suits TensorRT; a CPU is far quicker with --suits cpu",
    "cpu": "asymmetric uint8 suits CPUs; TensorRT refuses it",
}


def step(request: Request) -> Made:
    """Raises Refused for what cannot be quantized, naming the layer."""
    network = open_network(request.source)
    kept = chosen([each.name for each in network.nodes], request.keep, request.source)
    layers = layers_of(network, request.precision, kept)
    if request.whole:
        refuse_floats(layers, request.source)
    ranges = ranges_for(network, request)
    say(f"quantizing to {request.precision}")
    content = quantized(network, request, ranges, kept)
    write_durably(Path(request.file), content)
    steps = [STEPS[request.precision]]
    if request.precision == "int8":
        steps.append(ACTIVATIONS[request.suits])
    if ranges is not None:
        steps.append(f"ranges of activations by {request.method}")
    if kept:
        steps.append(f"{len(kept)} layers kept float32")
    told = NOTES[request.suits if request.precision == "int8" else request.precision]
    return Made(
        file=request.file, steps=tuple(steps), tools=network.tools, layers=layers,
        notes=(*told_floats(layers), told),
    )  # fmt: skip


def ranges_for(network: Network, request: Request) -> Ranges | None:
    """None where the precision needs none. Raises Refused."""
    if request.precision not in CALIBRATED:
        return None
    unclipped = heads(network.nodes, network.outputs, WEIGHTY)
    return ranges_of(request, network.shape, unclipped, Watched(network).run)


def layers_of(network: Network, precision: Precision, kept: Collection[str]) -> tuple[Layer, ...]:
    """Every layer and what it becomes."""
    found = []
    for each in network.nodes:
        if each.name in kept:
            found.append(Layer(each.name, each.kind, "float32", "kept"))
        elif _can(precision, each.kind):
            found.append(Layer(each.name, each.kind, precision))
        else:
            why = f"there is no {precision} form of it" if precision != "dynamic" else ""
            found.append(Layer(each.name, each.kind, "float32", why))
    return tuple(found)


def quantized(
    network: Network,
    asked: Request,
    ranges: Ranges | None,
    kept: Collection[str] = (),
    only: str | None = None,
) -> bytes:
    """The file's bytes. only: this layer alone. Raises Refused."""
    if only is not None:
        kept = {each.name for each in network.nodes} - {only}
    model = type(network.model)()
    model.CopyFrom(network.model)  # the tools work in place
    try:
        if asked.precision == "float16":
            made = _float16(model, kept)
        elif asked.precision == "dynamic":
            made = _dynamic(model, kept)
        else:
            made = _with_nodes(model, asked, ranges or {}, kept)
    except Exception as error:  # its tools raise what comes
        raise Refused(
            f"{network.path}: onnxruntime.quantization cannot quantize it: "
            f"{one_line(str(error))[:200]}: keep the layer that it names float32 (--keep), "
            "or use another precision"
        ) from None
    return bytes(made.SerializeToString())


def _with_nodes(model: Any, asked: Request, ranges: Ranges, kept: Collection[str]) -> Any:
    """Biases stay floats: TensorRT takes no others, and they weigh nothing."""
    from onnxruntime.quantization import CalibrationMethod, QuantType
    from onnxruntime.quantization.calibrate import TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    known = {name: (np.float32(low), np.float32(high)) for name, (low, high) in ranges.items()}
    symmetric, activations = True, QuantType.QInt8
    if asked.precision == "int8x16":
        activations = QuantType.QInt16
    elif asked.suits == "cpu":
        symmetric, activations = False, QuantType.QUInt8
    tool = QDQQuantizer(
        model, True, False, QuantType.QInt8, activations,
        TensorsData(CalibrationMethod.MinMax, known), [], sorted(kept), sorted(_integer_kinds()),
        {"ActivationSymmetric": symmetric, "WeightSymmetric": True, "QuantizeBias": False},
    )  # fmt: skip
    tool.quantize_model()
    return tool.model.model


def _dynamic(model: Any, kept: Collection[str]) -> Any:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with TemporaryDirectory(prefix="vedette-onnx-") as scratch:
        made = Path(scratch) / "dynamic.onnx"
        quantize_dynamic(
            model, made, op_types_to_quantize=list(DYNAMIC), weight_type=QuantType.QUInt8,
            nodes_to_exclude=sorted(kept),
        )  # fmt: skip
        return onnx.load(made)


def _float16(model: Any, kept: Collection[str]) -> Any:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    return convert_float_to_float16(model, keep_io_types=True, node_block_list=sorted(kept))


def _can(precision: Precision, kind: str) -> bool:
    """Does an operator of this kind become something else?"""
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST

    if precision == "dynamic":
        return kind in DYNAMIC
    return kind not in DEFAULT_OP_BLOCK_LIST if precision == "float16" else kind in _integer_kinds()


def _integer_kinds() -> set[str]:
    """Operators that Q/DQ nodes are put around."""
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    return {*QDQRegistry, *QLinearOpsRegistry}
