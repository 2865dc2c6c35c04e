"""What a suite takes for one model and what for several, and what it calls them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from runtime.locating import ZOO
from runtime.suite.jobs import CAMERAS, Wanted, absolute, home_of, jobs
from runtime.suite.naming import named
from wire.troubles import Refused

FORMATS = {"tflite", "onnx"}


def test_the_variants_of_a_model_are_one_model() -> None:
    (digits,) = named(["digits"])
    assert digits.name == "digits" and set(digits.formats) == FORMATS


def test_a_folder_of_models_is_each_of_them() -> None:
    assert [each.name for each in named([str(ZOO)])] == ["digits", "digits-detect"]


def test_folders_that_describe_different_models_are_no_variants(tmp_path: Path) -> None:
    for name in ("digits", "digits-detect"):
        shutil.copytree(ZOO / name / "onnx", tmp_path / name)
    found = named([str(tmp_path)])
    assert [(each.name, each.formats) for each in found] == [
        ("digits", ("onnx",)), ("digits-detect", ("onnx",)),
    ]  # fmt: skip


def test_two_of_one_name_are_told_apart_and_one_named_twice_is_once(tmp_path: Path) -> None:
    for folder in ("old", "new"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "m.tflite").touch()
    words = [str(tmp_path / each) for each in ("old", "new", "old/m.tflite")]
    assert [each.name for each in named(words)] == ["old/m.tflite", "new/m.tflite"]


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").touch()
    with pytest.raises(Refused, match="no model in this folder"):
        named([str(tmp_path)])


def test_every_combination_that_is_possible() -> None:
    wanted = Wanted(("litert", "tensorrt"), ("cuda", "libx.so?a=b"), (1, 3), CAMERAS[:2])
    found = jobs(named(["digits"]), wanted, wanted.engines)
    how = [(job.of.engine, job.of.accelerator, job.of.threads) for job in found]
    assert list(dict.fromkeys(how)) == [
        ("litert", None, 1), ("litert", None, 3), ("litert", "libx.so?a=b", 3),
        ("tensorrt", None, 1),
    ]  # fmt: skip
    assert len(found) == 4 * 2
    assert home_of("cuda") == home_of("tensorrt?trt_fp16_enable=1") == "onnxruntime"


def test_a_secret_of_a_camera_is_in_no_row_and_reaches_the_camera() -> None:
    wanted = Wanted(("litert",), (), (1,), ("rtsp://ann:secret@gate/1",))
    (job,) = jobs(named(["digits"]), wanted, wanted.engines)
    assert "secret" not in job.of.camera and "secret" in job.camera


def test_a_recording_is_found_from_elsewhere(monkeypatch: pytest.MonkeyPatch,
                                             tmp_path: Path) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert absolute("file://door.avi?loop=yes") == f"file://{tmp_path}/door.avi?loop=yes"
    for uri in ("file:///door.avi", "synthetic://64x48"):
        assert absolute(uri) == uri
