"""LiteRT (ai-edge-litert, else tflite-runtime): int8 on every board's CPU; delegates by name.

Input and outputs are written and read in the interpreter's own arena. Its views may not be held
over invoke(), so we take their address once: a static arena does not move after it was allocated.
"""

from __future__ import annotations

import ctypes
import importlib
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from runtime.engines import EngineOptions, Tensor, TensorSpec, accelerators
from runtime.memory import at_address
from runtime.quiet import without_chatter
from wire.troubles import Refused, Unavailable

PACKAGES = ("ai_edge_litert", "tflite_runtime")
LOOK = "import ctypes, sys; ctypes.CDLL(sys.argv[1])"
DELEGATE_ENTRY = "tflite_plugin_create_delegate"  # what a delegate's library must have


class LiteRTEngine:
    """One interpreter with its arena. Inference releases the interpreter lock."""

    def __init__(self, interpreter: Any, model_file: Path) -> None:
        self._interpreter = interpreter
        self._model_file = model_file
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
        if len(inputs) != 1:
            names = ", ".join(str(detail["name"]) for detail in inputs)
            raise Refused(
                f"{model_file}: has {len(inputs)} inputs ({names}); one picture input is needed"
            )
        self.takes = _spec(inputs[0], inputs[0]["shape"])
        if self.takes.dtype not in ("uint8", "int8", "float32"):
            raise Refused(
                f"{model_file}: input {self.takes.name!r} is {self.takes.dtype}; "
                "uint8, int8 or float32 is needed"
            )
        self._input = _in_place(interpreter, inputs[0]["index"])
        self._input.fill(0)
        self._indexes = [int(detail["index"]) for detail in outputs]
        placed = [_address(interpreter, index) for index in self._indexes]
        interpreter.invoke()  # tensors of dynamic size have a shape and a place only now
        self.gives = tuple(
            _spec(detail, _in_place(interpreter, detail["index"]).shape) for detail in outputs
        )
        for spec in (self.takes, *self.gives):
            _check_spec(spec, model_file)
        self._outputs = tuple(_in_place(interpreter, index) for index in self._indexes)
        self._movable = tuple(
            place for place, index in enumerate(self._indexes)
            if placed[place] in (None, 0) or placed[place] != _address(interpreter, index)
        )  # fmt: skip

    def input(self) -> Tensor:
        return self._input

    def run(self) -> tuple[Tensor, ...]:
        try:
            self._interpreter.invoke()
        except RuntimeError as error:  # an operator that cannot work on these very values
            raise Refused(
                f"{self._model_file}: LiteRT cannot run it: {_first_line(error)}"
            ) from None
        if self._movable:
            self._find_again()
        return self._outputs

    def _find_again(self) -> None:
        outputs = list(self._outputs)
        for place in self._movable:
            outputs[place] = _in_place(self._interpreter, self._indexes[place])
        self._outputs = tuple(outputs)

    def close(self) -> None:
        self._outputs = ()
        self._input = np.empty(0)
        self._interpreter = None


def open_model_file(model_file: Path, options: EngineOptions) -> LiteRTEngine:
    """Load a .tflite file. Accelerators are delegates: `edgetpu`, `gpu`, or a library, with options
    as `edgetpu?device=usb:0`."""
    module = import_package()
    delegates = [_load_delegate(module, name) for name in options.accelerators]
    try:
        with without_chatter():
            interpreter = module.Interpreter(
                model_path=str(model_file),
                num_threads=options.thread_count,
                experimental_delegates=delegates or None,
            )
            _fix_shape(interpreter, options.takes, model_file)
            interpreter.allocate_tensors()
            return LiteRTEngine(interpreter, model_file)
    except SystemError:
        raise _needs_old_numpy(module.__name__.split(".")[0]) from None
    except (ValueError, RuntimeError) as error:
        raise Refused(f"{model_file}: LiteRT cannot load it: {_first_line(error)}") from None


def import_package() -> Any:
    """The interpreter module of either package. Raises Unavailable if neither is here."""
    for package in PACKAGES:
        try:
            module = importlib.import_module(f"{package}.interpreter")
        except ModuleNotFoundError:
            continue
        except ImportError as error:
            raise Unavailable(f"{package} is installed but cannot be loaded: {error}") from None
        if package == "tflite_runtime" and _is_old(package) and np.__version__ >= "2":
            raise _needs_old_numpy(package)  # asked now: later it prints a page of its own
        return module
    raise Unavailable("LiteRT is missing: pip install 'vedette[litert]' (or ai-edge-litert)")


def unknown_accelerator(name: str) -> str | None:
    """Why no delegate can be meant, or None: its library is not here. The library is looked for in
    a process of its own, as it would do there whatever it does when it is loaded."""
    library = accelerators.DELEGATES.get(name, name)
    missing = f"{library}: cannot open shared object file: No such file"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", LOOK, library], capture_output=True, errors="replace"
    )
    if missing not in done.stderr:
        return None
    if library != name:
        return f"its library {library} is not here: install it"
    known = " or ".join(accelerators.DELEGATES)
    return f"LiteRT finds no library of that name: write {known}, or the path of a delegate"


def _is_old(package: str) -> bool:
    """Whether it is 2.14, the last official one, or older; later builds by others differ."""
    version = sys.modules[package].__version__.split(".")
    return [int(part) for part in version[:2] if part.isdigit()] <= [2, 14]


def _needs_old_numpy(package: str) -> Unavailable:
    return Unavailable(
        f"{package} does not work with numpy {np.__version__}: "
        "install 'numpy<2', or ai-edge-litert in its place"
    )


def _load_delegate(module: Any, words: str) -> Any:
    name, options = accelerators.parse(words)
    library = accelerators.DELEGATES.get(name, name)
    try:
        # looked at first: a Delegate that fails half-way prints tracebacks when it is freed
        if not hasattr(ctypes.CDLL(library), DELEGATE_ENTRY):
            raise ValueError("it is no delegate")
        return module.load_delegate(library, options)
    except (OSError, ValueError) as error:
        reason = [line for line in str(error).splitlines() if line][-1:] or ["it gives no reason"]
        raise Unavailable(
            f"delegate {name!r} cannot be loaded: {reason[0].strip()}: "
            "install its library, or leave it out to run on the CPU"
        ) from None


def _fix_shape(interpreter: Any, takes: TensorSpec | None, model_file: Path) -> None:
    """Give a model that leaves dimensions open the shape that its manifest declares."""
    details = interpreter.get_input_details()
    if len(details) != 1:
        return
    open_shape = tuple(int(side) for side in details[0].get("shape_signature", ()))
    if takes is not None and -1 in open_shape and len(open_shape) == len(takes.shape):
        interpreter.resize_tensor_input(details[0]["index"], takes.shape, strict=True)
    elif -1 in open_shape[1:]:
        raise Refused(
            f"{model_file}: input {details[0]['name']!r} leaves its size open {open_shape}: "
            "write a manifest.toml that gives width and height, or export it with a fixed size"
        )


def _spec(detail: dict[str, Any], shape: Any) -> TensorSpec:
    scale, zero_point = detail["quantization"]
    quantised = scale != 0.0
    return TensorSpec(
        str(detail["name"]),
        tuple(int(side) for side in shape),
        np.dtype(detail["dtype"]).name,
        float(scale) if quantised else None,
        int(zero_point) if quantised else None,
    )


def _check_spec(spec: TensorSpec, model_file: Path) -> None:
    """A damaged file may hold any bytes where the scale should be."""
    if spec.scale is not None and not 0 < spec.scale < math.inf:
        raise Refused(
            f"{model_file}: tensor {spec.name!r} is quantised with the scale {spec.scale}: "
            "the file is damaged, or was exported wrongly"
        )


def _address(interpreter: Any, index: int) -> int | None:
    """Where a tensor lies, or None while it has no memory."""
    try:
        address: int = interpreter.tensor(index)().__array_interface__["data"][0]
    except ValueError:
        return None
    return address


def _in_place(interpreter: Any, index: int) -> Tensor:
    try:
        view = interpreter.tensor(index)()
    except ValueError:
        return _empty(interpreter, index)
    return at_address(view.__array_interface__["data"][0], view.shape, view.dtype)


def _empty(interpreter: Any, index: int) -> Tensor:
    """A dynamic output may hold nothing, as where nothing was found: then it lies nowhere."""
    for detail in interpreter.get_output_details():
        if detail["index"] == index and 0 in detail["shape"]:
            return np.empty(detail["shape"], detail["dtype"])
    raise RuntimeError("an output has no memory")


def _first_line(error: Exception) -> str:
    """LiteRT says nothing at all when there is no room for its tensors."""
    lines = str(error).strip().splitlines()
    if not lines:
        return "there is not enough memory for its tensors: make it smaller"
    names = isinstance(error, UnicodeDecodeError)  # that are no text
    if names or "valid Flatbuffer" in lines[0] or "null/empty" in lines[0]:
        return "it is no TFLite model, or a damaged one: copy or export it again"
    return lines[0].rstrip(".")
