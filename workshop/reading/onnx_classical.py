"""Operators of classical machine learning (ai.onnx.ml) in those of neural networks.

Those are what TFLite, TensorRT and quantisers know. Trees, distances and what else has no such form
stay as they are. Source: the operators' definitions, onnx/docs/Operators-ml.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from workshop.reading.packages import import_quietly

LABEL = 0  # a classifier's first output is the label, its second the scores
POST = {"NONE": None, "SOFTMAX": "Softmax", "LOGISTIC": "Sigmoid"}


def in_usual_operators(model: Any, is_classifier: bool) -> Any:
    """The same network; of a classifier the scores alone."""
    onnx = import_quietly("onnx")
    if is_classifier and len(model.graph.output) > 1:
        del model.graph.output[LABEL]
    _prune(model.graph)
    nodes = []
    for node in model.graph.node:
        made = REWRITERS.get(node.op_type, lambda *_: None)(onnx, model.graph, node)
        nodes += [node] if made is None else made
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _prune(graph: Any) -> None:
    """Leave out what no output needs."""
    needed = {each.name for each in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    for constant in [each for each in graph.initializer if each.name not in needed]:
        graph.initializer.remove(constant)


def _attributes(onnx: Any, node: Any) -> dict[str, Any]:
    return {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}


def _constant(onnx: Any, graph: Any, node: Any, name: str, value: Any) -> str:
    """Of the name of what the node makes, which is unlike all others."""
    full = f"{node.output[-1]}_{name}"
    graph.initializer.append(onnx.numpy_helper.from_array(np.ascontiguousarray(value), full))
    return full


def _scaler(onnx: Any, graph: Any, node: Any) -> list[Any] | None:
    held = _attributes(onnx, node)
    offset = _constant(onnx, graph, node, "offset", np.float32(held["offset"]))
    scale = _constant(onnx, graph, node, "scale", np.float32(held["scale"]))
    between = f"{node.output[0]}_moved"
    return [
        onnx.helper.make_node("Sub", [node.input[0], offset], [between]),
        onnx.helper.make_node("Mul", [between, scale], [node.output[0]]),
    ]


def _linear(onnx: Any, graph: Any, node: Any) -> list[Any] | None:
    """LinearRegressor and LinearClassifier: one product, and what makes probabilities of scores."""
    held = _attributes(onnx, node)
    post = held.get("post_transform", b"NONE").decode()
    biases = np.float32(held.get("intercepts", [0.0]))
    weights = np.float32(held["coefficients"])
    classes = held.get("classlabels_ints") or held.get("classlabels_strings")
    if post not in POST or len(weights) % len(biases) or len(biases) != len(classes or biases):
        return None
    matrix = weights.reshape(len(biases), -1).T
    names = [_constant(onnx, graph, node, "weights", matrix)]
    names += [_constant(onnx, graph, node, "biases", biases)]
    made, scores = POST[post], node.output[-1]
    between = scores if made is None else f"{scores}_scores"
    nodes = [onnx.helper.make_node("Gemm", [node.input[0], *names], [between])]
    if made is not None:
        nodes.append(onnx.helper.make_node(made, [between], [scores]))
    return nodes


def _normalizer(onnx: Any, graph: Any, node: Any) -> list[Any] | None:
    norm = _attributes(onnx, node).get("norm", b"MAX").decode()
    reduce = {"L1": "ReduceL1", "L2": "ReduceL2"}.get(norm)
    if reduce is None:
        return None
    length = f"{node.output[0]}_length"
    return [
        onnx.helper.make_node(reduce, [node.input[0]], [length], axes=[-1], keepdims=1),
        onnx.helper.make_node("Div", [node.input[0], length], [node.output[0]]),
    ]


def _extractor(onnx: Any, graph: Any, node: Any) -> list[Any] | None:
    """ArrayFeatureExtractor: columns by their places."""
    constants = {each.name: each for each in graph.initializer}
    if node.input[1] not in constants:
        return None
    places = onnx.numpy_helper.to_array(constants[node.input[1]]).reshape(-1).astype(np.int64)
    name = _constant(onnx, graph, node, "places", places)
    return [onnx.helper.make_node("Gather", [node.input[0], name], [node.output[0]], axis=-1)]


REWRITERS: dict[str, Callable[[Any, Any, Any], list[Any] | None]] = {
    "Scaler": _scaler,
    "LinearRegressor": _linear,
    "LinearClassifier": _linear,
    "Normalizer": _normalizer,
    "ArrayFeatureExtractor": _extractor,
}
