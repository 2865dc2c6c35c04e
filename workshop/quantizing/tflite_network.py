"""A float32 .tflite opened up: its layers, and what all of its activations are for an input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wire.troubles import Refused, Unavailable

Tensor = npt.NDArray[Any]
FLOAT32 = 0  # TensorType of TFLite's schema
WEIGHTY = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "BATCH_MATMUL")


@dataclass(frozen=True)
class Operator:
    """scope: what ai-edge-quantizer knows it by: the names of its outputs. known_as: the kind, as
    it knows that, or None. takes, gives: names of the tensors that go in and come out."""

    name: str
    kind: str
    scope: str
    known_as: str | None
    takes: tuple[str, ...]
    gives: tuple[str, ...]


@dataclass(frozen=True)
class Network:
    """content: the file. shape: of its only input. operators: those that make float32 tensors.
    outputs: their names. ranks: how many dimensions a tensor has. version: of the
    quantizer."""

    path: str
    content: bytes
    shape: tuple[int, ...]
    operators: tuple[Operator, ...]
    outputs: tuple[str, ...]
    ranks: dict[str, int]
    version: str


def open_network(path: str) -> Network:
    """Raises Refused for what is no float32 network with one input, Unavailable without tools."""
    content = _content(path)
    tools, version = _tools()
    if content[4:8] != b"TFL3":
        raise Refused(f"{path}: is no TFLite model")
    model = tools.read_model(content)
    if len(model.subgraphs) != 1:
        raise Refused(
            f"{path}: has {len(model.subgraphs)} graphs (loops, conditions or several signatures); "
            "networks of one graph can be quantized: convert it anew without them"
        )
    graph = model.subgraphs[0]
    if not tools.is_float_model(model):
        raise Refused(f"{path}: is quantized already: start from the float32 model")
    if len(graph.inputs) != 1:
        raise Refused(f"{path}: has {len(graph.inputs)} inputs; one is needed")
    shape = tuple(int(side) for side in graph.tensors[graph.inputs[0]].shape)
    operators = _operators(tools, model, graph)
    outputs = _names(tools, graph, graph.outputs)
    ranks = {tools.get_tensor_name(each): _rank(each) for each in graph.tensors}
    return Network(path, content, shape, operators, outputs, ranks, version)


class Watched:
    """An interpreter that keeps all activations. `run` gives them by name."""

    def __init__(self, network: Network) -> None:
        self._interpreter = _interpreter(network.content, watched=True)
        (takes,) = self._interpreter.get_input_details()
        self._takes = takes["index"]
        # Never weights: whoever calibrates them, too, gets one scale for all of their channels.
        made = {takes["name"]} | {name for each in network.operators for name in each.gives}
        self._floats = [
            (detail["name"], detail["index"])
            for detail in self._interpreter.get_tensor_details()
            if detail["dtype"] is np.float32 and detail["name"] in made
        ]

    def run(self, sample: Tensor) -> dict[str, Tensor]:
        self._interpreter.set_tensor(self._takes, sample)
        self._interpreter.invoke()
        found = {}
        for name, index in self._floats:
            try:
                found[name] = self._interpreter.get_tensor(index)
            except ValueError:  # it was fused into another
                continue
        return found


def outputs_of(content: bytes, samples: list[Tensor]) -> list[Tensor]:
    """Real values of each output, stacked over the samples; integers are brought back."""
    interpreter = _interpreter(content, watched=False)
    (takes,) = interpreter.get_input_details()
    gives = interpreter.get_output_details()
    found: list[list[Tensor]] = [[] for _ in gives]
    for sample in samples:
        interpreter.set_tensor(takes["index"], _stored(sample, takes))
        interpreter.invoke()
        for values, detail in zip(found, gives, strict=True):
            values.append(_real(interpreter.get_tensor(detail["index"]), detail))
    return [np.stack(values) for values in found]


def _interpreter(content: bytes, *, watched: bool) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(
        model_content=content, num_threads=1, experimental_preserve_all_tensors=watched
    )
    interpreter.allocate_tensors()
    return interpreter


def _stored(sample: Tensor, detail: dict[str, Any]) -> Tensor:
    scale, zero_point = detail["quantization"]
    if not scale:
        return sample
    limits = np.iinfo(detail["dtype"])
    rounded = np.round(sample / scale) + zero_point
    stored: Tensor = np.clip(rounded, limits.min, limits.max).astype(detail["dtype"])
    return stored


def _real(values: Tensor, detail: dict[str, Any]) -> Tensor:
    scale, zero_point = detail["quantization"]
    real: Tensor = values.astype(np.float32)
    return (real - zero_point) * np.float32(scale) if scale else real


def _names(tools: Any, graph: Any, numbers: Iterable[int]) -> tuple[str, ...]:
    """Of tensors; an input that is left out has the number -1."""
    return tuple(
        str(tools.get_tensor_name(graph.tensors[number])) for number in numbers if number >= 0
    )


def _rank(tensor: Any) -> int:
    return 0 if tensor.shape is None else len(tensor.shape)


def _operators(tools: Any, model: Any, graph: Any) -> tuple[Operator, ...]:
    """Without those that count and measure shapes."""
    floats = {number for number, each in enumerate(graph.tensors) if each.type == FLOAT32}
    makers = [each for each in graph.operators if floats & set(each.outputs)]
    scopes = [tools.get_op_scope(each, graph.tensors) for each in makers]
    first = Counter(scope.split(";")[0] for scope in scopes)
    found = []
    for each, scope in zip(makers, scopes, strict=True):
        code = model.operatorCodes[each.opcodeIndex]
        short = scope.split(";")[0]
        known = tools.TFL_OP_CODE_TO_NAME.get(code.builtinCode)
        found.append(
            Operator(
                name=short if first[short] == 1 else scope.rstrip(";"),
                kind=_kind(code),
                scope=scope,
                known_as=None if known is None else str(known.value),
                takes=_names(tools, graph, each.inputs),
                gives=_names(tools, graph, each.outputs),
            )
        )
    return tuple(found)


def _kind(code: Any) -> str:
    from ai_edge_quantizer.qtyping import BuiltinOperator

    if code.customCode:
        return str(code.customCode.decode(errors="replace"))
    for name, number in vars(BuiltinOperator).items():
        if number == code.builtinCode and name.isupper():
            return str(name)
    return f"operator {code.builtinCode}"


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise Refused(f"{path}: cannot be read: {error.strerror}") from None


def _tools() -> tuple[Any, str]:
    try:
        from importlib.metadata import version

        from ai_edge_quantizer.utils import tfl_flatbuffer_utils
    except ImportError as error:
        raise Unavailable(
            f"ai-edge-quantizer is missing ({error}): pip install 'vedette[workshop]'"
        ) from None
    return tfl_flatbuffer_utils, version("ai-edge-quantizer")
