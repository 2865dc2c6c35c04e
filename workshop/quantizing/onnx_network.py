"""A float32 .onnx opened up: its layers, and what all of its activations are for an input."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from wire.troubles import Refused, Unavailable, one_line

Tensor = npt.NDArray[Any]
QUANTIZED = {"QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger",
             "MatMulInteger", "DynamicQuantizeLinear"}  # fmt: skip
WEIGHTY = ("Conv", "ConvTranspose", "MatMul", "Gemm")
MOST_BYTES = 2_000_000_000  # of a protobuf message


@dataclass(frozen=True)
class Node:
    name: str
    kind: str
    takes: tuple[str, ...]
    gives: tuple[str, ...]


@dataclass(frozen=True)
class Network:
    """model: the ModelProto, batch normalisation folded, every node named and every shape known.
    shape: of its only input `takes`. nodes: those that make float32 tensors. outputs: their names.
    """

    path: str
    model: Any
    takes: str
    shape: tuple[int, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    tools: dict[str, str]


def open_network(path: str) -> Network:
    """Raises Refused for what is no float32 network with one input, Unavailable without tools."""
    onnx = _tools()
    try:
        model = onnx.load(path)
    except OSError as error:
        raise Refused(f"{path}: cannot be read: {error.strerror}") from None
    except Exception as error:  # protobuf's own kinds, that differ between its versions
        raise Refused(f"{path}: is no ONNX model: {one_line(str(error))[:120]}") from None
    if model.ByteSize() > MOST_BYTES:
        raise Refused(f"{path}: is larger than 2 GB, which no device here could hold")
    if found := sorted({each.op_type for each in model.graph.node} & QUANTIZED):
        raise Refused(
            f"{path}: is quantized already ({', '.join(found)}): start from the float32 model"
        )
    takes, shape = _only_input(model, path)
    model = _prepared(onnx, model, path)
    tools = {"onnxruntime": version("onnxruntime"), "onnx": version("onnx")}
    outputs = tuple(each.name for each in model.graph.output)
    return Network(path, model, takes, shape, tuple(_nodes(onnx, model)), outputs, tools)


class Watched:
    """A session that gives all activations. `run` gives them by name."""

    def __init__(self, network: Network) -> None:
        import onnx

        model = onnx.ModelProto()
        model.CopyFrom(network.model)
        known = {each.name for each in model.graph.output}
        floats = _float_values(onnx, model)
        model.graph.output.extend(info for name, info in floats.items() if name not in known)
        self._session = _session(model.SerializeToString())
        self._takes = network.takes
        self._names = [each.name for each in self._session.get_outputs() if each.name in floats]

    def run(self, sample: Tensor) -> dict[str, Tensor]:
        values = self._session.run(self._names, {self._takes: sample})
        return {self._takes: sample} | dict(zip(self._names, values, strict=True))


def outputs_of(content: bytes, samples: list[Tensor]) -> list[Tensor]:
    """Values of each output, stacked over the samples."""
    session = _session(content)
    (takes,) = session.get_inputs()
    found = [session.run(None, {takes.name: sample}) for sample in samples]
    return [np.stack(values).astype(np.float32) for values in zip(*found, strict=True)]


def _session(content: bytes) -> Any:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.log_severity_level = 4
    return onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])


def _prepared(onnx: Any, model: Any, path: str) -> Any:
    """As quantizers want it. ONNX Runtime's own preparation folds and infers; what it adds to the
    list of domains that are used goes again, since other engines refuse those."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    used = {each.domain for each in model.opset_import}
    with TemporaryDirectory(prefix="vedette-onnx-") as scratch:
        given, made = Path(scratch) / "given.onnx", Path(scratch) / "prepared.onnx"
        onnx.save(model, given)
        try:
            # a path: of a model in memory it lays even shapes into a file, and cannot read them
            quant_pre_process(given, made, skip_symbolic_shape=True)
        except Exception as error:
            raise Refused(
                f"{path}: ONNX Runtime cannot prepare it: {one_line(str(error))[:200]}"
            ) from None
        prepared = onnx.load(made)
    domains = {each.domain for each in prepared.graph.node} | used
    kept = [each for each in prepared.opset_import if each.domain in domains]
    del prepared.opset_import[:]
    prepared.opset_import.extend(kept)
    prepared.ir_version = model.ir_version
    _name_all(prepared.graph.node)
    return prepared


def _name_all(nodes: Iterable[Any]) -> None:
    """A layer is told by its name; one without, or with that of another, gets its output's."""
    seen: set[str] = set()
    for node in nodes:
        if not node.name or node.name in seen:
            node.name = f"{node.op_type}:{node.output[0]}"
        seen.add(node.name)


def _nodes(onnx: Any, model: Any) -> Iterable[Node]:
    floats = _float_values(onnx, model)
    for node in model.graph.node:
        if node.op_type != "Constant" and floats.keys() & set(node.output):
            yield Node(node.name, node.op_type, tuple(node.input), tuple(node.output))


def _float_values(onnx: Any, model: Any) -> dict[str, Any]:
    """Of activations and outputs."""
    made = {name for node in model.graph.node for name in node.output}
    return {
        each.name: each
        for each in (*model.graph.value_info, *model.graph.output)
        if each.name in made and each.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    }


def _only_input(model: Any, path: str) -> tuple[str, tuple[int, ...]]:
    weights = {each.name for each in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in weights]
    if len(inputs) != 1:
        raise Refused(f"{path}: has {len(inputs)} inputs; one is needed")
    sides = [each.dim_value for each in inputs[0].type.tensor_type.shape.dim]
    if not all(side > 0 for side in sides):
        raise Refused(f"{path}: leaves the shape of its input open: export it with a fixed one")
    return inputs[0].name, tuple(sides)


def _tools() -> Any:
    try:
        import onnx
        import onnxruntime.quantization  # noqa: F401
    except ImportError as error:
        raise Unavailable(f"{error.name} is missing: pip install 'vedette[workshop]'") from None
    return onnx
