"""What an .onnx file wants besides computing: other files to be read, native code to be run.

Its constants may lie outside of it: ONNX Runtime before 1.31 reads any file that it may read, so
that a hostile model could carry the secrets of its device into its answers. An operator EPContext
holds what a provider has compiled, as a TensorRT plan. Follows onnx.proto3 of ONNX IR version 14,
as far as nodes and tensors can be, in the wire format of protocol buffers.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from wire.troubles import Refused

# message -> field number -> message of that field
GRAPH, NODE, ATTRIBUTE, TENSOR, SPARSE, FUNCTION, TRAINING, ENTRY = range(1, 9)
MODEL = 0
WAYS = {
    MODEL: {7: GRAPH, 20: TRAINING, 25: FUNCTION},
    TRAINING: {1: GRAPH, 2: GRAPH},
    FUNCTION: {7: NODE, 11: ATTRIBUTE},
    GRAPH: {1: NODE, 5: TENSOR, 15: SPARSE},
    NODE: {5: ATTRIBUTE},
    ATTRIBUTE: {5: TENSOR, 6: GRAPH, 10: TENSOR, 11: GRAPH, 22: SPARSE, 23: SPARSE},
    SPARSE: {1: TENSOR, 2: TENSOR},
    TENSOR: {13: ENTRY},
    ENTRY: {},
}
KEY, VALUE = 1, 2
OPERATOR = 4  # of a node: what it computes
COMPILED = b"EPContext"
SIZES = {1: 8, 5: 4}  # bytes of the wire types of fixed size
VARINT, BYTES = 0, 2
DEEPEST = 200  # messages in messages; protocol buffers allow 100
WITH_CODE = (
    "was compiled for one accelerator (EPContext), which is native code: give the model that it "
    "was compiled of"
)
DAMAGED = "it is no ONNX model, or a damaged one: copy or export it again"


class _WithCode(Exception):
    """A node holds what was compiled."""


def check_outside(model_file: Path) -> tuple[Path, ...]:
    """The files in which constants of it lie, sorted. Raises Refused if one is not in the model's
    own folder, if it holds compiled code, or if that cannot be told: what is no protocol buffer for
    us is no model for anybody."""
    folder = model_file.parent.resolve()
    try:
        files = set()
        for place in _named(model_file):
            files.add((folder / place).resolve())
            if not (folder / place).resolve().is_relative_to(folder):
                raise Refused(
                    f"{model_file}: wants to read {place!r}, which is not in its own folder: "
                    "export it with its weights inside"
                )
    except _WithCode:
        raise Refused(f"{model_file}: {WITH_CODE}") from None
    except (ValueError, OSError):
        raise Refused(f"{model_file}: {DAMAGED}") from None
    return tuple(sorted(files))


def _named(model_file: Path) -> list[str]:
    with (
        open(model_file, "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return list(_places(content, MODEL, 0, len(content), 0))


def _places(content: mmap.mmap, kind: int, start: int, end: int, depth: int) -> Iterator[str]:
    """The locations that tensors below this message name."""
    if depth > DEEPEST:
        raise ValueError
    words: dict[int, bytes] = {}
    for field, first, last in _fields(content, start, end):
        if kind == ENTRY and field in (KEY, VALUE):
            words[field] = content[first:last]
        elif kind == NODE and field == OPERATOR and content[first:last] == COMPILED:
            raise _WithCode
        elif field in WAYS[kind]:
            yield from _places(content, WAYS[kind][field], first, last, depth + 1)
    if words.get(KEY) == b"location":
        yield words.get(VALUE, b"").decode()


def _fields(content: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(number, first byte, byte after the last) of each field that holds bytes."""
    while start < end:
        number, start = _varint(content, start, end)
        tag = number & 0xFFFFFFFF  # what is above is dropped by all who read this
        if tag & 7 == VARINT:
            _, start = _varint(content, start, end)
        elif tag & 7 == BYTES:
            length, start = _varint(content, start, end)
            if length > end - start:
                raise ValueError
            yield tag >> 3, start, start + length
            start += length
        else:
            start += SIZES.get(tag & 7, end)  # the rest are groups, which ONNX has never had
    if start != end:
        raise ValueError


def _varint(content: mmap.mmap, start: int, end: int) -> tuple[int, int]:
    number = 0
    for place in range(start, min(end, start + 10)):
        number |= (content[place] & 0x7F) << 7 * (place - start)
        if content[place] < 0x80:
            return number, place + 1
    raise ValueError
