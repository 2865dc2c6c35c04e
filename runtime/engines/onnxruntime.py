"""ONNX Runtime: input and outputs bound to our own memory, so that nothing is copied on a CPU."""

from __future__ import annotations

import difflib
import importlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from runtime.engines import EngineOptions, Tensor, TensorSpec, accelerators
from runtime.engines.accelerators import DELEGATES, ENDING, short_name
from runtime.engines.onnx_outside import DAMAGED, check_outside
from runtime.kept import cache_folder
from runtime.memory import aligned_zeros
from wire.troubles import Refused, Unavailable

CPU, TENSORRT = f"CPU{ENDING}", f"Tensorrt{ENDING}"
QUIET = 4  # log nothing but its own end: errors are raised as well
DTYPES = {
    "tensor(float)": "float32",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(uint16)": "uint16",
    "tensor(int16)": "int16",
    "tensor(uint32)": "uint32",
    "tensor(int32)": "int32",
    "tensor(uint64)": "uint64",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
}


class OnnxRuntimeEngine:
    """One session with an IO binding. Inference releases the interpreter lock."""

    def __init__(self, session: Any, model_file: Path, declared: TensorSpec | None) -> None:
        self._session = session
        self._model_file = model_file
        self._on_cpu = session.get_providers()[0] == CPU
        self.takes = _input_spec(session.get_inputs(), model_file, declared)
        _check_outputs(session.get_outputs(), model_file)
        self._input = aligned_zeros(self.takes.shape, self.takes.dtype)
        self._binding = session.io_binding()
        self._bind_input()
        self._names = [output.name for output in session.get_outputs()]
        self._let_it_allocate()  # shapes that depend on the input are known after a run only
        session.run_with_iobinding(self._binding)
        firsts = self._binding.copy_outputs_to_cpu()
        self.gives = tuple(
            TensorSpec(output.name, first.shape, first.dtype.name)
            for output, first in zip(session.get_outputs(), firsts, strict=True)
        )
        self._fixed = all(_is_fixed(output.shape) for output in session.get_outputs())
        self._outputs: tuple[Tensor, ...] = tuple(firsts)
        if self._fixed:
            self._bind_outputs()

    def _bind_input(self) -> None:
        self._binding.bind_input(
            self.takes.name, "cpu", 0, self._input.dtype.type, self._input.shape,
            self._input.ctypes.data,
        )  # fmt: skip

    def _bind_outputs(self) -> None:
        self._outputs = tuple(aligned_zeros(spec.shape, spec.dtype) for spec in self.gives)
        for spec, array in zip(self.gives, self._outputs, strict=True):
            self._binding.bind_output(
                spec.name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data
            )

    def _let_it_allocate(self) -> None:
        """Also before every run where sizes change: it keeps what the run before it made."""
        for name in self._names:
            self._binding.bind_output(name, "cpu")

    def input(self) -> Tensor:
        return self._input

    def run(self) -> tuple[Tensor, ...]:
        if not self._on_cpu:
            self._bind_input()  # other providers take their copy when the input is bound
        if not self._fixed:
            self._let_it_allocate()
        try:
            self._session.run_with_iobinding(self._binding)
        except Exception as error:  # an operator that cannot work on these very values
            raise Refused(
                f"{self._model_file}: ONNX Runtime cannot run it: {_reason(error)}"
            ) from None
        if not self._fixed:
            self._outputs = tuple(self._binding.copy_outputs_to_cpu())
        return self._outputs

    def close(self) -> None:
        self._outputs = ()
        self._binding = None
        self._session = None


def open_model_file(model_file: Path, options: EngineOptions) -> OnnxRuntimeEngine:
    """Load an .onnx file. Accelerators are providers, as `CUDAExecutionProvider` or `cuda`, with
    options as `tensorrt?trt_fp16_enable=1`."""
    ort = import_package()
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = options.thread_count
    settings.inter_op_num_threads = 1
    settings.log_severity_level = QUIET
    providers = _providers(ort, options.accelerators)
    check_outside(model_file)
    try:
        session = ort.InferenceSession(str(model_file), settings, providers=providers)
        _check_providers(providers, session)
        session.disable_fallback()  # to the CPU, in silence, when a run fails
        return OnnxRuntimeEngine(session, model_file, options.takes)
    except (Refused, Unavailable):
        raise
    except Exception as error:  # each kind of failure has a type of its own there
        raise Refused(f"{model_file}: ONNX Runtime cannot load it: {_reason(error)}") from None


def import_package() -> Any:
    """The onnxruntime module. Raises Unavailable if it is not here."""
    # Since 1.29 it tells its maker over the network what it runs, from the import on.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        return importlib.import_module("onnxruntime")
    except ModuleNotFoundError:
        raise Unavailable(
            "ONNX Runtime is missing: pip install 'vedette[onnx]' (or onnxruntime)"
        ) from None
    except ImportError as error:
        raise Unavailable(f"onnxruntime is installed but cannot be loaded: {error}") from None


def unknown_accelerator(name: str) -> str | None:
    """Why no provider can be meant, or None: no build of ONNX Runtime has one of that name."""
    try:
        ort = import_package()
    except Unavailable:
        return None  # that is said by who opens the engine
    known = _by_short_name([*ort.get_all_providers(), *ort.get_available_providers()])
    short = short_name(name)
    if short in known:
        return None
    near = difflib.get_close_matches(short, [*known, *DELEGATES], n=1)
    hint = f": did you mean {near[0]}?" if near else ":"
    here = ", ".join(_by_short_name(ort.get_available_providers()))
    return f"ONNX Runtime knows no provider of that name{hint} it has {here} here"


def absent_accelerator(name: str) -> str | None:
    """That the build of ONNX Runtime that is installed has no such provider, or None."""
    try:
        here = _by_short_name(import_package().get_available_providers())
    except Unavailable:
        return None
    return None if short_name(name) in here else _absent(name, here)


def _by_short_name(names: list[str]) -> dict[str, str]:
    return {short_name(name): name for name in names}


def _absent(name: str, here: Iterable[str]) -> str:
    return f"ONNX Runtime has no provider {name!r} here: {', '.join(here)}"


def _providers(ort: Any, wanted: tuple[str, ...]) -> list[tuple[str, dict[str, str]]]:
    """The providers to use with their options, best first; the CPU always comes last."""
    here = _by_short_name(ort.get_available_providers())
    chosen = {}
    for words in wanted:
        name, options = accelerators.parse(words)
        known = here.get(short_name(name))
        if known is None:
            raise Unavailable(_absent(name, here))
        chosen[known] = _lasting_cache() | options if known == TENSORRT else options
    return [*chosen.items(), *([] if CPU in chosen else [(CPU, {})])]


def _lasting_cache() -> dict[str, str]:
    """TensorRT takes minutes to build what it runs: it is kept, by default."""
    if (folder := cache_folder()) is None:
        return {}
    place = folder / "tensorrt-provider"
    try:
        place.mkdir(parents=True, exist_ok=True)  # the provider makes no more than the last of them
    except OSError:
        return {}
    kept = {"trt_engine_cache_enable": "1", "trt_timing_cache_enable": "1"}
    return kept | {"trt_engine_cache_path": str(place)}


def _check_providers(wanted: list[tuple[str, dict[str, str]]], session: Any) -> None:
    """ONNX Runtime goes on without a provider that fails to start; the user would not know."""
    for name, _ in wanted:
        if name not in session.get_providers():
            raise Unavailable(
                f"ONNX Runtime cannot start provider {name!r}: "
                "install its libraries, or leave it out to run on the CPU"
            )


def _check_outputs(outputs: list[Any], model_file: Path) -> None:
    for output in outputs:
        if output.type not in DTYPES:
            raise Refused(
                f"{model_file}: output {output.name!r} is {output.type}; "
                "plain tensors of numbers are needed"
            )


def _input_spec(inputs: list[Any], model_file: Path, declared: TensorSpec | None) -> TensorSpec:
    if len(inputs) != 1:
        names = ", ".join(each.name for each in inputs)
        raise Refused(
            f"{model_file}: has {len(inputs)} inputs ({names}); one picture input is needed"
        )
    only = inputs[0]
    dtype = DTYPES.get(only.type, only.type)
    if dtype not in ("uint8", "int8", "float32"):
        raise Refused(
            f"{model_file}: input {only.name!r} is {dtype}; uint8, int8 or float32 is needed"
        )
    shape = list(only.shape)
    for place, side in enumerate(shape):
        if isinstance(side, int) and side > 0:
            continue
        if declared is not None and len(declared.shape) == len(shape):
            shape[place] = declared.shape[place]
        elif place == 0:
            shape[place] = 1
        else:
            raise Refused(
                f"{model_file}: input {only.name!r} leaves its size open {tuple(only.shape)}: "
                "write a manifest.toml that gives width and height "
                "or export it with a fixed size"
            )
    return TensorSpec(only.name, tuple(int(side) for side in shape), np.dtype(dtype).name)


def _is_fixed(shape: list[Any]) -> bool:
    return all(isinstance(side, int) and side > 0 for side in shape)


def _reason(error: Exception) -> str:
    """What ONNX Runtime says, without the codes and places in its source that it puts before."""
    line = (str(error).strip().splitlines() or ["no reason given"])[0]
    if "Failed to allocate memory" in line:
        return "there is not enough memory for its tensors: make it smaller"
    names = isinstance(error, UnicodeDecodeError)  # that are no text
    if names or "INVALID_PROTOBUF" in line or "No graph" in line or "not have a graph" in line:
        return DAMAGED
    line = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", line)
    line = re.sub(r"^Load model from .* failed:\s*", "", line)
    line = re.sub(r"^(Error in execution: )?Non-zero status code .* running (\w+) node\. "
                  r"Name:('.*') Status Message: ", r"\2 \3: ", line)  # fmt: skip
    return re.sub(r"/\S+\.(cc|h):\d+ (\S.*\) )?", "", line).rstrip(".")
