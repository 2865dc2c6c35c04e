"""From a module of PyTorch to what every reader answers: the way of all its kinds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from workshop.reading import Read, Request, model_file
from workshop.reading.packages import versions
from workshop.reading.reference import write_reference
from workshop.reading.torch_program import Network, captured, ports
from workshop.reading.torch_writing import write_onnx, write_tflite
from workshop.step import say

LOADING = "reading the model with torch"
STEPS = 4


def finish(
    request: Request,
    network: Network,
    steps: Sequence[str],
    program: Any = None,
    in_graph: Sequence[str] = (),
) -> Read:
    """Convert it, ask it, and say what was done. program: where it is captured already.

    Raises Refused for what cannot be converted.
    """
    say("following the network", 1, STEPS)
    program = captured(network) if program is None else program
    file = model_file(request)
    say(f"writing {request.to}", 2, STEPS)
    if request.to == "tflite":
        write_tflite(network, program, file)
        tools = ["torch", "litert-torch"]
        done = ["converted to TFLite, float32, by litert-torch"]
    else:
        after = write_onnx(network, program, file)
        tools = ["torch", "onnxscript", "onnx", "onnxslim"]
        done = ["converted to ONNX, float32, by torch.onnx", *after]
    say("asking torch for its own answers", 3, STEPS)
    takes = msgspec.structs.replace(network.takes, name=program.graph_signature.user_inputs[0])
    reference = write_reference(request, takes, 1.0, network.answer)
    say("read", STEPS, STEPS)
    return Read(
        str(file), reference, (takes,), ports(program),
        (*steps, f"input {takes.name} fixed to {list(takes.shape)}", *done),
        versions(*tools), tuple(in_graph),
    )  # fmt: skip
