"""The model card: what a model reaches on the held-out digits, measured on the files themselves."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from pictures import blown_up
from publish import Recipe, Trained, measure, publish_float

from models import manifest
from models.manifest import Card, Measured
from runtime.cameras.scene import held_out
from runtime.engines import BY_FORMAT, EngineOptions, open_engine
from runtime.frames import Frame
from runtime.locating import locate
from runtime.opening import open_model

ROUNDS = 200
SIZE = "640x480"  # the manifest tells of these rows only
SUMMARIES = {
    "classify": "which handwritten digit is it?",
    "detect": "where are which handwritten digits?",
}
LICENCE = "Apache-2.0; trained on digits of UCI (CC BY 4.0)"
METRICS = {"classify": "top1", "detect": "map50"}


@dataclass(frozen=True)
class Figures:
    """One model file. accuracy: per row of the table, 0 to 1."""

    name: str
    folder: Path
    accuracy: Mapping[str, float]
    kilobytes: float
    raw_us: float


def figures(
    folder: Path, recipe: Recipe, trained: Trained, cameras: Mapping[str, int]
) -> list[Figures]:
    """The float network and both files, each by the runtime's own way."""
    with tempfile.TemporaryDirectory() as scratch:
        float_folder = Path(scratch) / "float"
        publish_float(float_folder, recipe, trained)
        places = {
            "float": float_folder,
            "int8 TFLite": folder / "tflite",
            "Q/DQ ONNX": folder / "onnx",
        }
        return [_figures(name, place, cameras) for name, place in places.items()]


def table(found: list[Figures]) -> str:
    """Markdown: a row per camera and one for their mean, a column per file."""
    rows = [["held-out", *(each.name for each in found)], ["---"] * (len(found) + 1)]
    for row in found[0].accuracy:
        rows.append([f"`{row}`", *(f"{each.accuracy[row]:.2%}" for each in found)])
    means = [float(np.mean(list(each.accuracy.values()))) for each in found]
    rows.append(["**mean**", *(f"**{mean:.2%}**" for mean in means)])
    rows.append(["size", *(f"{each.kilobytes:.0f} kB" for each in found)])
    rows.append(["one run, one x86-64 thread", *(f"{each.raw_us:.0f} us" for each in found)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def write_card(folder: Path, text: str, found: list[Figures], frames: int) -> None:
    """Fill the table into the card's text, print it and write it; the manifests have it in short.
    frames: per row."""
    print(table(found))
    for each in found[1:]:  # the first is the float network
        note_card(each.folder, each.accuracy, frames)
    (folder / "README.md").write_text(text.replace("TABLE", table(found)), encoding="utf-8")


def note_card(folder: Path, accuracy: Mapping[str, float], frames: int) -> None:
    """Write into the manifest what people should know. accuracy: by camera, over so many frames."""
    described = manifest.load(folder)
    measured = tuple(
        Measured(
            METRICS[described.task], round(value, 4), f"held-out digits, {row}", samples=frames
        )
        for row, value in accuracy.items()
        if SIZE in row
    )
    card = Card(SUMMARIES[described.task], LICENCE, measured)
    manifest.write(folder, msgspec.structs.replace(described, card=card))


def _figures(name: str, folder: Path, cameras: Mapping[str, int]) -> Figures:
    described = manifest.load(folder)
    accuracy = dict(zip(cameras, measure(folder, dict(cameras)), strict=True))
    if described.task == "classify":
        accuracy["bare samples, 8x8 blown up to 320x320"] = bare_accuracy(folder)
    file = folder / described.file
    return Figures(
        name, folder, accuracy, file.stat().st_size / 1000, _raw_us(file, described.format)
    )


def bare_accuracy(folder: Path) -> float:
    """Top-1 on the held-out samples themselves, filling the frame."""
    samples = held_out()
    right = 0
    with locate(folder) as located:
        model = open_model(located, EngineOptions(threads=1))
        for image, label in zip(samples.images, samples.labels, strict=True):
            memory, layout = blown_up(image, 320)
            with Frame(0, 0, layout, memory, lambda: None) as frame:
                view = model.prepare(frame, model.engine.input())
            best = model.decode(model.engine.run(), view)[0]
            right += best.index == int(label)  # type: ignore[union-attr]
        model.engine.close()
    return right / len(samples)


def _raw_us(file: Path, model_format: str) -> float:
    """Median time of one engine call."""
    engine = open_engine(BY_FORMAT[model_format], file, EngineOptions(threads=1))
    times = []
    for _ in range(ROUNDS):
        before = time.perf_counter_ns()
        engine.run()
        times.append(time.perf_counter_ns() - before)
    engine.close()
    return sorted(times)[ROUNDS // 2] / 1000
