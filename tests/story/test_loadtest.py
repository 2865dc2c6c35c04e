"""A user asks how much a model carries: more pipelines, higher rates, and what bends first."""

from __future__ import annotations

import functools
import json
import platform
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.graphs import onnx_hostile, onnx_live
from tests.misbehaving import dawn, misbehaving
from tests.story.shell import Said, Shell
from tests.unit.test_row_models import folder_of

SMALL = "synthetic://64x64"
SLOW_ROUNDS = 20_000  # some 50 ms
LEVEL = 40  # the picture, 1 and up, at which a model begins to misbehave


def loadtest(folder: Path, model: Path | str, *words: object) -> Said:
    return Shell(folder).run("model", "loadtest", str(model), *map(str, words))


def measured(folder: Path, model: Path | str, *words: object) -> Any:
    said = loadtest(folder, model, *words, "--json")
    assert said.code == 0, said.err
    assert Shell(folder).left_behind() == []
    return json.loads(said.out)


def test_every_load_is_measured_and_drawn(tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    words = ("--camera", SMALL, "--rates", "20", "--pipelines", "2,1", "--seconds", "0.5")
    test = measured(tmp_path, "digits", *words, "--report", report)
    loads = [tuple(point["load"].values()) for point in test["points"]]
    assert loads == [(20.0, 1, 1), (20.0, 2, 1)]
    assert test["subject"]["name"] == "digits" and test["subject"]["engine"] == "litert"
    assert test["camera"] == SMALL and test["camera_us"] > 0 and test["left_out"] == []
    for point in test["points"]:
        rate, pipelines, _ = point["load"].values()
        assert point["offered"] == rate * pipelines and point["trouble"] is None
        # of half a second, on a machine that has much else to do
        assert 0.3 * point["offered"] < point["answered"] <= 1.5 * point["offered"]
        spread = point["latency_us"]
        assert 0 < spread["p50"] <= spread["p95"] <= spread["p99"]
        assert point["inference_us"]["p50"] < spread["p50"]
        assert point["cpu_percent"] > 0 and point["others_percent"] >= 0
        assert point["errors"] == 0 and point["memory_mib"] > 10
    assert [(knee["pipelines"], knee["threads"]) for knee in test["knees"]] == [(1, 1), (2, 1)]
    one, two = test["points"]
    assert one["memory_mib"] < two["memory_mib"]
    page = report.read_text()
    assert "digits 1 under load" in page and "2 pipelines, 1 thread each" in page


def test_what_skips_most_pictures_ends_the_curve_and_the_knee_lies_before(tmp_path: Path) -> None:
    slow = misbehaving(tmp_path, "1", functools.partial(onnx_hostile.slow, rounds=SLOW_ROUNDS))
    words = ("--camera", SMALL, "--rates", "300,200,2", "--pipelines", "1", "--seconds", "1")
    said = loadtest(tmp_path, slow, *words, "--json")
    first, second = said.lines
    assert first == "vedette: 1 pipeline at 2/s, 1 thread"
    assert second.startswith("vedette: 1 pipeline at 200/s, 1 thread (before: ")
    test = json.loads(said.out)
    light, heavy = test["points"]
    assert light["skipped"] == 0 and heavy["skipped"] > 0.5
    assert [load["rate"] for load in test["left_out"]] == [300.0]
    (knee,) = test["knees"]
    assert (knee["rate"], knee["keeps_up"], knee["reached"]) == (2.0, 2.0, True)


def test_a_model_that_takes_rows_gets_rows(tmp_path: Path) -> None:
    words = ("--rates", "50", "--pipelines", "1", "--seconds", "0.4")
    test = measured(tmp_path, folder_of(tmp_path / "press"), *words)
    assert test["camera"] == "rows+synthetic://3"
    (point,) = test["points"]
    assert point["answered"] > 10 and point["errors"] == 0


CASES = [
    pytest.param(
        functools.partial(onnx_live.dies, level=LEVEL), "raw", "SIGFPE", id="dies",
        marks=pytest.mark.skipif(platform.machine() != "x86_64", reason="no division traps here"),
    ),
    pytest.param(functools.partial(onnx_live.no_numbers, level=LEVEL), "classify", None, id="NaN"),
]  # fmt: skip


@pytest.mark.parametrize(("build", "task", "trouble"), CASES)
def test_a_model_that_misbehaves_under_load_has_errors(
    tmp_path: Path, build: Callable[[Path], object], task: str, trouble: str | None
) -> None:
    """At 20/s it has not seen the picture that does it when the time is up, at 50/s it has."""
    model, camera = misbehaving(tmp_path, "1", build, task), f"file://{dawn(tmp_path)}"
    words = ("--camera", camera, "--rates", "20,50", "--pipelines", "1", "--seconds", "1")
    test = measured(tmp_path, model, *words)
    well, ill = test["points"]
    assert well["errors"] == 0 and well["trouble"] is None
    assert ill["errors"] > 0.1
    assert trouble is None or trouble in ill["trouble"]
    assert test["knees"][0]["rate"] == 20.0


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        (("digits", "--camera", "v4l2:///dev/video0"), 2, "a load test sets the rate itself"),
        (("digits", "--rates", "10,0"), 2, "'0' is not a number of pictures per second"),
        (("digits", "--pipelines", "1000"), 2, "is more than 256 pipelines"),
        (("digits", "--report", "no/such.html"), 2, "there is no folder no"),
        (("digitz",), 2, "did you mean digits"),
        (("digits", "--engine", "abacus"), 2, "there is no engine 'abacus'"),
    ],
)
def test_what_cannot_be_meant_is_said_in_one_line(
    tmp_path: Path, words: tuple[str, ...], code: int, what: str
) -> None:
    said = loadtest(tmp_path, *words)
    assert (said.code, said.out) == (code, ""), said.err
    assert what in said.lines[-1] and "Traceback" not in said.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("at_work_s", [0.0, 2.5], ids=["as it starts", "at work"])
def test_no_pipeline_outlives_it(tmp_path: Path, number: int, at_work_s: float) -> None:
    words = ("--camera", SMALL, "--rates", "20", "--pipelines", "2", "--seconds", "60")
    with Shell(tmp_path).start("model", "loadtest", "digits", *words) as process:
        pipelines = until(lambda: found if len(found := children_of(process.pid)) == 2 else None)
        time.sleep(at_work_s)
        process.send_signal(number)
        process.wait(20)
        until(lambda: [] if not any(map(is_there, pipelines)) else None)


def until(what: Callable[[], list[int] | None], seconds: float = 30) -> list[int]:
    end = time.monotonic() + seconds
    while (found := what()) is None:
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def children_of(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split() if b"pipeline" in command_of(int(word))]


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def is_there(pid: int) -> bool:
    return b"pipeline" in command_of(pid)
