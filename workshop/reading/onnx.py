"""ONNX models: checked, with every size known, slim; to TFLite by way of onnx2torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workshop.reading import Port, Read, Request, model_file
from workshop.reading.onnx_finishing import finish_onnx, port_of, session_of
from workshop.reading.onnx_front import front_of, labels_of
from workshop.reading.onnx_source import load, with_fixed_sizes
from workshop.reading.onnx_to_torch import write_tflite
from workshop.reading.packages import import_quietly, versions
from workshop.reading.reference import Source, Tensor, random_inputs, write_reference
from workshop.step import say

STEPS = 4


def step(request: Request) -> Read:
    """Read an .onnx. Raises Refused for what is none, is quantised, or has several inputs."""
    say("reading the model with onnx", 0, STEPS)
    onnx = import_quietly("onnx")
    model = load(onnx, Path(request.path))
    takes = with_fixed_sizes(onnx, request.path, model, request.input_shape)
    labels = labels_of(model)
    nodes, kind = len(model.graph.node), model.producer_name or "an unknown exporter"
    steps = [f"read by onnx {onnx.__version__}, written by {kind}: {nodes} nodes"]
    session = session_of(request.path, model)

    def answer(one: Tensor) -> Sequence[Tensor]:
        given: list[Tensor] = session.run(None, {takes.name: one})
        return given

    return finish(request, model, takes, answer, tuple(steps), labels)


def finish(
    request: Request,
    model: Any,
    takes: Port,
    answer: Source,
    steps: tuple[str, ...],
    labels: tuple[str, ...] = (),
    tools: tuple[str, ...] = ("onnxruntime",),
    columns: tuple[str, ...] = (),
) -> Read:
    """Write it as wanted, ask its source, and say what was done.

    Raises Refused for what cannot be converted."""
    onnx = import_quietly("onnx")
    front = front_of(onnx, model)
    gives = _gives(onnx, model, answer(random_inputs(takes, 1, front.reach, request.seed)[0]))
    file = model_file(request)
    say("making it slim", 1, STEPS)
    slim = file.with_name("slim.onnx") if request.to == "tflite" else file
    done = [*steps, f"input {takes.name} fixed to {list(takes.shape)}"]
    done += finish_onnx(request.path, model, slim)
    tools = ("onnx", "onnxslim", *tools)
    say(f"writing {request.to}", 2, STEPS)
    if request.to == "tflite":
        write_tflite(request.path, onnx.load(str(slim)), takes, file)
        slim.unlink()
        done += ["made a module of PyTorch by onnx2torch", "converted to TFLite by litert-torch"]
        tools = (*tools, "torch", "onnx2torch", "litert-torch")
    say("asking the source for its own answers", 3, STEPS)
    reference = write_reference(request, takes, front.reach, answer)
    say("read", STEPS, STEPS)
    return Read(
        str(file), reference, (takes,), gives, tuple(done), versions(*tools), front.words(),
        labels, columns,
    )  # fmt: skip


def _gives(onnx: Any, model: Any, answers: Sequence[Tensor]) -> tuple[Port, ...]:
    """The outputs; where shape inference does not find a size, as a run has it."""
    for output, each in zip(model.graph.output, answers, strict=True):
        if not output.type.tensor_type.HasField("shape"):
            output.type.tensor_type.shape.dim.extend(
                [onnx.TensorShapeProto.Dimension()] * each.ndim
            )
    ports = [port_of(onnx, each) for each in model.graph.output]
    return tuple(
        port if port.shape and all(port.shape) else Port(port.name, each.shape, port.dtype)
        for port, each in zip(ports, answers, strict=True)
    )
