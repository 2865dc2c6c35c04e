"""The manifest: what a model is, what it eats and what its outputs mean. Parsed once, frozen."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from wire.troubles import Refused

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE_NAME = "manifest.toml"

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Version = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
FlatName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
Side = Annotated[int, Meta(ge=1, le=8192)]
Positive = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Input(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a picture becomes the input tensor.

    real = (pixel - mean) / std, pixel 0 to 255, per channel in the order of `colour` (one value
    stands for all channels); stored = round(real / scale) + zero_point where the model is
    quantised. `fit` says how the frame is brought to width x height; `padding` is the pixel value
    beside a letterboxed picture.
    """

    width: Side
    height: Side
    colour: Literal["rgb", "bgr", "grey"]
    layout: Literal["NHWC", "NCHW"]
    dtype: Literal["uint8", "int8", "float32"]
    mean: tuple[float, ...] = (0.0,)
    std: tuple[Positive, ...] = (1.0,)
    scale: Positive | None = None
    zero_point: int | None = None
    fit: Literal["letterbox", "stretch", "crop"] = "letterbox"
    interpolation: Literal["nearest", "bilinear", "area"] = "bilinear"
    padding: Annotated[int, Meta(ge=0, le=255)] = 0

    @property
    def channels(self) -> int:
        return 1 if self.colour == "grey" else 3


class Output(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One output tensor, as the model file has it."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None


class Decoding(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the outputs mean.

    head: classify: "probabilities" | "logits"; detect: "ssd" (TFLite's post-process op) | "fcos"
    (scores and edge distances per grid cell); raw: "none".
    """

    head: Literal["probabilities", "logits", "ssd", "fcos", "none"] = "none"
    top_k: Annotated[int, Meta(ge=1)] = 5
    min_score: Share = 0.0
    max_overlap: Share = 0.5
    max_boxes: Annotated[int, Meta(ge=1)] = 100


class Golden(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A picture in the bundle and the answer expected for it (`Found` as JSON in `answer`).

    The top class must agree and scores lie within `tolerance`; boxes must overlap >= min_overlap.
    """

    picture: FlatName
    answer: FlatName
    tolerance: Share = 0.1
    min_overlap: Share = 0.6


class Limits(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the model may cost on a device."""

    p95_ms: Positive | None = None
    memory_mb: Positive | None = None


class Manifest(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A whole manifest. Files are named flat: everything lies in one folder."""

    schema: Literal[1]
    name: Name
    version: Version
    task: Literal["classify", "detect", "raw"]
    format: Literal["tflite", "onnx"]
    file: FlatName
    input: Input
    outputs: tuple[Output, ...] = ()
    decoding: Decoding = Decoding()
    labels: FlatName | None = None
    golden: tuple[Golden, ...] = ()
    boards: tuple[Name, ...] = ()
    limits: Limits = Limits()


def parse(text: str, where: str) -> Manifest:
    """Read a manifest. Raises Refused with file, line and key of what is wrong in it."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Refused(f"{where}: not valid TOML: {error}") from None
    try:
        return msgspec.convert(tables, Manifest)
    except msgspec.ValidationError as error:
        raise Refused(f"{where}: {error}") from None


def load(folder: Path) -> Manifest:
    """The manifest of a model folder."""
    path = folder / FILE_NAME
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}: a model folder needs a {FILE_NAME}") from None
    except UnicodeDecodeError:
        raise Refused(f"{path}: not UTF-8 text") from None


def as_tables(manifest: Manifest) -> dict[str, Any]:
    """The manifest as plain tables, defaults left out: what a TOML writer takes."""
    tables: dict[str, Any] = msgspec.to_builtins(manifest)
    return tables
