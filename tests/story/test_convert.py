"""`vedette model convert`, from an ONNX network to a bundle: no heavy framework is needed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from models import manifest
from tests import warm
from tests.device import until
from tests.graphs import onnx_tiny
from tests.laws.sources import ROOT

COLOURS = {"red": (40, 40, 220), "green": (40, 220, 40), "blue": (220, 40, 40)}  # as OpenCV has it


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that tells colours, its labels, and pictures in a folder per class."""
    folder = tmp_path_factory.mktemp("shop")
    onnx_tiny.colours(folder / "colours.onnx")
    (folder / "labels.txt").write_text("red\ngreen\nblue\n")
    rng = np.random.default_rng(7)
    for name, colour in COLOURS.items():
        (folder / "pictures" / name).mkdir(parents=True)
        for number in range(6):
            noise = rng.integers(-30, 30, (48, 40, 3))
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / "pictures" / name / f"{number}.png"), pixels)
    return folder


def convert(folder: Path, *words: str) -> dict[str, object]:
    told = warm.run(
        ["model", "convert", "colours.onnx", "--to", "onnx", "--labels", "labels.txt", *words,
         "--json"], cwd=folder,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    found: dict[str, object] = json.loads(told.stdout)
    return found


def refused(folder: Path, *words: str) -> str:
    told = warm.run(["model", "convert", *words], cwd=folder)
    assert told.returncode == 2 and told.stdout == "", told.stderr
    return told.stderr.splitlines()[-1]


INT8 = ("--precision", "int8", "--calibrate", "pictures", "--data", "pictures")


@pytest.fixture(scope="module")
def made(shop: Path) -> dict[str, object]:
    return convert(shop, *INT8, "--out", "small", "--name", "colours", "--version", "3")


def test_becomes_a_model_folder_that_is_as_right_as_before(
    shop: Path, made: dict[str, object]
) -> None:
    assert made["judged"] == {"metric": "top1", "samples": 18, "float32": 1.0, "made": 1.0}
    assert made["golden"]
    described = manifest.load(shop / "small")
    assert (described.name, described.version, described.task) == ("colours", "3", "classify")
    assert described.card.accuracy[0].value == 1.0
    assert {path.name for path in (shop / "small").iterdir()} == set(described.files)


def test_its_manifest_says_how_it_was_made_and_names_no_place(
    shop: Path, made: dict[str, object]
) -> None:
    table = manifest.load(shop / "small").made
    assert table is not None
    assert {each.role for each in table.origins} == {"source", "labels", "samples"}
    assert table.options["precision"] == "int8" and table.options["seed"] == "0"
    assert "onnxruntime" in table.tools and table.steps
    assert str(shop) not in (shop / "small" / "manifest.toml").read_text()


def test_the_same_again_is_the_same_to_the_last_byte(shop: Path, made: dict[str, object]) -> None:
    again = convert(shop, *INT8, "--out", "again", "--name", "colours", "--version", "3")
    assert again["digest"] == made["digest"]


def test_fleet_pack_takes_it_as_it_is(shop: Path, made: dict[str, object]) -> None:
    told = warm.run(["fleet", "pack", "small", "--json"], cwd=shop)
    assert told.returncode == 0, told.stderr
    packed = json.loads(told.stdout)
    assert packed["digest"] == made["digest"] and packed["guessed"] == packed["filled"] == []


@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic"])
def test_other_precisions_are_as_right(shop: Path, precision: str) -> None:
    done = convert(shop, "--precision", precision, "--data", "pictures", "--out", precision)
    assert done["judged"]["made"] == 1.0  # type: ignore[index]


def test_a_model_like_it_tells_what_tensors_do_not(shop: Path, made: dict[str, object]) -> None:
    convert(shop, "--like", "small", "--out", "like", "--version", "4")
    described = manifest.load(shop / "like")
    assert (described.name, described.version) == ("colours", "4")
    assert described.card.accuracy == ()  # those were another file's


def test_what_is_there_stays_unless_it_is_to_be_replaced(
    shop: Path, made: dict[str, object]
) -> None:
    before = (shop / "small" / "manifest.toml").read_bytes()
    said = refused(shop, "colours.onnx", "--to", "onnx", "--out", "small")
    assert "--replace" in said
    assert (shop / "small" / "manifest.toml").read_bytes() == before
    said = refused(shop, "colours.onnx", "--to", "onnx", "--out", "pictures", "--replace")
    assert "is no model folder" in said


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--precision", "int8"), "--calibrate"),
        (("--precision", "int8", "--calibrate", "pictures", "--keep-within", "0.01"), "--data"),
        (("--data", "pictures", "--keep-within", "0.01"), "--precision int8"),
        ((*INT8[:4], "--data", "pictures/red", "--keep-within", "0.01"), "pictures/red"),
        (("--labels", "none.txt"), "none.txt"),
        (("--preprocessing", "none.json"), "none.json"),
        (("--calibrate", "nowhere", "--precision", "int8"), "nowhere"),
        (("--like", "nothing"), "nothing"),
        (("--task", "detect", "--head", "yolov8"), "yolov8"),
    ],
)
def test_says_what_is_missing(shop: Path, words: tuple[str, ...], hint: str) -> None:
    said = refused(shop, "colours.onnx", "--to", "onnx", "--out", "never", *words)
    assert hint in said
    assert not (shop / "never").exists()


def test_wrong_labels_are_called_as_the_user_calls_them(shop: Path) -> None:
    (shop / "two.txt").write_text("red\ngreen\n")
    said = refused(shop, "colours.onnx", "--to", "onnx", "--out", "never", "--labels", "two.txt")
    assert "two.txt has 2 labels, the model 3 classes" in said
    assert "vedette-convert" not in said and str(shop) not in said


def test_few_samples_are_a_guess(shop: Path, made: dict[str, object]) -> None:
    assert any("18 samples" in note for note in made["notes"])  # type: ignore[attr-defined]


def test_nothing_is_reported_to_anybody(shop: Path, tmp_path: Path) -> None:
    """ONNX Runtime's wheels would keep a device's id in the user's cache, and send it."""
    words = ["model", "convert", "colours.onnx", "--to", "onnx", *INT8, "--out", "private"]
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment = {name: value for name, value in os.environ.items() if name[:4] != "ORT_"}
    subprocess.run(
        [sys.executable, "-m", "vedette", *words], cwd=shop, check=True, capture_output=True,
        env=environment | home | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert [path for path in tmp_path.rglob("*") if "icrosoft" in path.name] == []


def test_says_what_is_no_model(shop: Path) -> None:
    assert "labels.txt" in refused(shop, "labels.txt", "--to", "onnx", "--out", "never")
    assert "nothing.onnx" in refused(shop, "nothing.onnx", "--to", "onnx", "--out", "never")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_leaves_nothing_half_made_when_it_is_ended(shop: Path, number: signal.Signals) -> None:
    scratch = shop / f"scratch-{number}"
    scratch.mkdir()
    words = ["model", "convert", "colours.onnx", "--to", "onnx", *INT8, "--out", "ended"]
    with subprocess.Popen(
        [sys.executable, "-m", "vedette", *words], cwd=shop, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"TMPDIR": str(scratch), "PYTHONPATH": str(ROOT)},
    ) as process:  # fmt: skip
        assert process.stderr is not None
        while "quantizing" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(number)
        rest = process.stderr.read()
    assert "Traceback" not in rest
    until(lambda: not steps_in(scratch), 20)
    assert not (shop / "ended").exists()
    assert number == signal.SIGKILL or list(scratch.iterdir()) == []


def steps_in(scratch: Path) -> list[list[str]]:
    """Processes of steps that answer into this folder."""
    lines = [each.info["cmdline"] or [] for each in psutil.process_iter(["cmdline"])]
    return [line for line in lines if "workshop.step" in line and str(scratch) in line[-1]]
