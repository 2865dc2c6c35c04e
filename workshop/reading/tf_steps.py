"""From a traced network of TensorFlow to what every reader answers: for Keras and SavedModel."""

from __future__ import annotations

from collections.abc import Sequence

from workshop.reading import Read, Request, model_file
from workshop.reading.packages import versions
from workshop.reading.reference import write_reference
from workshop.reading.tf_freezing import Traced, freeze
from workshop.reading.tf_front import front_of_graph
from workshop.reading.tf_writing import write_onnx, write_tflite
from workshop.step import say

LOADING = "reading the model with tensorflow"
STEPS = 4


def finish(
    request: Request,
    traced: Traced,
    steps: Sequence[str],
    tools: Sequence[str],
    in_graph: Sequence[str] = (),
    labels: Sequence[str] = (),
) -> Read:
    """Convert it, ask it, and say what was done. Raises Refused for what cannot be converted."""
    say("fixing the sizes and the weights", 1, STEPS)
    frozen = freeze(traced)
    front = front_of_graph(frozen.graph, frozen.takes.name)
    file = model_file(request)
    say(f"writing {request.to}", 2, STEPS)
    if request.to == "tflite":
        write_tflite(frozen, file)
        by = {"tensorflow": "converted to TFLite, float32, by tensorflow"}
    else:
        write_onnx(frozen, file)
        by = {
            "tf2onnx": "converted to ONNX, float32, by tf2onnx",
            "onnxslim": "made slim by onnxslim",
        }
    say("asking tensorflow for its own answers", 3, STEPS)
    reference = write_reference(request, frozen.takes, front.reach, traced.answer)
    say("read", STEPS, STEPS)
    return Read(
        str(file), reference, (frozen.takes,), frozen.gives,
        (*steps, f"input {frozen.takes.name} fixed to {list(frozen.takes.shape)}", *by.values()),
        versions("tensorflow", *tools, *by), (*front.words(), *in_graph), tuple(labels),
    )  # fmt: skip
