"""scripts/demo judges its options before it fetches anything."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.laws.sources import ROOT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """One that was never set up, where setting up is seen."""
    scripts = tmp_path / "scripts"
    shutil.copytree(ROOT / "scripts/telling", scripts / "telling")
    shutil.copy(ROOT / "scripts/demo", scripts)
    (scripts / "setup").write_text("#!/bin/sh\necho fetching >&2\nexit 9\n")
    (scripts / "setup").chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--foo"], 2, "unrecognized arguments: --foo"),
        (["--port", "x"], 2, "argument --port"),
        (["--help"], 0, "usage: scripts/demo"),
        (["--check"], 9, "fetching"),
    ],
)
def test_a_wrong_option_is_said_at_once(
    checkout: Path, words: list[str], code: int, said: str
) -> None:
    told = subprocess.run(
        [checkout / "scripts/demo", *words], capture_output=True, text=True, timeout=60,
        check=False, env={"PATH": os.environ["PATH"]}, cwd="/",
    )  # fmt: skip
    assert told.returncode == code
    assert said in told.stdout + told.stderr
    assert ("fetching" in told.stderr) == (code == 9)
