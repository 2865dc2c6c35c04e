"""Every command of the front door explains itself, and can answer in JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import vedette
from tests.laws.sources import ROOT

DIGITS = str(ROOT / "models" / "zoo" / "digits")
SMALL_RUN = ["--camera", "synthetic://160x120@30", "--model", DIGITS, "--frames", "5"]
# one real call of every command; one that is added to the front door must be added here
CALLS = {
    "run": ["run", *SMALL_RUN],
    "bench": ["bench", *SMALL_RUN],
    "doctor": ["doctor"],
    "cameras": ["cameras"],
    "model": ["model", "show", DIGITS],
}


def front_door(*words: str, where: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vedette", *words]
    return subprocess.run(
        command, cwd=where, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )


def test_every_command_is_called_here() -> None:
    assert sorted(CALLS) == sorted(vedette.COMMANDS)


@pytest.mark.parametrize("command", sorted(vedette.COMMANDS))
def test_explains_itself(command: str) -> None:
    told = front_door(command, "--help")
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith(f"usage: vedette {command}")
    assert told.stderr == ""


@pytest.mark.parametrize("command", sorted(vedette.COMMANDS))
def test_answers_in_json(command: str) -> None:
    told = front_door(*CALLS[command], "--json")
    assert told.returncode == 0, told.stderr
    assert isinstance(json.loads(told.stdout), dict | list)


@pytest.mark.parametrize("command", sorted(vedette.COMMANDS))
def test_an_unknown_option_is_the_users_mistake(command: str) -> None:
    told = front_door(command, "--no-such-option")
    assert told.returncode == 2
    assert "Traceback" not in told.stderr
    assert "--no-such-option" in told.stderr or "required" in told.stderr
