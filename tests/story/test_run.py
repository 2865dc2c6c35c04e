"""A user runs models on cameras, over the real front door and real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from models import bundle
from runtime.locating import ZOO
from runtime.panel import STAGES

DIGITS = ZOO / "digits"


def vedette(*words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "vedette", *words],
        capture_output=True, text=True, timeout=110, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


def summary(*words: str) -> Any:
    return json.loads(vedette("run", *words, "--json").stdout)


def test_the_summary_says_what_happened() -> None:
    said = summary("--camera", "synthetic://320x240", "--model", "digits", "--frames", "120")
    assert said["frames"] == 120 and said["model"] == "digits" and len(said["digest"]) == 64
    assert said["accuracy"] > 0.9
    assert said["losses"] == {"skipped": 0, "driver": 0, "decode": 0, "refused": 0}
    for stage in STAGES:
        times = said["stages"][stage]
        assert 0 < times["p50"] <= times["p95"] <= times["p99"]
    parts = sum(said["stages"][stage]["p50"] for stage in STAGES[:-1])
    assert said["stages"]["end_to_end"]["p50"] == pytest.approx(parts, rel=0.5)
    assert said["fps"] > 0 and said["peak_rss_mib"] > 10 and said["first_result_s"] > 0


def test_results_are_lines_of_json_and_nothing_else_is_on_stdout() -> None:
    done = vedette("run", "--camera", "synthetic://320x240", "--model", "digits", "--frames", "20",
                   "--results", "-")  # fmt: skip
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [result["seq"] for result in results] == list(range(20))
    stamps = [list(result["timing"].values()) for result in results]
    assert all(each == sorted(each) for each in stamps)
    best = results[0]["found"][0]
    assert best["label"] == str(best["index"]) and 0 <= best["score"] <= 1
    assert "20 results" in done.stderr


def test_a_bundle_its_folder_and_its_bare_file_answer_alike(tmp_path: Path) -> None:
    folder = DIGITS / "tflite"
    digest = bundle.pack(folder, tmp_path / "digits.zip")
    camera = ("--camera", "synthetic://320x240", "--frames", "60")
    packed = summary(*camera, "--model", str(tmp_path / "digits.zip"))
    opened = summary(*camera, "--model", str(folder))
    assert packed["digest"] == opened["digest"] == digest
    assert packed["accuracy"] == opened["accuracy"]


def test_both_formats_of_a_model_are_as_right(tmp_path: Path) -> None:
    words = ("--camera", "synthetic://320x240", "--frames", "200", "--model", "digits")
    by_tflite, by_onnx = summary(*words), summary(*words, "--engine", "onnxruntime")
    assert (by_tflite["engine"], by_onnx["engine"]) == ("litert", "onnxruntime")
    assert by_onnx["accuracy"] == pytest.approx(by_tflite["accuracy"], abs=0.02)


def test_a_folder_of_pictures_ends_by_itself(tmp_path: Path) -> None:
    done = summary("--camera", f"file://{DIGITS / 'tflite'}", "--model", "digits")
    pictures = len(list((DIGITS / "tflite").glob("*.png")))
    assert done["frames"] == pictures and done["accuracy"] is None


def test_a_live_camera_keeps_its_pace_and_loses_nothing() -> None:
    said = summary("--camera", "synthetic://320x240@20", "--model", "digits", "--seconds", "3")
    assert 40 <= said["frames"] + said["losses"]["skipped"] <= 61
    assert said["fps"] <= 21


def test_the_null_engine_measures_our_own_code() -> None:
    words = ("--model", "digits", "--camera", "synthetic://320x240", "--engine", "null")
    said = json.loads(vedette("bench", *words, "--frames", "30", "--json").stdout)
    assert said["engine"] == "null" and said["frames"] == 30
    assert said["raw_us"]["p50"] < said["end_to_end_us"]["p50"]


def test_model_show_tells_what_a_model_is() -> None:
    card = json.loads(vedette("model", "show", "digits", "--json").stdout)
    assert card["golden"] > 0 and card["guesses"] == []
    assert card["labels"] == [str(digit) for digit in range(10)]
    assert card["takes"]["dtype"] == "int8"


def test_doctor_tries_every_engine() -> None:
    said = json.loads(vedette("doctor", "--json").stdout)
    works = {(one["section"], one["about"]): one["level"] for one in said["findings"]}
    assert works["engines", "litert"] == works["engines", "onnxruntime"] == "ok"
    assert works["cameras", "synthetic"] == works["cameras", "file"] == "ok"
