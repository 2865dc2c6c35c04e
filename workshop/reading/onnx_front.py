"""What an ONNX model says of itself: what it does first to its input, and its labels."""

from __future__ import annotations

import ast
import json
from typing import Any

import numpy as np

from workshop.reading.tf_front import Front

KINDS = {"Mul": "MUL", "Add": "ADD", "Sub": "SUB", "Div": "DIV"}
PASSING = ("Cast", "Identity", "Transpose")
LABELS = ("names", "labels", "classes", "class_names")  # keys that exporters write


def front_of(onnx: Any, model: Any) -> Front:
    """From the input on, as far as each value is dealt with alone."""
    constants = {each.name: each for each in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants[node.output[0]] = node.attribute[0].t
    given = [each.name for each in model.graph.input if each.name not in constants]
    name, front = given[0], Front()
    while True:
        users = [node for node in model.graph.node if name in node.input]
        if len(users) != 1:
            return front
        (node,) = users
        if node.op_type not in PASSING:
            others = [each for each in node.input if each != name]
            if node.op_type not in KINDS or len(others) != 1 or others[0] not in constants:
                return front
            value = np.squeeze(onnx.numpy_helper.to_array(constants[others[0]]))
            changed = front.then(KINDS[node.op_type], value, node.input[0] == name)
            if changed is None:
                return front
            front = changed
        name = node.output[0]


def labels_of(model: Any) -> tuple[str, ...]:
    """Of the metadata: a list, or a dict by index as Ultralytics writes it; nothing else."""
    for entry in model.metadata_props:
        if entry.key not in LABELS:
            continue
        held = _literal(entry.value)
        if isinstance(held, dict) and {str(key) for key in held} == set(map(str, range(len(held)))):
            by_index = {int(key): each for key, each in held.items()}
            held = [by_index[place] for place in range(len(by_index))]
        if isinstance(held, list | tuple) and held and all(isinstance(x, str) for x in held):
            return tuple(held)
    return ()


def _literal(text: str) -> Any:
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return [each.strip() for each in text.split(",")] if "," in text else None
