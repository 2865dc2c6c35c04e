"""A manifest for a bare model file, from its tensors alone. What was guessed is said."""

from __future__ import annotations

import re
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from msgspec.structs import replace

from models.consistency import contradictions
from models.manifest import NO_PICTURE, Decoding, Input, Manifest, Output
from models.row import Row
from runtime.engines import Engine, TensorSpec
from runtime.inferring_boxes import Bare, guess_boxes, unknown_form
from runtime.inferring_numbers import guess_row_task, guess_scores, is_row, row_of
from runtime.inferring_shapes import guess_shapes
from runtime.labels import labels_in
from wire.complaints import spelled
from wire.troubles import Refused

Task = Literal["classify", "regress", "detect", "segment", "pose", "embed", "raw"]

LARGEST_LABELS = 1_000_000  # bytes
LARGEST_SIDE = 8192  # as in a manifest

# How training pipelines scale pixels: (mean, std), most usual first.
SCALINGS = ((0.0, 255.0), (127.5, 127.5), (0.0, 1.0), (128.0, 1.0))


def infer_manifest(model_file: Path, engine: Engine) -> tuple[Manifest, tuple[str, ...]]:
    """A manifest that fits an opened model, and one line for each thing that was guessed."""
    labels = sibling_labels(model_file)
    wanted, row = NO_PICTURE, None
    task: Task
    if is_row(engine.takes):
        row = row_of(model_file, engine.takes)
        task, decoding, why = guess_row_task(engine)
    else:
        wanted = _input(model_file, engine.takes)
        task, decoding, why = _decoding(engine, model_file, wanted)
        wanted = _as_trained(wanted, decoding)
    try:
        outputs = declared_outputs(engine)
    except msgspec.ValidationError as error:
        raise Refused(f"{model_file}: has an output that no manifest can have: {error}") from None
    inferred = Manifest(
        schema=1,
        name=re.sub(r"[^A-Za-z0-9_-]+", "-", model_file.stem).strip("-")[:64] or "model",
        version="0",
        task=task,
        format="onnx" if model_file.suffix.lower() == ".onnx" else "tflite",
        file=model_file.name,
        input=wanted,
        row=row,
        outputs=outputs,
        decoding=decoding,
        labels=labels.name if labels else None,
    )
    for path, what in contradictions(inferred):
        raise Refused(f"{model_file}: {spelled(path)}: {what}: export the model again")
    named = (f"labels from {labels.name}",) if labels else ()
    assumed = _assumed(wanted) if row is None else _assumed_of_row(row)
    return inferred, (*assumed, why, *named)


def declared_outputs(engine: Engine) -> tuple[Output, ...]:
    """The outputs of an opened model, as a manifest declares them."""
    return msgspec.convert([asdict(spec) for spec in engine.gives], tuple[Output, ...])


def sibling_labels(model_file: Path) -> Path | None:
    """`labels.txt` or `NAME.txt` beside a model file, if one is there."""
    for candidate in (model_file.with_name("labels.txt"), model_file.with_suffix(".txt")):
        if candidate.is_file():
            return candidate
    return None


def _label_count(model_file: Path) -> int:
    """How many labels lie beside a model file or in it; 0 if none can be read."""
    beside = sibling_labels(model_file)
    if beside is None:
        return len(packed_labels(model_file))
    try:
        with open(beside, "rb") as file:
            return len(labels_in(file.read(LARGEST_LABELS).decode("utf-8-sig", "replace")))
    except OSError:
        return 0  # who reads the labels themselves says what is wrong with them


def packed_labels(model_file: Path) -> tuple[str, ...]:
    """The labels that TFLite metadata carries: a zip archive appended to the file."""
    try:
        with zipfile.ZipFile(model_file) as archive:
            for entry in archive.infolist():
                if entry.filename.endswith(".txt") and entry.file_size < LARGEST_LABELS:
                    text = archive.read(entry).decode("utf-8", "replace")
                    return labels_in(text)
    except Exception:  # no archive, or a damaged one: a dozen kinds of errors come out of zipfile
        return ()
    return ()


def _input(model_file: Path, takes: TensorSpec) -> Input:
    shape = takes.shape
    if len(shape) == 4 and shape[3] in (1, 3):
        layout, height, width, channels = "NHWC", shape[1], shape[2], shape[3]
    elif len(shape) == 4 and shape[1] in (1, 3):
        layout, channels, height, width = "NCHW", shape[1], shape[2], shape[3]
    else:
        raise Refused(
            f"{model_file}: input {takes.name!r} has shape {shape}; a picture is "
            "(1, height, width, 1 or 3) or (1, 1 or 3, height, width), a row of numbers (1, n)"
        )
    if not (1 <= width <= LARGEST_SIDE and 1 <= height <= LARGEST_SIDE):
        raise Refused(
            f"{model_file}: takes pictures of {width}x{height}; 1 to {LARGEST_SIDE} can be used"
        )
    if shape[0] != 1:
        raise Refused(f"{model_file}: takes {shape[0]} pictures at once; export it with batch 1")
    mean, std = _scaling(takes)
    return Input(
        width=width,
        height=height,
        colour="grey" if channels == 1 else "rgb",
        layout="NHWC" if layout == "NHWC" else "NCHW",
        dtype="int8" if takes.dtype == "int8" else "uint8" if takes.dtype == "uint8" else "float32",
        mean=(mean,),
        std=(std,),
        scale=takes.scale,
        zero_point=takes.zero_point,
    )


def _as_trained(eats: Input, decoding: Decoding) -> Input:
    """What published models of a head take, where the tensors leave it open.

    Sources: Ultralytics' LetterBox and YOLOX, yolox/data/data_augment.py, preproc (grey 114 beside
    the picture; YOLOX takes pixels as they are, blue first); TensorFlow's Object Detection API,
    ssd_mobilenet_v2_feature_extractor.py, preprocess (-1 to 1).
    """
    if decoding.head.startswith("yolo"):
        eats = replace(eats, padding=114)
    if eats.dtype != "float32" or eats.colour == "grey":
        return eats
    if decoding.head == "yolox":
        return replace(eats, colour="bgr", mean=(0.0,), std=(1.0,))
    if decoding.head == "ssd" or decoding.anchors is not None:
        return replace(eats, mean=(127.5,), std=(127.5,))
    return eats


def _assumed(eats: Input) -> tuple[str, str]:
    colours = {"rgb": "red, green, blue", "bgr": "blue, green, red"}
    order = f"colours in the order {colours[eats.colour]}" if eats.colour in colours else "grey"
    beside = f" on {eats.padding}" if eats.padding else ""
    return (
        f"input is {eats.width}x{eats.height}, {eats.layout}, {eats.dtype}",
        f"assumed: {order}; pixels become (pixel - {eats.mean[0]:g}) / {eats.std[0]:g}; "
        f"letterboxed{beside}",
    )


def _assumed_of_row(row: Row) -> tuple[str, str]:
    return (
        f"input is a row of {row.count} numbers, {row.dtype}",
        "assumed: its numbers are taken as they come, without names and unscaled",
    )


def _scaling(takes: TensorSpec) -> tuple[float, float]:
    """The usual scaling whose 0 to 255 fills the quantised range best; for floats, 0 to 1."""
    if takes.scale is None:
        return (0.0, 255.0) if takes.dtype == "float32" else (0.0, 1.0)
    limits = np.iinfo(takes.dtype)
    low = (limits.min - (takes.zero_point or 0)) * takes.scale
    high = (limits.max - (takes.zero_point or 0)) * takes.scale

    def misfit(scaling: tuple[float, float]) -> float:
        mean, std = scaling
        return abs((0 - mean) / std - low) + abs((255 - mean) / std - high)

    return min(SCALINGS, key=misfit)


def _decoding(engine: Engine, model_file: Path, eats: Input) -> tuple[Task, Decoding, str]:
    shapes = [spec.shape for spec in engine.gives]
    if len(shapes) == 4 and sum(len(s) == 3 and s[2] == 4 for s in shapes) == 1:
        return "detect", Decoding(head="ssd", min_score=0.4), "four outputs: SSD boxes"
    ranks = [len(shape) for shape in shapes]
    if ranks == [4, 4] and shapes[0][:3] == shapes[1][:3] and 4 in (shapes[0][3], shapes[1][3]):
        return "detect", Decoding(head="fcos", min_score=0.4), "scores and boxes on one grid"
    is_tflite = model_file.suffix.lower() == ".tflite"
    bare = Bare(engine, eats, _label_count(model_file), is_tflite)
    other = guess_shapes(bare)
    if other is not None:
        return other
    if len(shapes) == 1 and shapes[0] and np.prod(shapes[0]) == max(shapes[0]) >= 2:
        return "classify", *guess_scores(engine)
    boxes = guess_boxes(bare)
    if boxes is not None:
        return "detect", *boxes
    return "raw", Decoding(), f"{unknown_form(shapes)}: their statistics are shown"
