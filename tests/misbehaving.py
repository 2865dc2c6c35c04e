"""Models that pass every check and misbehave live, as bundles, and the light they do it in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from msgspec.structs import replace

from models import bundle
from models.manifest import Limits, as_text, parse

DARKEST, PICTURES = 1, 240
RAW = """\
schema = 1
name = "digits"
version = "{version}"
task = "{task}"
format = "onnx"
file = "m.onnx"
[input]
width = 8
height = 8
colour = "rgb"
layout = "NCHW"
dtype = "float32"
"""
SCORES = '[decoding]\nhead = "probabilities"\n'


def dawn(folder: Path) -> Path:
    """Pictures of one grey each, every one brighter than the one before: the N-th is N."""
    made = folder / "dawn"
    made.mkdir()
    for level in range(DARKEST, DARKEST + PICTURES):
        assert cv2.imwrite(str(made / f"{level}.png"), np.full((32, 32), level, np.uint8))
    return made


def camera(pictures: Path, fps: float = 30.0) -> str:
    """Every process of a runtime begins with the first."""
    return f"file://{pictures}?pace={fps:g}&loop=yes"


def misbehaving(
    folder: Path,
    version: str,
    build: Callable[[Path], object],
    task: str = "raw",
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> Path:
    """A bundle of `digits` with one of the files of tests.graphs.onnx_live."""
    made = folder / f"live-{version}"
    made.mkdir()
    text = RAW.format(version=version, task=task) + (SCORES if task == "classify" else "")
    manifest = parse(text, "manifest.toml")
    (made / "manifest.toml").write_text(as_text(replace(manifest, limits=limits)))
    build(made / "m.onnx")
    packed = folder / f"live-{version}.zip"
    bundle.pack(made, packed)
    return packed
