"""Models as the fleet deploys them: bundles of the digits model that differ, and a real store."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from models import bundle
from models.pipelines import Trial
from models.store import Store
from runtime.locating import ZOO
from tests.graphs import tflite

PIPELINE = "door"
RAW = """\
schema = 1
name = "{name}"
version = "{version}"
task = "raw"
format = "tflite"
file = "m.tflite"
[input]
width = 8
height = 8
colour = "rgb"
layout = "NHWC"
dtype = "uint8"
"""


def digits(folder: Path, version: str) -> Path:
    """A bundle of the zoo's digits under another version."""
    model = _digits_folder(folder, version)
    return _packed(model, folder / f"digits-{version}.zip")


def wrong(folder: Path, version: str) -> Path:
    """One whose golden answers are those of other pictures."""
    model = _digits_folder(folder, version)
    first, second = model / "golden-1.json", model / "golden-2.json"
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)
    return _packed(model, folder / f"digits-{version}.zip")


def hostile(folder: Path, version: str, build: Callable[[Path], object]) -> Path:
    """One of the models of tests.graphs that do harm."""
    model = folder / f"hostile-{version}"
    model.mkdir(parents=True)
    (model / "manifest.toml").write_text(RAW.format(name="hostile", version=version))
    build(model / "m.tflite")
    return _packed(model, folder / f"hostile-{version}.zip")


def crashing(folder: Path, version: str) -> Path:
    """One that ends the process which runs it."""
    return hostile(folder, version, tflite.crash_on_run)


def trial(digest: str) -> Trial:
    return Trial(digest, length_s=3600, first_result_s=60)


def make_good(store: Store, path: Path) -> str:
    """Install a bundle as the good model of the pipeline."""
    digest = store.install(path)
    store.activate(PIPELINE, trial(digest))
    store.mark_good(PIPELINE, digest)
    return digest


def put_on_trial(store: Store, path: Path) -> str:
    """Install a bundle as the active model of the pipeline, on trial."""
    digest = store.install(path)
    store.activate(PIPELINE, trial(digest))
    return digest


def damage(store: Store, digest: str) -> None:
    """Change a byte of a model, as a dying disk does."""
    (path,) = store.folder(digest).glob("*.tflite")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _digits_folder(folder: Path, version: str) -> Path:
    model = folder / f"digits-{version}"
    shutil.copytree(ZOO / "digits" / "tflite", model)
    described = model / "manifest.toml"
    described.write_text(described.read_text().replace('version = "1"', f'version = "{version}"'))
    return model


def _packed(model: Path, target: Path) -> Path:
    bundle.pack(model, target)
    return target
