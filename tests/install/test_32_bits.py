"""A system of 32 bits is refused in a sentence, before anything is fetched or changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from installing.machine import need_64_bits
from installing.troubles import Trouble

from tests.laws.sources import ROOT


def test_by_what_python_counts_to() -> None:
    """Raspberry Pi OS of 32 bits has a kernel of 64, which says aarch64."""
    with pytest.raises(Trouble, match="install 64-bit Raspberry Pi OS"):
        need_64_bits(2**31 - 1)
    need_64_bits(sys.maxsize)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--machine", "armv7l"], "a Raspberry Pi needs the 64-bit system"),
        (["--python", "3.9"], "3.9 is no version that is served"),
        (["--python", "3"], "3 is no version that is served"),
    ],
)
def test_a_wheelhouse_that_cannot_be(tmp_path: Path, words: list[str], said: str) -> None:
    command = [sys.executable, str(ROOT / "scripts/wheelhouse"), str(tmp_path / "house"), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and said in done.stderr
    assert list(tmp_path.iterdir()) == []
