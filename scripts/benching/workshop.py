"""What `vedette model convert` makes of float32 networks, by `vedette model compare`, as a table.

Needs the environment of the workshop: "$(scripts/setup workshop)/bin/python" scripts/bench workshop
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from scripts.benching.page import ROOT, machine

REFUSED = 2  # exit code
PRECISIONS = ("float32", "float16", "dynamic", "int8", "int8x16")
HEAD = """
## Smaller models

`vedette model convert` of float32 networks, `vedette model compare` of what came out: accuracy on
held-out samples (of networks with random weights: how often the best class is float32's), and a
frame in hand from picture to answer, with one thread. {machine}.
{samples} samples of `synthetic://`, calibrated on {calibration} others.

| network | format | precision | accuracy | size | of float32 | p50 | of float32 |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""
CALIBRATION = 200
ONE_DIGIT = "synthetic://640x480?digits=1"
SEVERAL = "synthetic://640x480?digits=6"


@dataclass(frozen=True)
class Network:
    """source: as convert takes it. samples: as compare does. more: options of convert."""

    name: str
    source: str
    to: str
    samples: str
    more: tuple[str, ...]


def section(samples: int) -> str:
    """Takes ten minutes or so."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        rows = [row for network in _networks(folder) for row in _rows(folder, network, samples)]
    head = HEAD.format(machine=machine(), samples=samples, calibration=CALIBRATION)
    return head + "".join(rows)


def _networks(folder: Path) -> Iterator[Network]:
    from tests.workshop.float_digits import float_digits

    for name, samples in (("digits", ONE_DIGIT), ("digits-detect", SEVERAL)):
        made = float_digits(name, folder / name)
        for to in ("tflite", "onnx"):
            source = str(made.model(to) / f"{name}.{to}")
            yield Network(name, source, to, f"{samples}&seed=0", ("--like", name))
    source = str(folder / "mobilenet_v2.keras")
    subprocess.run([sys.executable, "-c", MOBILENET, source], check=True, stderr=subprocess.DEVNULL)
    pictures = _noise(folder / "noise")
    for to in ("tflite", "onnx"):
        yield Network("MobileNetV2-224, random", source, to, pictures, ())


MOBILENET = """
import sys
import keras
keras.utils.set_random_seed(1)
network = keras.applications.MobileNetV2(weights=None)
network(keras.random.uniform((8, 224, 224, 3)), training=True)
network.save(sys.argv[1])
"""


def _noise(folder: Path) -> str:
    """Pictures of which nothing is known."""
    folder.mkdir()
    rng = np.random.default_rng(5)
    for number in range(50):
        small = rng.integers(0, 255, (9, 12, 3), np.uint8)
        picture = cv2.resize(small, (640, 480), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{number}.jpg"), picture)
    return str(folder)


def _rows(folder: Path, network: Network, samples: int) -> Iterator[str]:
    models = []
    for precision in PRECISIONS:
        out = folder / f"{network.name.partition(',')[0]}-{network.to}" / precision
        out.parent.mkdir(exist_ok=True)
        made = _vedette(
            "convert", network.source, "--to", network.to, "--precision", precision,
            "--calibrate", network.samples.replace("seed=0", "seed=77"), "--golden", "0",
            "--calibrate-count", str(CALIBRATION), "--out", str(out), *network.more,
        )  # fmt: skip
        if made is not None:
            models.append(f"{precision}={out}")
        else:  # it has said why
            yield f"| {network.name} | {network.to} | {precision} | refused | | | | |\n"
    told = _vedette(
        "compare", *models, "--data", network.samples, "--limit", str(samples), "--threads", "1",
        "--no-layers",
    )  # fmt: skip
    whole = told["models"][0]
    for each in told["models"]:
        yield _row(network, each, whole)


def _row(network: Network, told: Any, whole: Any) -> str:
    judged = told["accuracy"]
    right = f"agrees {told['agreement'][whole['name']]:.1%}"
    if judged is not None:
        metric = "map50" if judged["top1"] is None else "top1"
        right = f"{metric} {judged[metric]:.2%}"
    size, median_us = told["size_bytes"], told["latency"]["end_to_end_us"]["p50"]
    before_us = whole["latency"]["end_to_end_us"]["p50"]
    return (
        f"| {network.name} | {network.to} | {told['name']} | {right} | {size / 1000:,.0f} kB | "
        f"{size / whole['size_bytes']:.2f} | {median_us / 1000:,.2f} ms | "
        f"{median_us / before_us:.2f} |\n"
    )


def _vedette(*words: str) -> Any:
    """Its answer; None where it refused. Raises CalledProcessError where it failed."""
    told = subprocess.run(
        [sys.executable, "-m", "vedette", "model", *words, "--json"], stdout=subprocess.PIPE,
        cwd=ROOT,
    )  # fmt: skip
    if told.returncode not in (0, REFUSED):
        told.check_returncode()
    return json.loads(told.stdout) if told.returncode == 0 else None
