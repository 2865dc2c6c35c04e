"""An engineer asks what each model is worth: one table, one page, and gates for CI."""

from __future__ import annotations

import html
import json
import platform
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import cv2
import numpy as np
import pytest
from onnx import TensorProto

from models import bundle
from runtime.locating import ZOO
from tests import held_out, warm
from tests.graphs import onnx_rows, tflite_hostile, tflite_tiny
from tests.graphs.onnx_file import OnnxFile

pytestmark = pytest.mark.slow
SCENES = "synthetic://160x120?digits=1&seed=5"
QUICK = ("--limit", "60", "--seconds", "0.1", "--threads", "1")
PASSES = "tflite.top1 < onnx.top1 - 0.1"
FAILS = 'onnx.agreement == 1 and min(tflite.p50_ms, onnx.p50_ms) > 0 and tflite.recall["3"] > 0'


def compare(*words: object) -> CompletedProcess[str]:
    return warm.run(["model", "compare", *words])


def compared(*words: object) -> dict[str, Any]:
    done = compare(*words, "--json")
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@dataclass(frozen=True)
class Evening:
    """One comparison: the zoo's two variants, one of them again as a bundle, and one that crashes
    its engine."""

    done: CompletedProcess[str]
    told: dict[str, Any]
    page: str

    def model(self, name: str) -> dict[str, Any]:
        return next(each for each in self.told["models"] if each["name"] == name)


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Evening:
    folder = tmp_path_factory.mktemp("evening")
    packed = folder / "packed.zip"
    bundle.pack(ZOO / "digits" / "onnx", packed)
    deadly = tflite_hostile.crash_on_run(folder / "deadly.tflite")
    done = compare(
        "digits", packed, f"doomed={deadly}", "--data", SCENES, *QUICK, "--json",
        "--report", folder / "report.html", "--fail-if", PASSES, "--fail-if", FAILS,
    )  # fmt: skip
    page = (folder / "report.html").read_text()
    return Evening(done, json.loads(done.stdout), page)


def test_a_gate_that_is_true_is_an_exit_code_of_its_own(evening: Evening) -> None:
    assert evening.done.returncode == 3
    assert [gate["fails"] for gate in evening.told["gates"]] == [False, True]
    assert f"vedette: fails: {FAILS}" in evening.done.stderr
    assert PASSES not in evening.done.stderr


def test_every_figure_is_there(evening: Evening) -> None:
    told = evening.told
    assert told["samples"]["count"] == 60 and len(told["samples"]["digest"]) == 64
    assert told["reference"] == "onnx" and told["threads"] == 1
    for name, engine in (("onnx", "onnxruntime"), ("tflite", "litert"), ("packed", "onnxruntime")):
        model = evening.model(name)
        assert model["trouble"] is None and model["engine"] == engine
        judged = model["accuracy"]
        assert judged["samples"] == 60 and judged["top1"] > 0.9 and judged["top5"] >= judged["top1"]
        assert model["low"] < judged["top1"] <= model["high"]
        assert sum(each["count"] for each in judged["confusion"]) == 60
        latency = model["latency"]
        assert latency["runs"] >= 10
        assert 0 < latency["inference_us"]["p50"] < latency["end_to_end_us"]["p50"]
        assert latency["end_to_end_us"]["p50"] <= latency["end_to_end_us"]["p95"]
        assert 0 < model["memory"]["before_mib"] < model["memory"]["peak_mib"]
    assert evening.model("onnx")["size_bytes"] == (
        (ZOO / "digits" / "onnx" / "digits.onnx").stat().st_size
    )


def test_a_bundle_is_the_same_model_as_its_folder(evening: Evening) -> None:
    one, same = evening.model("onnx"), evening.model("packed")
    assert same["digest"] == one["digest"] and same["accuracy"] == one["accuracy"]
    assert same["agreement"]["onnx"] == 1
    assert (same["changed"]["lost"], same["changed"]["gained"]) == (0, 0)
    layers = same["layers"]
    assert layers["beside"] == "onnx" and len(layers["layers"]) > 10
    assert all(each["sqnr_db"] is None for each in layers["layers"])
    assert one["layers"] is None and evening.model("tflite")["layers"] is None


def test_a_model_that_crashes_its_engine_is_a_row_that_says_so(evening: Evening) -> None:
    doomed = evening.model("doomed")
    assert "crashes its engine" in doomed["trouble"]
    assert doomed["accuracy"] is None and doomed["latency"] is None and not doomed["on_front"]
    assert "crashes its engine" in evening.page


def test_the_page_has_all_of_it(evening: Evening) -> None:
    assert evening.page.startswith("<!doctype html>")
    assert "<script" not in evening.page
    for words in ("Gates", "Confusion", "Classes", "Agreement", "packed", html.escape(FAILS)):
        assert words in evening.page
    assert evening.page.count('role="img"') >= 4


def test_pictures_of_which_nothing_is_known_tell_of_agreement(tmp_path: Path) -> None:
    pictures = held_out.draw(tmp_path / "pictures", 12)
    done = compare(
        "digits", "--reference", "tflite", "--data", pictures, *QUICK, "--no-layers",
        "--report", tmp_path / "r.html", "--fail-if", "onnx.top1 < 0.5",
    )  # fmt: skip
    assert done.returncode == 2
    assert "onnx.top1 is not known" in done.stderr.splitlines()[-1]
    assert "12 samples" in done.stdout, "what was measured is shown all the same"
    assert "agreement with tflite" in (tmp_path / "r.html").read_text()


def test_a_folder_per_class_is_judged_by_names(tmp_path: Path) -> None:
    """The folders' own order is not that of the labels, and one class of the model is missing."""
    for number, label in enumerate("2918"):
        pictures = held_out.draw(tmp_path / "drawn" / label, 40)
        (tmp_path / "classes" / label).mkdir(parents=True)
        for picture in sorted(pictures.iterdir())[number::4][:3]:
            shown = cv2.imread(str(picture))
            assert cv2.imwrite(str(tmp_path / "classes" / label / picture.name), shown)
    told = compared("digits", "--data", tmp_path / "classes", "--seconds", "0.05", "--no-layers")
    assert told["samples"]["truth"] == "classes" and told["samples"]["count"] == 12
    judged = told["models"][0]["accuracy"]
    assert {each["label"] for each in judged["classes"] if each["truths"]} == set("1289")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--fail-if", "int8.top1 < 1"), "there is no model 'int8'"),
        (("--fail-if", "onnx.top1 < "), "cannot be read"),
        (("--fail-if", "onnx.topp < 1"), "no figure 'topp'"),
        (("--fail-if", "onnx.recall['dog'] < 1"), "no class 'dog' (there are 0, 1, 2, "),
        (("--fail-if", "onnx.device_fps['door'] < 9"), "add --device door"),
        (("--reference", "best"), "--reference best: is none of onnx, tflite"),
        (("--report", "no/such/folder/r.html"), "there is no folder"),
        (("--report", "/proc/r.html"), "/proc/r.html: cannot be written"),
        (("--report", str(ZOO)), "is a folder: name a file"),
        (("--data", "/no/such/place"), "/no/such/place: is not there"),
        (("--min-score", "2"), "not a number from 0 to 1"),
        ((f"not={ZOO}/digits/onnx",), "use another name"),
        (("digit",), "did you mean digits?"),
    ],
)
def test_what_cannot_be_meant_is_told_in_one_line(words: tuple[str, ...], says: str) -> None:
    done = compare("digits", "--data", SCENES, *QUICK, *words)
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr
    assert not done.stdout, "it is told before anything is measured"


def test_the_reference_must_work_and_classes_must_be_the_same(tmp_path: Path) -> None:
    deadly = tflite_hostile.crash_on_run(tmp_path / "deadly.tflite")
    done = compare(f"bad={deadly}", "digits", "--data", SCENES, *QUICK)
    assert done.returncode == 2 and "crashes its engine" in done.stderr
    tflite_tiny.colours(tmp_path / "colours.tflite")
    told = compared(
        "digits-detect", tmp_path / "colours.tflite", "--data", SCENES, *QUICK, "--no-layers"
    )
    by_name = {model["name"]: model for model in told["models"]}
    assert by_name["onnx"]["accuracy"]["map50"] > 0.8
    assert "classes" in by_name["colours"]["trouble"] or "knows no" in by_name["colours"]["trouble"]


def test_rows_of_a_table_are_samples_too(tmp_path: Path) -> None:
    lines = [f"{a},{b}" for a in range(6) for b in range(4)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b", *lines]))
    for name, weights in (("one", [[1.0], [2.0]]), ("other", [[1.2], [2.0]])):
        onnx_rows.linear(tmp_path / f"{name}.onnx", weights, [0.5])
    files = [tmp_path / f"{name}.onnx" for name in ("one", "other")]
    told = compared(*files, "--data", tmp_path / "t.csv", "--seconds", "0.05")
    one, other = told["models"]
    assert told["samples"]["count"] == 24 and other["task"] == "regress"
    assert 0.8 < other["agreement"]["one"] < 1 and one["agreement"]["one"] == 1
    assert other["latency"]["runs"] >= 10 and other["accuracy"] is None
    assert other["layers"]["layers"][0]["op"] == "Gemm"


def test_a_reference_that_answers_nothing_is_no_success(tmp_path: Path) -> None:
    """The samples are rows, and the first model takes pictures."""
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,4\n")
    onnx_rows.linear(tmp_path / "rows.onnx", [[1.0], [2.0]], [0.5])
    done = compare(
        f"pictures={ZOO}/digits/onnx", tmp_path / "rows.onnx", "--data", tmp_path / "t.csv",
        "--seconds", "0.05", "--json", "--report", tmp_path / "r.html",
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "pictures, the reference, has no figures:" in done.stderr.splitlines()[-1]
    assert "the model takes pictures" in done.stderr.splitlines()[-1]
    models = json.loads(done.stdout)["models"]
    assert [model["trouble"] is None for model in models] == [False, True]
    assert (tmp_path / "r.html").exists()


MANIFEST = """\
schema = 1
name = "moody"
version = "1"
task = "raw"
format = "onnx"
file = "m.onnx"

[input]
width = 8
height = 8
colour = "rgb"
layout = "NCHW"
dtype = "float32"
"""


def moody(folder: Path, deadly: int) -> Path:
    """Runs well but for pictures whose brightest value is `deadly`: SIGFPE, on x86.

    -2**63 / -1 overflows; the divisor is twice the brightest value, less twice the deadly one and
    1. As `onnx_hostile.crash_on_black`, which does not come through a trial.
    """
    folder.mkdir()
    (folder / "manifest.toml").write_text(MANIFEST)
    file = OnnxFile()
    file.input("input", (1, 3, 8, 8), TensorProto.FLOAT)
    brightest = file.node("ReduceMax", ["input"], attributes={"keepdims": 0})
    whole = file.node("Cast", [brightest], attributes={"to": TensorProto.INT64})
    doubled = file.node("Mul", [whole, file.constant(np.array([2], np.int64))])
    less = file.constant(np.array([-2 * deadly - 1], np.int64))
    divisor = file.node("Add", [doubled, less])
    nothing = file.node("Mul", [whole, file.constant(np.array([0], np.int64))])
    lowest = file.constant(np.array([np.iinfo(np.int64).min], np.int64))
    file.node("Div", [file.node("Add", [nothing, lowest]), divisor], name="output")
    file.output("output", (1,), TensorProto.INT64)
    file.save(folder / "m.onnx")
    return folder


@pytest.mark.skipif(platform.machine() != "x86_64", reason="ARM does not trap")
def test_one_that_crashes_on_a_sample_alone_is_a_row_too(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for value in (50, 99, 100, 101):
        grey = np.full((8, 8, 3), value, np.uint8)
        assert cv2.imwrite(str(tmp_path / "pictures" / f"{value}.png"), grey)
    models = [moody(tmp_path / "calm", 1000), moody(tmp_path / "moody", 100)]
    told = compared(*models, "--data", tmp_path / "pictures", "--seconds", "0.05")
    calm, crashed = told["models"]
    assert calm["trouble"] is None and calm["latency"]["runs"] >= 10
    assert "crashes its engine on one of the samples" in crashed["trouble"]
    assert "SIGFPE" in crashed["trouble"] and told["samples"]["count"] == 4
    done = compare(*models[::-1], "--data", tmp_path / "pictures")
    assert done.returncode == 2 and "moody: crashes its engine" in done.stderr
