"""A full disk or a read-only one costs the spool nothing as long as memory lasts."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.story.spool_disks import STORIES

PROJECT = Path(__file__).parents[2]
UNSHARE = ("unshare", "--user", "--map-root-user", "--mount")


def can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run([*UNSHARE, "true"], capture_output=True)
    return tried.returncode == 0


@pytest.mark.skipif(not can_mount(), reason="needs user namespaces, to mount a small disk")
@pytest.mark.parametrize("story", [story.__name__ for story in STORIES])
def test_on_a_real_disk(tmp_path: Path, story: str) -> None:
    command = [*UNSHARE, sys.executable, "-m", "tests.story.spool_disks", story, str(tmp_path)]
    told = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=100)
    assert told.returncode == 0, told.stderr
