"""What a training wrote down of its preprocessing: read from the files that it leaves behind."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from models.manifest import Positive, Side
from wire.troubles import Refused
from wire.typed_toml import as_utf8, tables_of, typed
from workshop.preprocessing import Interpolation, Preprocessing
from workshop.preprocessing.known_json import read_json
from workshop.preprocessing.known_onnx import read_metadata
from workshop.preprocessing.known_transforms import read_transforms

NAMES = ("preprocessor_config.json", "config.json", "manifest.toml", "transforms.txt")
MOST_BYTES = 1 << 20


class Given(Struct, frozen=True, forbid_unknown_fields=True):
    """The table [input] of a manifest, or a part of it."""

    width: Side | None = None
    height: Side | None = None
    colour: Literal["rgb", "bgr", "grey"] | None = None
    layout: Literal["NHWC", "NCHW"] | None = None
    dtype: Literal["uint8", "int8", "float32"] | None = None
    mean: Annotated[tuple[float, ...], Meta(max_length=3)] | None = None
    std: Annotated[tuple[Positive, ...], Meta(max_length=3)] | None = None
    scale: Positive | None = None
    zero_point: int | None = None
    fit: Literal["letterbox", "stretch", "crop"] | None = None
    resize: Side | None = None
    interpolation: Interpolation | None = None
    padding: Annotated[int, Meta(ge=0, le=255)] | None = None


class _File(Struct, frozen=True):
    input: Given


def read_known(path: Path) -> Preprocessing:
    """What a file says, or the one in a folder that says something:

    - `preprocessor_config.json` of transformers, `config.json` of timm
    - the text of a torchvision transform, as print() shows it (.txt)
    - the metadata of an .onnx file of Ultralytics
    - a manifest, or another .toml file with a table [input]

    Raises Refused for one that says nothing, or what cannot be meant.
    """
    if path.is_dir():
        found = [path / name for name in NAMES if (path / name).is_file()]
        if not found:
            raise Refused(f"{path}: has none of {', '.join(NAMES)}: name the file")
        return read_known(found[0])
    kind = path.suffix.lower()
    if kind == ".onnx":
        return read_metadata(path)
    readers = {".json": read_json, ".toml": _read_toml, ".txt": read_transforms}
    if kind not in readers:
        raise Refused(f"{path}: name a file that ends with {', '.join(readers)} or .onnx")
    return readers[kind](_text(path), path)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from None
    if len(content) > MOST_BYTES:
        raise Refused(f"{path}: larger than {MOST_BYTES // 1024} KiB: no preprocessing needs that")
    return as_utf8(content, str(path))


def _read_toml(text: str, path: Path) -> Preprocessing:
    tables = tables_of(text, str(path))
    if "input" not in tables:
        raise Refused(f"{path}: has no table [input]")
    given = typed(tables, _File, text, str(path)).input
    values = {
        name: value
        for name, value in msgspec.structs.asdict(given).items()
        if name not in ("dtype", "scale", "zero_point")  # of the other model, not of its training
    }
    return Preprocessing(source=str(path), **values)
