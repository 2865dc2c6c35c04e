"""What the memory limit of a check counts: memory that is used, not addresses that are reserved."""

from __future__ import annotations

import mmap
import subprocess
import sys

import pytest

from tests.laws.sources import ROOT

TRY = """
import mmap, sys
from runtime.limits import end_before_others
end_before_others(512, None)
bytes_wanted, flags, protection = map(int, sys.argv[1:])
mmap.mmap(-1, bytes_wanted, flags=flags, prot=protection)
"""
PRIVATE, SHARED = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS
READ_WRITE = mmap.PROT_READ | mmap.PROT_WRITE


@pytest.mark.parametrize(
    ("gib", "flags", "protection", "is_allowed"),
    [
        (64, PRIVATE, 0, True),  # as CUDA reserves addresses
        (1, SHARED, READ_WRITE, True),  # as it maps the device's memory
        (1, PRIVATE, READ_WRITE, False),
    ],
)
def test_only_private_writable_memory_counts(
    gib: int, flags: int, protection: int, is_allowed: bool
) -> None:
    words = [str(gib << 30), str(flags), str(protection)]
    done = subprocess.run(
        [sys.executable, "-c", TRY, *words], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode == 0) == is_allowed, done.stderr
    assert is_allowed or "Cannot allocate memory" in done.stderr
