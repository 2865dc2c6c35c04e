"""What a manifest may not say: values that are fine alone and wrong together."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from models.detection import detection
from models.row import contradictions_of as of_row
from models.task_keys import task_keys
from wire.toml_lines import KeyPath

if TYPE_CHECKING:
    from models.manifest import Input, Manifest, Output
    from models.row import Row

HEADS = {
    "classify": ("probabilities", "logits"),
    "regress": ("values",),
    "detect": ("ssd", "ssd-raw", "fcos", "yolov5", "yolov8", "yolox", "yolov10"),
    "segment": ("probabilities", "logits", "classes", "yolov8"),
    "pose": ("movenet", "yolov8", "heatmaps"),
    "embed": ("vector", "unit-vector"),
    "raw": ("none",),
}
OUTPUT_COUNTS = {
    "probabilities": 1, "logits": 1, "ssd": 4, "ssd-raw": 2, "yolov5": 1, "yolov8": 1, "yolox": 1,
    "yolov10": 1, "classes": 1, "movenet": 1, "heatmaps": 1, "vector": 1, "unit-vector": 1,
    "values": 1,
}  # fmt: skip
PICTURES = (".png", ".jpg", ".jpeg", ".bmp")
ROWS = (".csv",)

Contradiction = tuple[KeyPath, str]  # which key to change, and why


def contradictions(manifest: Manifest) -> Iterator[Contradiction]:
    """Everything that is wrong in a manifest whose every value is possible by itself."""
    yield from _numbers(manifest)
    yield from _takes(manifest)
    yield from of_row(manifest)
    yield from _outputs(manifest)
    yield from _decoding(manifest)
    yield from detection(manifest)
    yield from task_keys(manifest)
    yield from _plans(manifest)
    yield from _endings(manifest)
    yield from _names(manifest)


def _numbers(manifest: Manifest) -> Iterator[Contradiction]:
    """TOML has inf and nan, and no use of ours has."""
    eats, table = manifest.takes, "input" if manifest.row is None else "row"
    numbers: list[tuple[KeyPath, float | None]] = [
        *(((table, "mean", i), value) for i, value in enumerate(eats.mean)),
        *(((table, "std", i), value) for i, value in enumerate(eats.std)),
        ((table, "scale"), eats.scale),
        *((("outputs", i, "scale"), one.scale) for i, one in enumerate(manifest.outputs)),
        (("limits", "p95_ms"), manifest.limits.p95_ms),
        (("limits", "memory_mb"), manifest.limits.memory_mb),
    ]
    for path, value in numbers:
        if value is not None and not math.isfinite(value):
            yield path, f"{value} is not a number that can be used here"


def _takes(manifest: Manifest) -> Iterator[Contradiction]:
    has_picture = manifest.input.width > 0
    if manifest.row is not None:
        if has_picture:
            yield ("row",), "a model takes a picture, [input], or a row, [row]: remove one of them"
        yield from _quantisation(("row",), manifest.row)
    elif has_picture:
        yield from _input(manifest.input)
    else:
        yield ("input",), "missing: a table for the picture, or [row] for a row of numbers"


def _input(eats: Input) -> Iterator[Contradiction]:
    for key, values in (("mean", eats.mean), ("std", eats.std)):
        if len(values) not in (1, eats.channels):
            allowed = "1" if eats.channels == 1 else f"1 or {eats.channels}"
            yield (
                ("input", key),
                f"{len(values)} values; {eats.colour} pictures take {allowed}",
            )
    side = max(eats.width, eats.height)
    if eats.resize is not None and eats.fit != "crop":
        yield (
            ("input", "resize"),
            f'is of fit = "crop", and fit is "{eats.fit}": remove one of them',
        )
    elif eats.resize is not None and not side <= eats.resize <= 2 * side:
        yield ("input", "resize"), f"must be from {side} to {2 * side}, of which {side} are taken"
    yield from _quantisation(("input",), eats)


def _quantisation(path: KeyPath, tensor: Input | Output | Row) -> Iterator[Contradiction]:
    """real = (stored - zero_point) * scale, for integers only and with both values."""
    if (tensor.scale is None) != (tensor.zero_point is None):
        given, missing = (
            ("zero_point", "scale") if tensor.scale is None else ("scale", "zero_point")
        )
        yield (*path, given), f"needs {missing} beside it: give both, or none"
    elif tensor.scale is not None and tensor.dtype.startswith(("float", "bool")):
        yield (
            (*path, "scale"),
            f"a {tensor.dtype} tensor is not quantised: remove scale and zero_point",
        )
    elif tensor.zero_point is not None:
        bits = int(tensor.dtype.lstrip("uint"))
        least = 0 if tensor.dtype.startswith("u") else -(2 ** (bits - 1))
        most = least + 2**bits - 1
        if not least <= tensor.zero_point <= most:
            yield (
                (*path, "zero_point"),
                f"out of range: {tensor.dtype} holds {least} to {most}",
            )


def _outputs(manifest: Manifest) -> Iterator[Contradiction]:
    for index, output in enumerate(manifest.outputs):
        yield from _quantisation(("outputs", index), output)
    count = OUTPUT_COUNTS.get(manifest.decoding.head)
    if (manifest.task, manifest.decoding.head) == ("segment", "yolov8"):
        count = 2  # prototypes of masks, too
    if manifest.outputs and count not in (None, len(manifest.outputs)):
        yield (
            ("outputs",),
            f"{len(manifest.outputs)} outputs, but head {manifest.decoding.head!r} reads {count}",
        )


def _decoding(manifest: Manifest) -> Iterator[Contradiction]:
    heads = HEADS[manifest.task]
    head = manifest.decoding.head
    if head not in heads:
        yield (
            ("decoding", "head"),
            f"{head!r} does not fit task {manifest.task!r}: use {' or '.join(heads)}",
        )


def _plans(manifest: Manifest) -> Iterator[Contradiction]:
    if manifest.plans and manifest.format != "onnx":
        yield ("plans",), f"TensorRT plans are built of ONNX models, not of {manifest.format}"
    for index, plan in enumerate(manifest.plans):
        for before in range(index):
            if manifest.plans[before].key == plan.key:
                yield ("plans", index), f"is for the same device as plans[{before}]: remove one"


def _endings(manifest: Manifest) -> Iterator[Contradiction]:
    wanted: list[tuple[KeyPath, str, tuple[str, ...]]] = [
        (("file",), manifest.file, (f".{manifest.format}",))
    ]
    if manifest.labels is not None:
        wanted.append((("labels",), manifest.labels, (".txt",)))
    if manifest.decoding.anchors_file is not None:
        wanted.append((("decoding", "anchors_file"), manifest.decoding.anchors_file, (".csv",)))
    for index, golden in enumerate(manifest.golden):
        samples = PICTURES if manifest.row is None else ROWS
        wanted.append((("golden", index, "picture"), golden.picture, samples))
        wanted.append((("golden", index, "answer"), golden.answer, (".json",)))
    for index, plan in enumerate(manifest.plans):
        wanted.append((("plans", index, "file"), plan.file, (".plan",)))
    for path, name, endings in wanted:
        if not name.lower().endswith(endings):
            yield path, f"{name!r} should end with {' or '.join(endings)}"


def _names(manifest: Manifest) -> Iterator[Contradiction]:
    """No two files may meet in one name, not even on a disk that ignores case."""
    named: list[tuple[KeyPath, str]] = [(("file",), manifest.file)]
    if manifest.labels is not None:
        named.append((("labels",), manifest.labels))
    if manifest.decoding.anchors_file is not None:
        named.append((("decoding", "anchors_file"), manifest.decoding.anchors_file))
    for index, golden in enumerate(manifest.golden):
        named.append((("golden", index, "picture"), golden.picture))
        named.append((("golden", index, "answer"), golden.answer))
    for index, plan in enumerate(manifest.plans):
        named.append((("plans", index, "file"), plan.file))
    seen = {"manifest.toml"}
    for path, name in named:
        if name.lower() in seen:
            yield path, f"{name!r} is named twice: every file needs a name of its own"
        seen.add(name.lower())
