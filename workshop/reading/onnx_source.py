"""An .onnx file as it was written: looked through, and with every size of it known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runtime.engines.onnx_outside import check_outside
from wire.troubles import Refused
from workshop.reading import Port
from workshop.reading.onnx_finishing import port_of
from workshop.reading.packages import first_line
from workshop.reading.shapes import fixed_port

QUANTISED = (
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul",
    "QLinearAdd", "QGemm", "ConvInteger", "MatMulInteger", "MatMulNBits",
)  # fmt: skip
OWN = ("", "ai.onnx", "ai.onnx.ml")
FLOAT16 = 10  # of TensorProto.DataType


def load(onnx: Any, path: Path) -> Any:
    """The model with its constants. Raises Refused for what is damaged, quantised or half as wide,
    and for operators that are no ONNX."""
    check_outside(path)
    try:
        model = onnx.load(str(path))
    except OSError as error:
        raise Refused(f"{path}: cannot be read: {error.strerror}") from None
    except Exception:  # of the reader of protocol buffers, which has a type of its own for it
        raise Refused(
            f"{path}: is no ONNX model, or a damaged one: copy or export it again"
        ) from None
    if not model.graph.node:
        raise Refused(f"{path}: is no ONNX model, or damaged: copy or export it again")
    for node in nodes_of(model.graph):
        if node.op_type in QUANTISED:
            raise Refused(
                f"{path}: is quantised already ({node.op_type} at {named(node)}): give the float32 "
                "model that it was made of"
            )
        if node.domain not in OWN and not _is_function(model, node):
            raise Refused(
                f"{path}: operator {node.domain}.{node.op_type} (layer {named(node)}) is no "
                "operator of ONNX: export it without, or with the operators that it stands for"
            )
    halves = [each.name for each in model.graph.initializer if each.data_type == FLOAT16]
    if halves:
        raise Refused(
            f"{path}: has weights in float16 ({halves[0]}): give the float32 model that it was "
            "made of; --precision float16 makes it again"
        )
    return model


def nodes_of(graph: Any) -> Iterator[Any]:
    """All nodes, those of inner graphs included."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from nodes_of(inner)


def named(node: Any) -> str:
    """What a layer is called: by its name, or what it makes where it has none."""
    return str(node.name or ", ".join(node.output) or "without a name")


def with_fixed_sizes(onnx: Any, where: str, model: Any, wanted: tuple[int, ...] | None) -> Port:
    """Write the sizes of the only input into the model, and let those of all others follow.

    Raises Refused where there are several inputs, or sizes that nobody says."""
    constants = {each.name for each in model.graph.initializer}
    for each in [each for each in model.graph.input if each.name in constants]:
        model.graph.input.remove(each)  # old files list their constants as inputs
    if len(model.graph.input) != 1:
        names = ", ".join(each.name for each in model.graph.input)
        raise Refused(
            f"{where}: has {len(model.graph.input)} inputs ({names}); the runtime gives one "
            "tensor: export it with the others as constants"
        )
    given = model.graph.input[0]
    if given.type.tensor_type.HasField("shape"):
        sizes = [one.dim_value or None for one in given.type.tensor_type.shape.dim]
    else:
        sizes = None
    plain = port_of(onnx, given)
    takes = fixed_port(where, plain.name, sizes, plain.dtype, wanted)
    shape = given.type.tensor_type.shape
    del shape.dim[:]
    for size in takes.shape:
        shape.dim.add().dim_value = size
    _follow(onnx, where, model)
    return takes


def _follow(onnx: Any, where: str, model: Any) -> None:
    del model.graph.value_info[:]
    for output in model.graph.output:
        for size in output.type.tensor_type.shape.dim:
            if size.HasField("dim_param"):
                size.Clear()
    try:
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except onnx.shape_inference.InferenceError as error:
        raise Refused(
            f"{where}: its sizes do not fit together: {first_line(error)}: say another with "
            "--input-shape"
        ) from None
    model.CopyFrom(inferred)


def _is_function(model: Any, node: Any) -> bool:
    return any((each.domain, each.name) == (node.domain, node.op_type) for each in model.functions)
