"""Every command of the front door explains itself, and can answer in JSON."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import vedette
from fleet.commands import fleet
from tests import warm
from tests.graphs import onnx_tiny
from tests.laws.sources import ROOT

DIGITS = str(ROOT / "models" / "zoo" / "digits")
FOLDER = Path(tempfile.mkdtemp())
PLACES = [f"--config={FOLDER / 'vedette.toml'}", f"--state={FOLDER}", f"--run={FOLDER}"]
CONFIG = """\
[broker]
url = "mqtt://127.0.0.1:9"
[pipeline.lane]
camera = "synthetic://160x120@30"
model = "digits"
"""
ENROLMENT = '{"form": 1, "fleet": "yard", "device": "door", "url": "mqtt://broker.example"}'
SMALL_RUN = ["--camera", "synthetic://160x120@30", "--model", DIGITS, "--frames", "5"]
FEW_SAMPLES = ["--data", "synthetic://160x120", "--limit", "5", "--seconds", "0.1"]
# one real call of every command; one that is added to the front door must be added here
CALLS = {
    "run": ["run", *SMALL_RUN],
    "bench": ["bench", *SMALL_RUN],
    "doctor": ["doctor"],
    "support": ["support", "--out", str(FOLDER), *PLACES],
    "cameras": ["cameras"],
    "model": ["model", "show", DIGITS],
    "model convert": [
        "model",
        "convert",
        str(FOLDER / "net.onnx"),
        "--to",
        "onnx",
        "--out",
        str(FOLDER / "net"),
    ],
    "model compare": ["model", "compare", DIGITS, *FEW_SAMPLES],
    "model loadtest": ["model", "loadtest", DIGITS, "--pipelines", "1", "--seconds", "0.1"],
    "runtime": ["runtime", "lane", "--seconds", "3", *PLACES],
    "agent": ["agent", "--seconds", "1", *PLACES],
    "check-config": ["check-config", str(FOLDER / "vedette.toml")],
    "enroll": ["enroll", str(FOLDER / "door.vedette"), "--etc", str(FOLDER / "etc")],
    "ask": ["ask", "--new-key", str(FOLDER / "key.pem")],
    "watch": ["watch", "--seconds", "1"],
    "fleet": ["fleet", "init", "--dir", str(FOLDER / "fleet"), "--name", "yard"],
}
PASSPHRASE = {"VEDETTE_PASSPHRASE": "a passphrase of tests"}
# it prints what comes, line by line; tests/story/test_watch.py has a broker for it
STREAMS = {"watch"}


@pytest.fixture(scope="module", autouse=True)
def folder() -> Iterator[None]:
    (FOLDER / "vedette.toml").write_text(CONFIG)
    onnx_tiny.colours(FOLDER / "net.onnx")
    (FOLDER / "door.vedette").write_text(ENROLMENT)
    yield
    shutil.rmtree(FOLDER)


def front_door(*words: str, where: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vedette", *words]
    return subprocess.run(
        command, cwd=where, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
        env=os.environ | PASSPHRASE,
    )  # fmt: skip


def warm_door(*words: str) -> subprocess.CompletedProcess[str]:
    """What only looks at its options."""
    return warm.run(words, env=os.environ | PASSPHRASE)


def test_every_command_is_called_here() -> None:
    assert sorted(CALLS) == sorted(vedette.COMMANDS)


@pytest.mark.parametrize("command", sorted(vedette.COMMANDS))
def test_explains_itself(command: str) -> None:
    told = warm_door(command, "--help")
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith(f"usage: vedette {command}")
    assert told.stderr == ""


@pytest.mark.parametrize("command", sorted(set(vedette.COMMANDS) - STREAMS))
def test_answers_in_json(command: str) -> None:
    told = front_door(*CALLS[command], "--json")
    assert told.returncode == 0, told.stderr
    assert isinstance(json.loads(told.stdout), dict | list)


@pytest.mark.parametrize("command", sorted(vedette.COMMANDS))
def test_an_unknown_option_is_the_users_mistake(command: str) -> None:
    told = warm_door(command, "--no-such-option")
    assert told.returncode == 2
    assert "Traceback" not in told.stderr and told.stderr.startswith("vedette ")
    assert told.stderr.count("\n") == 1 or command == "fleet", "it lists its commands"
    assert "--no-such-option" in told.stderr or "required" in told.stderr


@pytest.mark.parametrize("command", sorted(fleet.COMMANDS))
def test_a_command_of_the_fleet_explains_itself(command: str) -> None:
    told = warm_door("fleet", command, "--help")
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith(f"usage: vedette fleet {command}")
    assert "--json" in told.stdout
    assert told.stderr == ""


@pytest.mark.parametrize("command", sorted(fleet.COMMANDS))
def test_an_unknown_option_of_the_fleet_is_the_users_mistake(command: str) -> None:
    told = warm_door("fleet", command, "--no-such-option")
    assert told.returncode == 2
    assert told.stderr.startswith("vedette fleet ") and told.stderr.count("\n") == 1
