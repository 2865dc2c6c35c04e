"""Makes model folders of trained weights: both formats, manifest, labels, golden samples."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import msgspec
import numpy as np
import numpy.typing as npt
import onnx
from network import Layer, Network
from onnx_graph import float_model, quantised_model
from tflite_file import converted, write_int8

from models import manifest
from models.manifest import Decoding, Golden, Input, Manifest
from runtime.cameras import open_camera
from runtime.engines import EngineOptions, open_engine
from runtime.golden import answer
from runtime.locating import locate
from runtime.loop import Model
from runtime.opening import open_model
from runtime.score import Score
from runtime.tasks import Found
from runtime.tasks.detect import make_decode

LARGEST = 500_000  # bytes a model file may have
GOLDEN = 4
MOST_TRIED = 1000  # frames in which to find so many
SURE = 0.6  # golden answers keep away from the threshold: another board rounds differently
DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class Recipe:
    """What the weights do not say."""

    name: str
    version: str
    task: str
    decoding: Decoding
    golden_camera: str


@dataclass(frozen=True)
class Trained:
    """A network with its weights, and pictures (n, height, width) uint8 to calibrate on."""

    network: Network
    body: list[Layer]
    heads: list[Layer]
    calibration: npt.NDArray[np.uint8]


def publish(folder: Path, recipe: Recipe, trained: Trained) -> None:
    """Write FOLDER/tflite and FOLDER/onnx."""
    tflite, onnx_folder = folder / "tflite", folder / "onnx"
    for each in (tflite, onnx_folder):
        each.mkdir(parents=True, exist_ok=True)
    real = trained.calibration.astype(np.float32) / 255
    real[0, 0, :2] = 0, 1  # the input must hold every pixel value, also brighter than any scene
    converter = converted(trained.network, trained.body, trained.heads)
    write_int8(converter, tflite / f"{recipe.name}.tflite", real)
    describe(tflite, recipe, trained.network)
    with tempfile.TemporaryDirectory() as scratch:
        float_file = Path(scratch) / "float.onnx"
        onnx.save(float_model(trained.network, trained.body, trained.heads), float_file)
        quantised_model(float_file, onnx_folder / f"{recipe.name}.onnx", real)
    describe(onnx_folder, recipe, trained.network)
    for each in (tflite, onnx_folder):
        add_golden(each, recipe)


def publish_float(folder: Path, recipe: Recipe, trained: Trained) -> None:
    """Write the unquantised network as a model folder: only to measure what int8 costs."""
    folder.mkdir(parents=True, exist_ok=True)
    model = float_model(trained.network, trained.body, trained.heads)
    onnx.save(model, folder / f"{recipe.name}.onnx")
    describe(folder, recipe, trained.network)


def describe(folder: Path, recipe: Recipe, network: Network) -> None:
    """Write labels and manifest of the model file in this folder, as its tensors really are."""
    file = next(each for each in folder.iterdir() if each.suffix in (".tflite", ".onnx"))
    if file.stat().st_size > LARGEST:
        raise SystemExit(f"{file} has {file.stat().st_size} bytes, {LARGEST} are allowed")
    (folder / "labels.txt").write_text("\n".join(DIGITS) + "\n", encoding="utf-8")
    engine = open_engine("litert" if file.suffix == ".tflite" else "onnxruntime", file)
    takes = engine.takes
    tables = {
        "schema": 1,
        "name": recipe.name,
        "version": recipe.version,
        "task": recipe.task,
        "format": file.suffix[1:],
        "file": file.name,
        "labels": "labels.txt",
        "input": Input(
            width=network.width,
            height=network.height,
            colour="grey",
            layout="NHWC" if takes.shape[-1] == 1 else "NCHW",
            dtype="int8" if takes.dtype == "int8" else "float32",
            std=(255.0,),
            scale=takes.scale,
            zero_point=takes.zero_point,
        ),
        "outputs": [asdict(spec) for spec in engine.gives],
        "decoding": recipe.decoding,
    }
    engine.close()
    manifest.write(folder, msgspec.convert(msgspec.to_builtins(tables), Manifest))


def add_golden(folder: Path, recipe: Recipe) -> None:
    """Pictures of the held-out scene that this model reads right and surely, with its answers."""
    described = manifest.load(folder)
    samples: list[Golden] = []
    with locate(folder) as located, open_camera(recipe.golden_camera) as camera:
        model = _easily_tempted(open_model(located, EngineOptions(threads=1)))
        while len(samples) < GOLDEN:
            with camera.read(1) as frame:  # type: ignore[union-attr]
                pixels, seq = frame.pixels.copy(), frame.seq
            if seq == MOST_TRIED:
                raise SystemExit(f"{folder}: too weak a model for golden samples")
            number = len(samples) + 1
            golden = Golden(picture=f"golden-{number}.png", answer=f"golden-{number}.json")
            cv2.imwrite(str(folder / golden.picture), pixels)
            found = answer(model, folder / golden.picture)
            truth = sorted(box.index for box in camera.truth(seq))  # type: ignore[attr-defined]
            listed = found[:1] if recipe.task == "classify" else found
            right = sorted(each.index for each in listed) == truth
            if right and all(each.score > SURE for each in listed):
                (folder / golden.answer).write_bytes(
                    msgspec.json.format(msgspec.json.encode(listed)) + b"\n"
                )
                samples.append(golden)
        model.engine.close()
    manifest.write(folder, msgspec.structs.replace(described, golden=tuple(samples)))


def _easily_tempted(model: Model) -> Model:
    """The model at half its threshold: where it still sees nothing more, the picture is golden."""
    described = model.manifest
    if described.task != "detect":
        return model
    low = msgspec.structs.replace(described.decoding, min_score=described.decoding.min_score / 2)
    low_manifest = msgspec.structs.replace(described, decoding=low)
    return replace(model, decode=make_decode(low_manifest, model.engine.gives, model.labels))


def measure(folder: Path, uris: dict[str, int]) -> list[float]:
    """Accuracy (top-1 or mAP50, 0 to 1) of a model folder over frames of each camera."""
    with locate(folder) as located:
        model = open_model(located, EngineOptions(threads=1))
        values = [_measure(model, uri, frames) for uri, frames in uris.items()]
        model.engine.close()
    return values


def _measure(model: Model, uri: str, frames: int) -> float:
    score = Score()
    with open_camera(uri) as camera:
        for _ in range(frames):
            with camera.read(1) as frame:  # type: ignore[union-attr]
                view = model.prepare(frame, model.engine.input())
                seq = frame.seq
            found: Found = model.decode(model.engine.run(), view)
            score.add(found, camera.truth(seq))  # type: ignore[attr-defined]
    value = score.value()
    assert value is not None
    return value
