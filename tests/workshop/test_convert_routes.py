"""From every form of a trained model to an int8 bundle of either format that `fleet pack` takes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from models import manifest
from tests.laws.sources import ROOT

SOURCES = {
    "net.keras": (),
    "net.h5": (),
    "saved": (),
    "net.tflite": (),
    "net.pt2": (),
    "net.ts": ("--input-shape", "1,3,32,32"),
    "networks.py:MobileNet?weights=net.pt": ("--input-shape", "1,3,32,32"),
    "net.onnx": (),
}
WITHIN = 1e-4


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small network of Keras and one of PyTorch in all their forms, and noisy pictures."""
    folder = tmp_path_factory.mktemp("shop")
    for frameworks in ("keras", "torch"):  # in one process they crash
        subprocess.run(
            [sys.executable, "-m", "tests.workshop.sources", frameworks, str(folder)],
            check=True, cwd=ROOT,
        )  # fmt: skip
    rng = np.random.default_rng(3)
    (folder / "pictures").mkdir()
    for number in range(12):
        small = rng.integers(0, 255, (6, 6, 3), np.uint8)
        picture = cv2.resize(small, (64, 64), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / "pictures" / f"{number}.png"), picture)
    return folder


def vedette(folder: Path, *words: str) -> dict[str, object]:
    told = subprocess.run(
        [sys.executable, "-m", "vedette", *words, "--json"], cwd=folder, capture_output=True,
        text=True, timeout=300, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    found: dict[str, object] = json.loads(told.stdout)
    return found


@pytest.mark.parametrize("to", ["tflite", "onnx"])
@pytest.mark.parametrize("source", SOURCES)
def test_a_bundle_comes_of_it(shop: Path, source: str, to: str) -> None:
    out = f"{list(SOURCES).index(source)}-{to}"
    made = vedette(
        shop, "model", "convert", source, "--to", to, "--out", out, *SOURCES[source],
        "--precision", "int8", "--calibrate", "pictures",
    )  # fmt: skip
    assert made["difference"] <= WITHIN  # type: ignore[operator]
    table = manifest.load(shop / out).made
    assert table is not None and table.origins[0].role == "source"
    assert any("int8" in step for step in table.steps)
    packed = vedette(shop, "fleet", "pack", out, "--output", f"{out}.zip")
    assert packed["digest"] == made["digest"]
    assert str(ROOT) not in (shop / out / "manifest.toml").read_text()
