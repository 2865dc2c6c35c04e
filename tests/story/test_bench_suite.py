"""A user asks what this machine can do: every engine, model and camera, as table and plot."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from xml.etree import ElementTree

import pytest

from runtime.locating import ZOO
from tests import warm
from tests.graphs import onnx_tiny, tflite_hostile, tflite_tiny

SHORT = ("--seconds", "0.05", "--threads", "1", "--camera", "synthetic://160x120")
SVG = "{http://www.w3.org/2000/svg}"


def suite(*words: object) -> CompletedProcess[str]:
    return warm.run(["bench", "--suite", *words])


def measured(*words: object) -> Any:
    done = suite(*words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def names(rows: Sequence[Any]) -> list[tuple[str, str]]:
    return [(row["of"]["model"], row["of"]["engine"]) for row in rows]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models: two that run, one that crashes its engine, and one that is broken."""
    folder = tmp_path_factory.mktemp("models")
    tflite_tiny.colours(folder / "colours.tflite")
    onnx_tiny.colours(folder / "colours.onnx")
    tflite_hostile.crash_on_run(folder / "deadly.tflite")
    (folder / "torn.zip").write_bytes(b"PK torn")
    return folder


def test_the_zoo_runs_on_every_engine_here(tmp_path: Path) -> None:
    table, plot = tmp_path / "rows.csv", tmp_path / "plot.svg"
    said = measured(*SHORT, "--csv", table, "--plot", plot)
    rows = said["rows"]
    assert names(rows) == [
        (model, engine)
        for model in ("digits", "digits-detect")
        for engine in ("litert", "onnxruntime")
    ]
    assert said["machine"]["cores"] >= 1 and said["machine"]["processor"]
    assert said["worse"] is None
    for row in rows:
        assert row["trouble"] is None and row["of"]["camera"] == "synthetic://160x120"
        took = row["measured"]
        assert 0 < took["raw_us"]["p50"] <= took["raw_us"]["p95"]
        # of the same thing each, but taken at other moments: a busy machine gives each its own
        beside = took["end_to_end_us"]["p50"] / took["raw_us"]["p50"]
        assert 0.1 < took["overhead_ratio"] / beside < 10 and took["pairs"] >= 10
        assert 0.1 < took["frames_per_s"] * took["end_to_end_us"]["p50"] / 1e6 < 10
        assert took["peak_rss_mib"] > 20
    told = list(csv.DictReader(table.read_text().splitlines()))
    assert [float(row["overhead_ratio"]) for row in told] == [
        pytest.approx(row["measured"]["overhead_ratio"], abs=1e-4) for row in rows
    ]
    assert [row["camera"] for row in told] == ["synthetic://160x120"] * 4
    check_plot(plot, rows)


def check_plot(plot: Path, rows: Sequence[Any]) -> None:
    """Its bars are as long as the figures say, model by model."""
    picture = ElementTree.fromstring(plot.read_text())  # noqa: S314 - our own
    texts = [each.text for each in picture.iter(f"{SVG}text")]
    for row in rows:
        assert f"{row['of']['engine']} · 1 thread · 160x120" in texts
        assert f"{row['measured']['overhead_ratio']:.3f}" in texts
    bars = [bar.attrib for bar in picture.iter(f"{SVG}rect") if "class" in bar.attrib][2:]
    for row in rows:
        raw_us, whole_us = (row["measured"][each]["p50"] for each in ("raw_us", "end_to_end_us"))
        raw = bars.pop(0)
        assert raw["class"] == "raw"
        if whole_us > raw_us:
            beside = bars.pop(0)
            assert beside["class"] == "beside"
            share = float(beside["width"]) / float(raw["width"])
            assert share == pytest.approx(whole_us / raw_us - 1, rel=0.1, abs=0.1)
    assert bars == []


def test_a_folder_of_models_and_what_became_of_each(mixed: Path, tmp_path: Path) -> None:
    table, plot = tmp_path / "rows.csv", tmp_path / "plot.svg"
    done = suite(*SHORT, "--model", mixed, "--no-zoo", "--csv", table, "--plot", plot)
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line}
    assert lines["colours.tflite"].split()[1:4] == ["litert", "1", "160x120"]
    assert lines["colours.onnx"].split()[1:4] == ["onnxruntime", "1", "160x120"]
    assert "crashes its engine (SIGSEGV)" in lines["deadly.tflite"]
    assert "torn.zip" in lines and str(mixed) not in lines["torn.zip"]
    told = {row["model"]: row for row in csv.DictReader(table.read_text().splitlines())}
    assert "SIGSEGV" in told["deadly.tflite"]["trouble"]
    assert told["deadly.tflite"]["raw_p50_us"] == ""
    assert told["colours.onnx"]["trouble"] == ""
    assert "crashes its engine (SIGSEGV)" in plot.read_text()
    assert "1 of 3: colours.onnx with onnxruntime, 1 thread, 160x120: " in done.stderr


def test_an_engine_that_was_not_asked_for_is_not_used(mixed: Path) -> None:
    words = ("--no-zoo", "--model", mixed / "colours.onnx", "--model", "digits")
    said = measured(*SHORT, *words, "--engine", "litert")
    assert names(said["rows"]) == [("digits", "litert"), ("colours.onnx", "")]
    assert "no engine that was asked for runs onnx" in said["rows"][1]["trouble"]


def test_an_accelerator_that_is_not_there_has_a_row_and_no_figures() -> None:
    """Figures of the processor must not pass for its own."""
    words = ("--no-zoo", "--model", "digits", "--accelerator", "edgetpu", "--accelerator", "cuda")
    rows = measured(*SHORT, *words)["rows"]
    here = {(row["of"]["engine"], row["of"]["accelerator"]): row for row in rows}
    assert list(here) == [
        ("litert", None), ("litert", "edgetpu"), ("onnxruntime", None), ("onnxruntime", "cuda"),
    ]  # fmt: skip
    assert here["litert", None]["measured"] and here["onnxruntime", None]["measured"]
    assert here["litert", "edgetpu"]["measured"] is None
    assert "libedgetpu" in here["litert", "edgetpu"]["trouble"]
    assert "no provider 'cuda'" in here["onnxruntime", "cuda"]["trouble"]


def test_an_engine_that_is_missing_is_said(mixed: Path) -> None:
    done = suite(*SHORT, "--no-zoo", "--model", mixed / "colours.onnx", "--engine", "tensorrt")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("vedette: nothing could be measured: TensorRT")


def test_of_a_damaged_model_the_damage_is_said_first(mixed: Path) -> None:
    done = suite(*SHORT, "--no-zoo", "--model", mixed / "torn.zip")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "nothing could be measured: torn.zip: too short: not a bundle" in last


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return measured(*SHORT, "--no-zoo", "--model", "digits")


def compared(earlier: Any, folder: Path, *words: object) -> CompletedProcess[str]:
    file = folder / "earlier.json"
    file.write_text(json.dumps(earlier))
    return suite(*SHORT, "--no-zoo", "--model", "digits", "--against", file, *words)


def scaled(earlier: Any, engine: str, factor: float) -> Any:
    """An earlier run in which this engine took so many times as long."""
    copy = json.loads(json.dumps(earlier))
    for row in copy["rows"]:
        if row["of"]["engine"] == engine:
            for figure in ("raw_us", "end_to_end_us"):
                row["measured"][figure]["p50"] *= factor
    return copy


def test_what_got_slower_is_said_and_is_the_exit_code(earlier: Any, tmp_path: Path) -> None:
    quick = scaled(scaled(earlier, "litert", 1e-3), "onnxruntime", 1e3)
    done = compared(quick, tmp_path)
    assert done.returncode == 3
    worse = [line for line in done.stdout.splitlines() if line.startswith("worse: ")]
    start = "worse: digits with litert, 1 thread, 160x120: "
    assert [line.removeprefix(start).split(" took ")[0] for line in worse] == [
        "engine call", "end to end",
    ]  # fmt: skip


def test_what_did_not_get_slower_is_fine(earlier: Any, tmp_path: Path) -> None:
    slow = scaled(scaled(earlier, "litert", 1e3), "onnxruntime", 1e3)
    done = compared(slow, tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["worse"] == []


def test_what_ran_and_runs_no_more_is_worse(earlier: Any, tmp_path: Path) -> None:
    ran = json.loads(json.dumps(earlier))
    for row in ran["rows"]:
        if row["of"]["engine"] == "onnxruntime":
            row["of"]["accelerator"] = "cuda"
            row["measured"]["raw_us"]["p50"] = row["measured"]["end_to_end_us"]["p50"] = 1e9
    done = compared(ran, tmp_path, "--accelerator", "cuda", "--engine", "onnxruntime")
    assert done.returncode == 3
    assert "digits with onnxruntime+cuda, 1 thread" in done.stdout.splitlines()[-1]
    assert "it does not run now" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--model", "/no/such/model"], "there is no model at /no/such/model"),
        (["--csv", "/no/such/folder/x.csv"], "there is no folder /no/such/folder"),
        (["--against", str(ZOO / "README.md")], "is not what `vedette bench --suite --json`"),
        (["--engine", "null"], "invalid choice"),
        (["--slower-by", "-1"], "is not a percentage"),
        (["--quick", "--no-zoo"], "no model to measure: name a --model, or leave --no-zoo out"),
        (["--accelerator", "cdua"], "knows no provider of that name: did you mean cuda?"),
        (["--accelerator", "edgtpu"], "did you mean edgetpu?"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: list[str], why: str) -> None:
    done = suite(*words)
    assert done.returncode == 2 and why in done.stderr and "Traceback" not in done.stderr


def test_an_earlier_run_of_something_else_is_no_comparison(earlier: Any, tmp_path: Path) -> None:
    for row in earlier["rows"]:
        row["of"]["threads"] = 7
    done = compared(earlier, tmp_path)
    assert done.returncode == 2 and "nothing of this was measured" in done.stderr


def test_an_earlier_run_with_impossible_figures_is_refused(earlier: Any, tmp_path: Path) -> None:
    done = compared(scaled(earlier, "litert", 0.0), tmp_path)
    assert done.returncode == 2 and "not above 0" in done.stderr
