"""Trained models as their makers left them: one file per format, each a step of its own.

Every reader is asked the same (`Request`) and answers the same (`Read`): a float32 .tflite or .onnx
file, and what the source framework itself answered to some inputs, by which the file is proven.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from msgspec import Struct

Kind = Literal["keras", "saved_model", "exported_program", "torchscript", "torch_module", "onnx",
               "tflite", "sklearn"]  # fmt: skip
Format = Literal["tflite", "onnx"]

READERS: dict[Kind, str] = {
    "keras": "workshop.reading.keras",
    "saved_model": "workshop.reading.saved_model",
    "exported_program": "workshop.reading.exported_program",
    "torchscript": "workshop.reading.torchscript",
    "torch_module": "workshop.reading.torch_module",
    "onnx": "workshop.reading.onnx",
    "tflite": "workshop.reading.tflite",
    "sklearn": "workshop.reading.sklearn",
}


class Port(Struct, frozen=True):
    """One input or output of a network. shape: with its batch, which is 1."""

    name: str
    shape: tuple[int, ...]
    dtype: str


class Request(Struct, frozen=True):
    """What to read. path: a file or folder, or `package.module:attribute` of a torch module.

    to: the wanted format. into: an empty folder for what is made. input_shape: where the source
    does not say it, or leaves dimensions open. probes: how many random inputs (uniform in 0 to 1,
    of `seed`) the source framework is asked. probe_inputs: an .npz with the wanted inputs instead,
    `0`, `1`, ... each (n, *shape). folder: the user's, from which paths and imports go. trusted:
    whether code in the source may run that only reading it would run, as a pickle's. signature: of
    a SavedModel that has several.
    """

    kind: Kind
    path: str
    to: Format
    into: str
    input_shape: tuple[int, ...] | None = None
    probes: int = 4
    probe_inputs: str | None = None
    seed: int = 0
    signature: str | None = None
    folder: str = ""
    trusted: bool = False


class Read(Struct, frozen=True):
    """A source, read.

    file: the float32 model, `model.tflite` or `model.onnx` in the folder that was asked for.
    reference: an .npz with arrays `in0`, `in1`, ..., `out0`, ...: each (n, *shape) with what the
    source framework gave for n inputs. steps: what was done, a line each, for the manifest.
    tools: packages that did it, with their versions. in_graph: what of the preprocessing is part of
    the network itself, in words. labels: where the source has them. columns: what the numbers of a
    row are called, likewise.
    """

    file: str
    reference: str
    takes: tuple[Port, ...]
    gives: tuple[Port, ...]
    steps: tuple[str, ...]
    tools: dict[str, str]
    in_graph: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


def model_file(request: Request) -> Path:
    """Where the float32 model of a request goes."""
    return Path(request.into) / f"model.{request.to}"
