"""`scripts/slow-model`: a slower file, with the same tensors and bit for bit the same answers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fleet.pack.runtime import check
from models import manifest
from runtime.engines import Engine, EngineOptions, open_engine
from runtime.locating import ZOO
from tests.graphs import tflite
from tests.slowing import SCRIPT, slow_model
from tests.story.shell import Said

ONE = EngineOptions(threads=1)
DIGITS, DETECTOR = ZOO / "digits" / "tflite", ZOO / "digits-detect" / "tflite"


def called(*words: object) -> Said:
    command = [sys.executable, str(SCRIPT), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100,
                          stdin=subprocess.DEVNULL)  # fmt: skip
    return Said(done.returncode, done.stdout, done.stderr)


def fill(engine: Engine, numbers: np.random.Generator) -> None:
    view = engine.input()
    if view.dtype == np.float32:
        view[...] = numbers.uniform(-3, 3, view.shape)
    else:
        low, high = np.iinfo(view.dtype).min, np.iinfo(view.dtype).max
        view[...] = numbers.integers(low, high + 1, view.shape)


def assert_same_answers(before: Path, after: Path) -> None:
    """On noise, and on the darkest and brightest picture: every bit of every output."""
    assert before.read_bytes() != after.read_bytes()
    one, other = open_engine("litert", before, ONE), open_engine("litert", after, ONE)
    try:
        assert (one.takes, one.gives) == (other.takes, other.gives)
        numbers = np.random.default_rng(1)
        for _ in range(20):
            fill(one, numbers)
            other.input()[...] = one.input()
            for left, right in zip(one.run(), other.run(), strict=True):
                assert (left == right).all()
    finally:
        one.close()
        other.close()


@pytest.mark.parametrize("model", [DIGITS, DETECTOR], ids=lambda path: path.parent.name)
def test_golden_samples_of_the_slow_copy_are_right(tmp_path: Path, model: Path) -> None:
    said = called(model, tmp_path / "slow", "--times", 20, "--version", "4", "--json")
    assert (said.code, said.err) == (0, ""), said.err
    told = json.loads(said.out)
    assert told["convolutions"] >= 1 and told["after_us"] > told["before_us"]
    made, before = manifest.load(tmp_path / "slow"), manifest.load(model)
    assert (made.version, made.outputs, made.golden) == ("4", before.outputs, before.golden)
    report = check(tmp_path / "slow")
    assert report.golden == 4
    assert_same_answers(model / before.file, tmp_path / "slow" / made.file)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float32"])
def test_any_picture_model_can_be_made_slower(tmp_path: Path, dtype: str) -> None:
    before = tflite.colours(tmp_path / "c.tflite", dtype=dtype)
    after = tmp_path / "slow.tflite"
    after.write_bytes(slow_model().slowed(before.read_bytes(), 3))
    assert_same_answers(before, after)


def test_the_same_again_gives_the_same_bytes() -> None:
    content = (DIGITS / "digits.tflite").read_bytes()
    script = slow_model()
    assert script.slowed(content, 5) == script.slowed(content, 5) != script.slowed(content, 6)


def test_what_cannot_be_made_slower_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for words, why in (
        ([ZOO / "digits" / "onnx", tmp_path / "o"], "is onnx: only tflite models"),
        ([DIGITS, tmp_path / "there"], "there: is there already"),
        ([DIGITS, tmp_path / "o", "--times", "1"], "--times 1: give 2 or more"),
        ([DIGITS, tmp_path / "o", "--times", "900000"], "5000 are the most"),
        ([DIGITS, tmp_path / "o", "--version", "a b"], "version"),
        ([tmp_path, tmp_path / "o"], "manifest.toml"),
    ):
        said = called(*words)
        assert (said.code, said.out, len(said.lines)) == (2, "", 1), said.err
        assert why in said.err
        assert not (tmp_path / "o").exists()
