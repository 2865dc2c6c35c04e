"""Signals: until there is a loop they end the process as its command wishes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("argument", "code"), [("", 143), ("exit_code=0", 0)])
def test_sigterm_before_there_is_a_loop(argument: str, code: int) -> None:
    script = (
        "import os, signal\nfrom runtime.stopping import leave_on_sigterm\n"
        f"leave_on_sigterm({argument})\n"
        "try:\n    os.kill(os.getpid(), signal.SIGTERM)\n    signal.pause()\n"
        "finally:\n    print('given back', flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, timeout=60
    )
    assert (done.returncode, done.stdout) == (code, b"given back\n")
