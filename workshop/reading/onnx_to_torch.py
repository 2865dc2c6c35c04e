"""ONNX to TFLite: onnx2torch makes a module, one run of it a plain graph, litert-torch the file."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from wire.troubles import Refused
from workshop.reading import Port
from workshop.reading.onnx_source import named, nodes_of
from workshop.reading.packages import first_line, import_quietly
from workshop.reading.torch_program import Network, captured, example, import_torch
from workshop.reading.torch_recording import recorded
from workshop.reading.torch_writing import write_tflite as write_program

MISSING = re.compile(r"operation_type='(?P<kind>\w+)'")
WAY_OUT = "try --to onnx, or make the layer of others"


def write_tflite(where: str, model: Any, takes: Port, file: Path) -> None:
    """Raises Refused for operators that onnx2torch or TFLite has not, by name and layer."""
    import_torch()
    onnx2torch = import_onnx2torch()
    try:
        module = onnx2torch.convert(model).eval()
        graph = recorded(where, module, example(takes))
    except Refused:
        raise
    except Exception as error:  # of converters for single operators, which raise of all kinds
        raise _refused(where, model, error) from None
    network = Network(where, graph, takes, graph.meta["layers"])
    write_program(network, captured(network), file)


def import_onnx2torch() -> Any:
    """The module `onnx2torch`. It needs torchvision, for two operators: where that cannot be
    loaded, because it was built for another PyTorch, all others can still be had."""
    try:
        import_quietly("torchvision")
        return import_quietly("onnx2torch")
    except (RuntimeError, OSError, ImportError):
        for name in [each for each in sys.modules if each.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
    empty = {name: ModuleType(name) for name in ("torchvision", "torchvision.ops")}
    empty["torchvision.ops"].__dict__["roi_align"] = None
    sys.modules.update(empty)
    try:
        return import_quietly("onnx2torch")
    finally:
        for name in empty:
            del sys.modules[name]


def _refused(where: str, model: Any, error: Exception) -> Refused:
    found = MISSING.search(str(error))
    if not isinstance(error, NotImplementedError) or found is None:
        reason = first_line(error) if str(error) else type(error).__name__
        return Refused(f"{where}: cannot be made TFLite: {reason}: {WAY_OUT}")
    kind = found["kind"]
    layers = [named(node) for node in nodes_of(model.graph) if node.op_type == kind]
    layer = f"layer {layers[0]}" if layers else "layer unknown"
    return Refused(f"{where}: onnx2torch, on the way to TFLite, has no operator {kind} ({layer}): "
                   f"{WAY_OUT}")  # fmt: skip
