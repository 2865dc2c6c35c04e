"""Frozen networks of TensorFlow, and .tflite files, written as float32 .tflite and .onnx."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from wire.troubles import Refused
from workshop.reading import Port
from workshop.reading.onnx_finishing import OPSET, finish_onnx
from workshop.reading.packages import first_line, import_quietly
from workshop.reading.tf_freezing import Frozen

STANDARD = ("", "ai.onnx", "ai.onnx.ml")
NAMED = 3  # operators that a message names


def write_tflite(frozen: Frozen, file: Path) -> None:
    """Raises Refused for operators that TFLite has not, by name and layer."""
    tf = import_quietly("tensorflow")
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen.function])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            content = converter.convert()
    except Exception as error:  # the converter raises of all kinds
        missing = [(one.operator.name, _place(one)) for one in getattr(error, "errors", ())]
        raise _refused(frozen.where, "TFLite", "onnx", missing, error) from None
    file.write_bytes(content)


def write_onnx(frozen: Frozen, file: Path) -> None:
    """Raises Refused for operators that ONNX has not, by name and layer."""
    convert = _converter()
    inputs, outputs = _tensors([frozen.takes]), _tensors(frozen.gives)
    try:
        model, _ = convert.from_graph_def(
            frozen.graph, name=Path(frozen.where).stem, input_names=list(inputs),
            output_names=list(outputs), opset=OPSET, tensors_to_rename=inputs | outputs,
        )  # fmt: skip
    except Exception as error:
        raise _refused(frozen.where, "ONNX", "tflite", [], error) from None
    _finish_onnx(frozen.where, model, file)


def tflite_to_onnx(where: str, source: Path, file: Path) -> None:
    """A float32 .tflite as .onnx. Raises Refused for operators that cannot be told in ONNX."""
    try:
        model, _ = _converter().from_tflite(str(source), opset=OPSET)
    except Exception as error:
        raise _refused(where, "ONNX", "tflite", [], error) from None
    _finish_onnx(where, model, file)


def _converter() -> Any:
    convert = import_quietly("tf2onnx.convert")
    for name in ("tf2onnx", "tf2onnx.tfonnx", "tf2onnx.tflite_utils"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return convert


def _tensors(ports: Iterable[Port]) -> dict[str, str]:
    return {f"{port.name}:0": port.name for port in ports}


def _finish_onnx(where: str, model: Any, file: Path) -> None:
    """Look for what is no ONNX, and do with the rest what is done with every .onnx."""
    onnx = import_quietly("onnx")
    foreign = [(node.op_type, node.name) for node in model.graph.node if not _is_known(onnx, node)]
    if foreign:
        raise _refused(where, "ONNX", "tflite", foreign, None)
    finish_onnx(where, model, file)


def _is_known(onnx: Any, node: Any) -> bool:
    if node.domain not in STANDARD:
        return False
    return bool(onnx.defs.has(node.op_type, OPSET, node.domain))


def _place(error: Any) -> str:
    """The layer of a trouble of TFLite's converter, as TensorFlow names it."""
    return next((call.name for call in error.location.call if call.name), "")


def _refused(
    where: str, wanted: str, other: str, missing: list[tuple[str, str]], error: Exception | None
) -> Refused:
    """missing: operators with their layers."""
    named = [
        f"{kind.removeprefix('tf.')} (layer {layer or 'unknown'})"
        for kind, layer in dict.fromkeys(missing)
        if kind
    ]
    if not named:
        reason = first_line(error) if error else "no reason given"
        return Refused(f"{where}: cannot be made {wanted}: {reason}: try --to {other}")
    more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
    return Refused(
        f"{where}: {wanted} has no operator {', '.join(named[:NAMED])}{more}: make the layer of "
        f"others, leave it out (what comes after the network is the runtime's), or try --to {other}"
    )
