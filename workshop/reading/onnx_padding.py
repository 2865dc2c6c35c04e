"""Zeros around what goes into a max pooling, kept from an optimization that takes them for nothing.

ONNX Runtime (seen in 1.31) folds a Pad of zeros into the MaxPool behind it, whose own padding is
minus infinity: where all values at an edge are negative, the answer is another one. It leaves alone
what is not exactly zero, so the padding becomes the smallest normal float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

NEARLY_ZERO = "padding_of_nearly_zero"
PASSING = ("Transpose", "Identity")


def keep_padding(onnx: Any, model: Any) -> None:
    """Change the padding before each MaxPool of an ONNX model."""
    graph = model.graph
    made_by = {name: node for node in graph.node for name in node.output}
    constants = {each.name: each for each in graph.initializer}
    changed = False
    for pool in [node for node in graph.node if node.op_type == "MaxPool"]:
        pad = made_by.get(pool.input[0])
        while pad is not None and pad.op_type in PASSING:
            pad = made_by.get(pad.input[0])
        if pad is None or pad.op_type != "Pad" or not _is_of_zeros(onnx, pad, constants):
            continue
        rest = list(pad.input)[3:]
        sources = [*list(pad.input)[:2], NEARLY_ZERO, *rest]
        del pad.input[:]
        pad.input.extend(sources)
        changed = True
    if changed:
        smallest = np.array(np.finfo(np.float32).tiny, np.float32)
        graph.initializer.append(onnx.numpy_helper.from_array(smallest, NEARLY_ZERO))


def _is_of_zeros(onnx: Any, pad: Any, constants: dict[str, Any]) -> bool:
    mode = next((each.s for each in pad.attribute if each.name == "mode"), b"constant")
    if mode != b"constant":
        return False
    if len(pad.input) < 3 or not pad.input[2]:
        return True
    value = constants.get(pad.input[2])
    return value is not None and not np.any(onnx.numpy_helper.to_array(value))
