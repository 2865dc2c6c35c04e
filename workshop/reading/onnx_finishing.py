"""An ONNX graph made ready for any runtime: an opset that old ones read, slim, checked, written."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np

from wire.troubles import Refused
from workshop.reading import Port
from workshop.reading.onnx_padding import keep_padding
from workshop.reading.packages import first_line, import_quietly
from workshop.reading.reference import random_inputs

OPSET = 17  # the newest that TensorRT 8.5 (JetPack 5) and ONNX Runtime 1.12 read
IR = 8  # that goes with it
NEAR = 1e-5  # of the same graph in another opset


def finish_onnx(where: str, model: Any, file: Path) -> tuple[str, ...]:
    """Write it, and say what was done, a line each. Raises Refused if it is no valid ONNX."""
    onnx = import_quietly("onnx")
    steps = []
    lowered = at_opset(onnx, model)
    if lowered is not None:
        if opset_of(model) != OPSET:
            steps.append(f"brought from opset {opset_of(model)} to {OPSET}")
        model = lowered
    else:
        steps.append(f"left at opset {opset_of(model)}: it cannot be brought to {OPSET}")
    model = _slim(model)
    _without_allowzero(onnx, model)
    _opsets_once(model)
    keep_padding(onnx, model)
    _name_shared_constants(model)
    model.doc_string = ""
    del model.metadata_props[:]
    _forget_where_it_was_made(model)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise Refused(f"{where}: is no valid ONNX: {first_line(error)}") from None
    onnx.save(model, str(file))
    return (*steps, "made slim by onnxslim")


def _opsets_once(model: Any) -> None:
    """Each set of operators by one entry: onnxslim may leave two, and quantizers want one."""
    versions = {one.domain: one.version for one in model.opset_import}
    del model.opset_import[:]
    for domain, version in versions.items():
        model.opset_import.add(domain=domain, version=version)


def opset_of(model: Any) -> int:
    """Of ONNX's own operators."""
    own = [int(one.version) for one in model.opset_import if one.domain in ("", "ai.onnx")]
    return own[0] if own else 1


def at_opset(onnx: Any, model: Any) -> Any:
    """The same network at OPSET; None where ONNX has no way there that gives the same answers."""
    if opset_of(model) == OPSET:
        return model
    from onnx import version_converter

    try:
        changed = version_converter.convert_version(model, OPSET)
        changed.ir_version = IR
        _without_newer_defaults(onnx, changed, opset_of(model))
        onnx.checker.check_model(changed, full_check=True)
        takes = input_port(onnx, model)
        one = random_inputs(takes, 1, 1.0, 0)[0]
        pairs = zip(run(model, takes.name, one), run(changed, takes.name, one), strict=True)
        same = all(a.shape == b.shape and np.allclose(a, b, NEAR, NEAR) for a, b in pairs)
    except Exception:  # whatever its converters raise, the way is not there
        return None
    return changed if same else None


def _without_newer_defaults(onnx: Any, model: Any, before: int) -> None:
    """ONNX's converter leaves attributes that operators of OPSET have not, and that ask of those of
    the opset before nothing but what they do by default."""
    for node in model.graph.node:
        if not onnx.defs.has(node.op_type, OPSET):
            continue
        known = onnx.defs.get_schema(node.op_type, OPSET).attributes
        newer = onnx.defs.get_schema(node.op_type, before).attributes
        for attribute in [each for each in node.attribute if each.name not in known]:
            default = newer[attribute.name].default_value if attribute.name in newer else None
            value = onnx.helper.get_attribute_value(attribute)
            if default is not None and value == onnx.helper.get_attribute_value(default):
                node.attribute.remove(attribute)


def run(model: Any, name: str, one: Any) -> list[Any]:
    """What ONNX Runtime answers, with as little done to the graph as it can."""
    answers: list[Any] = session_of("the network", model).run(None, {name: one})
    return answers


def session_of(where: str, model: Any) -> Any:
    """ONNX Runtime with a model as it is, nothing optimised. Raises Refused if it cannot run it."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    ort = import_quietly("onnxruntime")
    settings = ort.SessionOptions()
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.log_severity_level = 4
    try:
        return ort.InferenceSession(
            model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # each kind of failure has a type of its own there
        reason = first_line(error).rpartition(" : ")[2]
        raise Refused(f"{where}: ONNX Runtime cannot run it: {reason}") from None


def input_port(onnx: Any, model: Any) -> Port:
    """Of the only input; sizes that are open are 0."""
    constants = {each.name for each in model.graph.initializer}
    given = next(each for each in model.graph.input if each.name not in constants)
    return port_of(onnx, given)


def port_of(onnx: Any, value: Any) -> Port:
    """Of an input or output of a graph; sizes that are open are 0."""
    kind = value.type.tensor_type
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)).name
    return Port(value.name, tuple(int(size.dim_value) for size in kind.shape.dim), dtype)


def _slim(model: Any) -> Any:
    logging.getLogger("ONNXSlim").setLevel(logging.ERROR)
    return import_quietly("onnxslim").slim(model)


def _without_allowzero(onnx: Any, model: Any) -> None:
    """`allowzero` means something only to a shape with a 0 in it, and few converters know it."""
    constants = {each.name: each for each in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "Reshape" or node.input[1] not in constants:
            continue
        if onnx.numpy_helper.to_array(constants[node.input[1]]).all():
            for attribute in [each for each in node.attribute if each.name == "allowzero"]:
                node.attribute.remove(attribute)


def _forget_where_it_was_made(model: Any) -> None:
    """torch.onnx writes the lines of the source, with paths of this machine, into each node."""
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        del value.metadata_props[:]
    for constant in model.graph.initializer:
        constant.doc_string = ""
        del constant.metadata_props[:]
    del model.graph.metadata_props[:]


def _name_shared_constants(model: Any) -> None:
    """After the first node that takes it, in order of names: of equal ones tf2onnx keeps another
    each time, and the same source must give the same bytes."""
    if any(each.HasField("g") for node in model.graph.node for each in node.attribute):
        return  # a loop's or a branch's own graph may take them too
    users: dict[str, list[tuple[Any, int]]] = {}
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            users.setdefault(name, []).append((node, place))
    for constant in model.graph.initializer:
        uses = users.get(constant.name, [])
        if len(uses) < 2:
            continue
        first, at = uses[0]
        constant.name = f"{first.name}/constant_{at}"
        for node, place in uses:
            node.input[place] = constant.name
    ordered = sorted(model.graph.initializer, key=lambda each: str(each.name))
    del model.graph.initializer[:]
    model.graph.initializer.extend(ordered)
