"""The engine that computes nothing: what our own code costs, with the model taken out."""

from __future__ import annotations

from pathlib import Path

from runtime.engines import EngineOptions, Tensor, TensorSpec
from runtime.memory import aligned_zeros
from wire.troubles import Refused


class NullEngine:
    """Takes and gives the tensors that the manifest declares; the outputs stay zero."""

    def __init__(self, takes: TensorSpec, gives: tuple[TensorSpec, ...]) -> None:
        self.takes = takes
        self.gives = gives
        self._input = aligned_zeros(takes.shape, takes.dtype)
        self._outputs = tuple(aligned_zeros(spec.shape, spec.dtype) for spec in gives)

    def input(self) -> Tensor:
        return self._input

    def run(self) -> tuple[Tensor, ...]:
        return self._outputs

    def close(self) -> None:
        pass


def open_model_file(model_file: Path, options: EngineOptions) -> NullEngine:
    if options.takes is None or not options.gives:
        raise Refused(
            f"{model_file}: the null engine needs a manifest that declares input and outputs"
        )
    return NullEngine(options.takes, options.gives)


def import_package() -> None:
    """Nothing to import: this engine always works."""
