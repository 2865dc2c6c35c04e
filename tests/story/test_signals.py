"""Signals to a running pipeline: end well, end at once, load the model again."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from models import bundle
from runtime.locating import ZOO
from tests.graphs import tflite
from tests.story.shell import Shell

RESULTS = "results.jsonl"
LIVE = ("run", "--camera", "synthetic://64x48@50", "--results", RESULTS)


class Run:
    """One `vedette run` whose result lines and notes can be waited for."""

    def __init__(self, shell: Shell, *words: str) -> None:
        self.results = shell.folder / RESULTS
        self.notes = shell.folder / "notes"
        with open(self.notes, "w") as file:
            self.process = subprocess.Popen(
                shell.command(*LIVE, *words), cwd=shell.folder, env=shell.environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=file, text=True,
            )  # fmt: skip

    def wait_for(self, what: Callable[[], bool], seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not what():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < end, self.said()
            time.sleep(0.02)

    def lines(self) -> list[Any]:
        text = self.results.read_text() if self.results.exists() else ""
        return [json.loads(line) for line in text.splitlines(True) if line.endswith("\n")]

    def said(self) -> str:
        return self.notes.read_text()

    def more_results(self, count: int = 10) -> None:
        before = len(self.lines())
        self.wait_for(lambda: len(self.lines()) >= before + count)

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self, seconds: float = 20) -> str:
        """Wait for its end. What was on stdout."""
        out, _ = self.process.communicate(timeout=seconds)
        return out


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    shell.make_home()
    return shell


@pytest.fixture
def run(shell: Shell) -> Iterator[Callable[..., Run]]:
    begun: list[Run] = []

    def start(*words: str) -> Run:
        begun.append(Run(shell, *words))
        return begun[-1]

    yield start
    for each in begun:
        if each.process.poll() is None:
            each.process.kill()
        each.process.communicate()
        assert "Traceback" not in each.said()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_a_summary(run: Callable[..., Run], number: int) -> None:
    pipeline = run("--model", "digits", "--json")
    pipeline.more_results()
    begun = time.monotonic()
    pipeline.send(number)
    summary = json.loads(pipeline.end())
    took = time.monotonic() - begun
    assert pipeline.process.returncode == 0
    assert summary["frames"] == len(pipeline.lines()) > 0
    assert took < 1 + 4, "a second, on a machine that has other things to do"


def test_the_summary_is_also_told_in_words(run: Callable[..., Run]) -> None:
    pipeline = run("--model", "digits")
    pipeline.more_results()
    pipeline.send(signal.SIGTERM)
    told = pipeline.end()
    assert pipeline.process.returncode == 0
    assert "digits 1" in told and "end to end" in told and "right" in told


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(
    run: Callable[..., Run], shell: Shell, second: int
) -> None:
    """Even while a run of the engine takes far longer than anybody wants to wait."""
    path = shell.folder / "slow.tflite"
    tflite.slow(path, rounds=15_000_000)
    trust(shell, path)
    pipeline = run("--model", "slow.tflite", "--json")
    pipeline.wait_for(lambda: "statistics" in pipeline.said())  # the model is open
    time.sleep(0.5)  # and in the middle of its first frame
    pipeline.send(signal.SIGTERM)
    time.sleep(0.3)
    assert pipeline.process.poll() is None, "it was to be too slow to hear the first"
    pipeline.send(second)
    assert pipeline.end(5) == ""
    assert pipeline.process.returncode == 128 + second


def trust(shell: Shell, path: Path) -> None:
    """As if this file had been tried before: `slow` would not end within its limits."""
    from runtime.locating import file_digest

    tried = shell.folder / "home" / ".cache" / "vedette" / "tried"
    tried.mkdir(parents=True, exist_ok=True)
    (tried / f"{file_digest(path)}-litert").touch()


def test_sighup_loads_the_new_bytes_and_loses_no_frame(
    run: Callable[..., Run], shell: Shell
) -> None:
    model = shell.folder / "model"
    shutil.copytree(ZOO / "digits" / "tflite", model)
    pipeline = run("--model", "model", "--json")
    pipeline.more_results()
    manifest = (model / "manifest.toml").read_text()
    (model / "manifest.toml").write_text(manifest.replace('version = "1"', 'version = "2"'))
    digest = bundle.folder_digest(model)
    pipeline.send(signal.SIGHUP)
    pipeline.wait_for(lambda: "loaded digits 2" in pipeline.said())
    assert digest[:12] in pipeline.said()
    pipeline.more_results()
    pipeline.send(signal.SIGTERM)
    summary = json.loads(pipeline.end())
    assert (pipeline.process.returncode, summary["version"]) == (0, "2")
    results = pipeline.lines()
    assert len({each["digest"] for each in results}) == 2 and results[-1]["digest"] == digest
    # a busy machine may skip frames, and the camera counts every one
    missed = results[-1]["seq"] - results[0]["seq"] + 1 - len(results)
    assert missed <= summary["losses"]["skipped"] + summary["losses"]["driver"]


def spoil(model: Path) -> str:
    (model / "digits.tflite").write_bytes(b"TFL3 no more")
    return "no TFLite model"


def remove(model: Path) -> str:
    shutil.rmtree(model)
    return "there is no model"


def crash(model: Path) -> str:
    tflite.crash_on_run(model / "digits.tflite")
    return "crashes its engine"


@pytest.mark.parametrize("harm", [spoil, remove, crash])
def test_sighup_with_a_bad_model_leaves_the_old_one_running(
    run: Callable[..., Run], shell: Shell, harm: Callable[[Path], str]
) -> None:
    model = shell.folder / "model"
    shutil.copytree(ZOO / "digits" / "tflite", model)
    pipeline = run("--model", "model", "--json")
    pipeline.more_results()
    why = harm(model)
    for times in (1, 2):
        pipeline.send(signal.SIGHUP)
        pipeline.wait_for(lambda times=times: pipeline.said().count("was not loaded") == times)  # type: ignore[misc]
    assert why in pipeline.said()
    assert all(line.startswith("vedette: ") for line in pipeline.said().splitlines())
    pipeline.more_results()
    pipeline.send(signal.SIGTERM)
    assert json.loads(pipeline.end())["frames"] == len(pipeline.lines())
    assert pipeline.process.returncode == 0
    assert len({each["digest"] for each in pipeline.lines()}) == 1


def test_a_load_that_hangs_does_not_hold_up_the_end(run: Callable[..., Run], shell: Shell) -> None:
    """And the child that tries the model goes with its parent."""
    tflite.colours(shell.folder / "m.tflite")
    pipeline = run("--model", "m.tflite", "--json")
    pipeline.more_results()
    tflite.endless(shell.folder / "m.tflite")
    pipeline.send(signal.SIGHUP)
    pipeline.wait_for(lambda: bool(children(pipeline.process.pid)))
    (child,) = children(pipeline.process.pid)
    time.sleep(1)
    begun = time.monotonic()
    pipeline.send(signal.SIGTERM)
    assert json.loads(pipeline.end())["frames"] > 0
    assert time.monotonic() - begun < 10
    assert pipeline.process.returncode == 0
    assert gone(child)


def test_sigterm_while_the_model_is_being_tried(run: Callable[..., Run], shell: Shell) -> None:
    """It ends at once, takes the child along and leaves no unpacked bundle."""
    folder = shell.folder / "endless"
    folder.mkdir()
    tflite.endless(folder / "m.tflite")
    (folder / "manifest.toml").write_text(
        'schema = 1\nname = "e"\nversion = "1"\ntask = "raw"\nformat = "tflite"\n'
        'file = "m.tflite"\n'
        '[input]\nwidth = 8\nheight = 8\ncolour = "rgb"\nlayout = "NHWC"\ndtype = "uint8"\n'
    )
    bundle.pack(folder, shell.folder / "e.zip")
    pipeline = run("--model", "e.zip", "--json")
    pipeline.wait_for(lambda: bool(children(pipeline.process.pid)))
    (child,) = children(pipeline.process.pid)
    pipeline.send(signal.SIGTERM)
    assert pipeline.end() == ""
    assert pipeline.process.returncode == 128 + signal.SIGTERM
    assert gone(child)
    assert shell.left_behind() == []


def children(pid: int) -> list[int]:
    """Processes that threads of this one have started."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # the thread ended meanwhile
            found += [int(word) for word in task.read_text().split()]
    return found


def gone(pid: int) -> bool:
    """Whether a process ends within some seconds."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":  # ended; whoever inherited it has not looked yet
            return True
        time.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    return False
