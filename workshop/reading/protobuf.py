"""What a file of protocol buffers is: an ONNX model, a SavedModel or a frozen TensorFlow graph."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

# field number -> wire type of a top level (onnx.proto of IR version 14, saved_model.proto)
ONNX = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
SAVED_MODEL = {1: 0, 2: 2}
GRAPH_OF_ONNX = 7
VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5
MOST_FIELDS = 10_000  # of a top level; models have tens


def is_onnx(path: Path) -> bool:
    """Whether its top level is that of an ONNX model with a graph. Nothing below is looked at."""
    fields = _top_level(path)
    return GRAPH_OF_ONNX in fields and all(ONNX.get(n) == kind for n, kind in fields.items())


def is_saved_model(path: Path) -> bool:
    """Whether its top level is that of TensorFlow's saved_model.pb."""
    return _top_level(path) == SAVED_MODEL


def _top_level(path: Path) -> dict[int, int]:
    """Field numbers with their wire types; nothing where it is no message, or a damaged one."""
    with open(path, "rb") as file:
        try:
            return dict(_fields(file, path.stat().st_size))
        except ValueError:
            return {}


def _fields(file: BinaryIO, size: int) -> Iterator[tuple[int, int]]:
    for _ in range(MOST_FIELDS):
        if file.tell() == size:
            return
        tag = _varint(file)
        kind = tag & 7
        length = {EIGHT: 8, FOUR: 4}.get(kind, 0)
        if kind in (VARINT, BYTES):
            number = _varint(file)
            length = number if kind == BYTES else 0
        elif kind not in (EIGHT, FOUR):
            raise ValueError
        if length > size - file.tell():
            raise ValueError
        file.seek(length, 1)
        yield tag >> 3, kind
    raise ValueError


def _varint(file: BinaryIO) -> int:
    number = 0
    for place in range(10):
        byte = file.read(1)
        if not byte:
            raise ValueError
        number |= (byte[0] & 0x7F) << 7 * place
        if byte[0] < 0x80:
            return number
    raise ValueError
