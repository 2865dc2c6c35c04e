"""TFLite files, float32 ones: kept as they are, with every size known, or told as ONNX."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from wire.troubles import Refused
from workshop.reading import Port, Read, Request, model_file
from workshop.reading.packages import first_line, import_quietly, versions
from workshop.reading.reference import Tensor, write_reference
from workshop.reading.shapes import fixed_port
from workshop.reading.tf_flatbuffer import (
    Flat,
    custom_operator,
    front_of_flat,
    quantized_tensors,
    read_flat,
    with_shapes,
)
from workshop.reading.tf_labels import labels_behind
from workshop.reading.tf_writing import tflite_to_onnx
from workshop.step import say

STEPS = 3
FLEX = "Flex"  # what begins so runs only where all of TensorFlow is


def step(request: Request) -> Read:
    """Read a .tflite. Raises Refused for quantized ones, and for operators that LiteRT has not."""
    say("reading the model with LiteRT", 0, STEPS)
    path = Path(request.path)
    content = path.read_bytes()
    interpreter = _open(request.path, content)
    flat = read_flat(content)
    if (operator := custom_operator(flat, FLEX)) is not None:
        raise _refused_operator(request.path, *operator)
    _refuse_quantized(request.path, flat)
    takes = _takes(request, interpreter)
    detail = interpreter.get_input_details()[0]
    steps = [f"read by ai-edge-litert, {len(flat.graph.operators)} operators"]
    if -1 in detail["shape_signature"] or tuple(detail["shape"]) != takes.shape:
        interpreter.resize_tensor_input(detail["index"], takes.shape)
        _allocate(request.path, interpreter, flat)
        content = with_shapes(flat, {one["index"]: one["shape"] for one in
                                     interpreter.get_tensor_details()})  # fmt: skip
        interpreter = _open(request.path, content)
        steps.append(f"input {takes.name} fixed to {list(takes.shape)}")
    _allocate(request.path, interpreter, flat)
    tools = ["ai-edge-litert"]
    say(f"writing {request.to}", 1, STEPS)
    if request.to == "tflite":
        model_file(request).write_bytes(content)
        steps.append("kept as it is" if len(steps) == 1 else "kept but for its shapes")
    else:
        _write_onnx(request, content)
        steps += ["converted to ONNX, float32, by tf2onnx", "made slim by onnxslim"]
        tools += ["tensorflow", "tf2onnx", "onnxslim"]
    say("asking LiteRT for its own answers", 2, STEPS)
    front = front_of_flat(flat)
    asked = _Asked(request.path, interpreter)
    reference = write_reference(request, takes, front.reach, asked)
    say("read", STEPS, STEPS)
    return Read(
        str(model_file(request)), reference, (takes,), asked.gives(), tuple(steps),
        versions(*tools), front.words(), labels_behind(path),
    )  # fmt: skip


class _Asked:
    """LiteRT with its own kernels and no delegate: what the file means, and nobody's shortcut."""

    def __init__(self, where: str, interpreter: Any) -> None:
        self._where = where
        self._interpreter = interpreter

    def __call__(self, one: Tensor) -> list[Tensor]:
        self._interpreter.set_tensor(self._interpreter.get_input_details()[0]["index"], one)
        try:
            self._interpreter.invoke()
        except RuntimeError as error:
            raise Refused(f"{self._where}: LiteRT cannot run it: {first_line(error)}") from None
        return [
            self._interpreter.get_tensor(detail["index"])
            for detail in self._interpreter.get_output_details()
        ]

    def gives(self) -> tuple[Port, ...]:
        """The outputs, as the last run had them."""
        details = self._interpreter.get_output_details()
        found = [(one, self._interpreter.get_tensor(one["index"])) for one in details]
        return tuple(Port(str(one["name"]), got.shape, got.dtype.name) for one, got in found)


def _open(path: str, content: bytes) -> Any:
    litert = import_quietly("ai_edge_litert.interpreter")
    try:
        return litert.Interpreter(
            model_content=content,
            experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
    except (ValueError, RuntimeError) as error:
        raise Refused(
            f"{path}: LiteRT cannot read it: {first_line(error)}: copy it again"
        ) from None


def _allocate(path: str, interpreter: Any, flat: Flat) -> None:
    try:
        interpreter.allocate_tensors()
    except RuntimeError as error:
        custom = re.search(r"unresolved custom op: (\S+?)\.?(?:\s|$)", str(error))
        if not custom:
            raise Refused(f"{path}: LiteRT cannot run it: {first_line(error)}") from None
        found = custom_operator(flat, custom[1]) or (custom[1], "unknown")
        raise _refused_operator(path, *found) from None


def _refused_operator(path: str, kind: str, layer: str) -> Refused:
    of = "of TensorFlow itself" if kind.startswith(FLEX) else "of somebody's own"
    return Refused(
        f"{path}: needs the operator {kind} (layer {layer}) {of}, which LiteRT has not: give the "
        "model that it was made of, without that layer or with others in its place"
    )


def _refuse_quantized(path: str, flat: Flat) -> None:
    found = quantized_tensors(flat)
    if found:
        raise Refused(
            f"{path}: is quantized already ({len(found)} tensors, such as {found[0]}): pack it as "
            "it is with a manifest.toml, or give the float32 model that it was made of"
        )


def _takes(request: Request, interpreter: Any) -> Port:
    details = interpreter.get_input_details()
    if len(details) != 1:
        names = ", ".join(str(one["name"]) for one in details)
        raise Refused(
            f"{request.path}: has {len(details)} inputs ({names}); the runtime gives one: convert "
            "it again with one input"
        )
    (detail,) = details
    shape = [None if size == -1 else int(size) for size in detail["shape_signature"]]
    if not shape:  # the file knows no open sizes
        shape = [int(size) for size in detail["shape"]]
    name, dtype = str(detail["name"]), np.dtype(detail["dtype"]).name
    return fixed_port(request.path, name, shape, dtype, request.input_shape)


def _write_onnx(request: Request, content: bytes) -> None:
    with TemporaryDirectory() as folder:
        source = Path(folder) / "model.tflite"
        source.write_bytes(content)
        tflite_to_onnx(request.path, source, model_file(request))
