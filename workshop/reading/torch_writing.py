"""Programs of PyTorch written as float32 .tflite, by litert-torch, and .onnx, by torch.onnx."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

from wire.troubles import Refused
from workshop.reading.onnx_finishing import finish_onnx
from workshop.reading.packages import first_line, import_quietly
from workshop.reading.torch_program import UNKNOWN, Network, example, import_torch, layer_of

OPSET = 18  # the lowest that torch.onnx writes; what comes after lowers it where it can
MISSING = (
    re.compile(r"Lowering not found: (?P<operator>[\w.]+)"),
    re.compile(
        r"No ONNX function found for "
        r"<OpOverload\(op='(?P<packet>[\w.]+)', overload='(?P<over>\w+)'"
    ),
    re.compile(r"target=torch\.ops\.(?P<operator>[\w.]+)\]"),
)  # fmt: skip
WAYS_OUT = (
    "make the layer of others, leave it out (what comes after the network is the runtime's), "
    "or try --to {other}"
)
NO_KERNEL = re.compile(r"(?:builtin opcode|custom op:?) '?(?P<kernel>\w+)'?")
MADE_OF = {"STABLEHLO_SORT": ("topk.default", "sort.default", "sort.stable", "argsort.default")}
COLOURS = re.compile(r"\x1b\[\d+m")


def write_tflite(network: Network, program: Any, file: Path) -> None:
    """Raises Refused for operators that TFLite has not, by name and layer."""
    for folding in (True, False):  # it falls over what sorts, where the rest goes well
        try:
            _convert(network, program, file, folding)
            break
        except Exception as error:  # the converter raises of all kinds
            if not folding or missing_operator(str(error)) is not None:
                raise _refused(network, program, "TFLite", "onnx", error) from None
    _check_kernels(network, program, file)


def _convert(network: Network, program: Any, file: Path, folding: bool) -> None:
    litert_torch = import_quietly("litert_torch")
    with contextlib.redirect_stdout(io.StringIO()):
        made = litert_torch.convert(
            program.module(), (example(network.takes),), runtime_constant_folding=folding
        )
        made.export(str(file))


def _check_kernels(network: Network, program: Any, file: Path) -> None:
    """The converter writes operators that no interpreter has, as for sorting."""
    interpreter = import_quietly("ai_edge_litert.interpreter").Interpreter
    try:
        interpreter(model_path=str(file), num_threads=1).allocate_tensors()
    except (ValueError, RuntimeError) as error:
        found = NO_KERNEL.search(str(error))
        if found is None:
            raise _refused(network, program, "TFLite", "onnx", error) from None
        sources = (f"aten.{name}" for name in MADE_OF.get(found["kernel"], ()))
        layers = (layer_of(network, program, one) for one in sources)
        layer = next((each for each in layers if each != UNKNOWN), UNKNOWN)
        raise Refused(
            f"{network.where}: LiteRT has no operator {found['kernel']} ({layer}): "
            f"{WAYS_OUT.format(other='onnx')}"
        ) from None


def write_onnx(network: Network, program: Any, file: Path) -> tuple[str, ...]:
    """Raises Refused for operators that ONNX has not. Returns what was done after torch.onnx."""
    torch = import_torch()
    import_quietly("onnxscript")
    given = example(network.takes)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            made = torch.onnx.export(
                program, (given,), dynamo=True, opset_version=OPSET, external_data=False
            )
    except Exception as error:
        raise _refused(network, program, "ONNX", "tflite", error) from None
    return finish_onnx(network.where, made.model_proto, file)


def _refused(network: Network, program: Any, wanted: str, other: str, error: Exception) -> Refused:
    operator = missing_operator(str(error))
    way_out = WAYS_OUT.format(other=other)
    if operator is None:
        reason = type(error).__name__ if isinstance(error, KeyError) else first_line(error)
        return Refused(f"{network.where}: cannot be made {wanted}: {reason}: try --to {other}")
    layer = layer_of(network, program, operator)
    return Refused(f"{network.where}: {wanted} has no operator {operator} ({layer}): {way_out}")


def missing_operator(said: str) -> str | None:
    """The operator that a converter's error is about, as `aten.x.default`."""
    for pattern in MISSING:
        if found := pattern.search(COLOURS.sub("", said)):
            named = found.groupdict()
            return named.get("operator") or f"{named['packet']}.{named['over']}"
    return None
