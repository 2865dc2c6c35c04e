"""Engines: things that run a model. One file per vendor, imported only when asked for."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from wire.troubles import Refused, Unavailable

Tensor = npt.NDArray[Any]

KINDS = {
    "litert": "runtime.engines.litert",
    "onnxruntime": "runtime.engines.onnxruntime",
    "tensorrt": "runtime.engines.tensorrt",
    "null": "runtime.engines.null",
}
# which engines run a format; the first unless another is asked for by name
FOR_FORMAT = {"tflite": ("litert", "null"), "onnx": ("onnxruntime", "tensorrt", "null")}
BY_FORMAT = {each: kinds[0] for each, kinds in FOR_FORMAT.items()}


@dataclass(frozen=True)
class TensorSpec:
    """One tensor of a loaded model. real value = (stored - zero_point) * scale, where quantised.

    shape: all dimensions known. dtype: numpy's name ("int8").
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None


class Engine(Protocol):
    """Owns the memory of one loaded model. Belongs to one thread at a time."""

    takes: TensorSpec
    gives: tuple[TensorSpec, ...]

    def input(self) -> Tensor:
        """The writable input memory, the same array for the life of the engine."""

    def run(self) -> tuple[Tensor, ...]:
        """Outputs, in place: views that are valid until the next run() or close()."""

    def close(self) -> None:
        """Free the model. Views of its memory must not be touched any more."""


@dataclass(frozen=True)
class EngineOptions:
    """How to run a model. threads: None means cores - 1, at least 1.

    accelerators: LiteRT delegates (library names) or ONNX Runtime providers, best first.
    takes, gives: the tensors as the manifest declares them, where there is one; `takes` fixes the
    dimensions that a model leaves open.
    """

    threads: int | None = None
    accelerators: tuple[str, ...] = ()
    takes: TensorSpec | None = None
    gives: tuple[TensorSpec, ...] = ()

    @property
    def thread_count(self) -> int:
        return self.threads or max(1, len(os.sched_getaffinity(0)) - 1)


def open_engine(kind: str, model_file: Path, options: EngineOptions | None = None) -> Engine:
    """Load a model file. Raises Refused for a bad file, Unavailable for a missing engine."""
    if kind not in KINDS:
        raise Refused(f"there is no engine {kind!r}: use one of {', '.join(KINDS)}")
    engine: Engine = importlib.import_module(KINDS[kind]).open_model_file(
        model_file, options or EngineOptions()
    )
    return engine


def device_bytes(engine: Engine) -> int:
    """Of an accelerator's memory, what it took; 0 where an engine does not tell."""
    taken: int = getattr(engine, "device_bytes", 0)
    return taken


def engine_reason(kind: str) -> str | None:
    """Why an engine does not work here and what to install, or None if it does."""
    try:
        importlib.import_module(KINDS[kind]).import_package()
    except Unavailable as reason:
        return str(reason)
    return None
