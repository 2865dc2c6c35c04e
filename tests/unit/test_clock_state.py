"""Whether the clock is synchronised: by the kernel, else by what systemd-timesyncd leaves."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from agent.clock_state import clock_synchronised, kernel_error_us


def forbidden() -> int | None:
    return None


@pytest.mark.parametrize(
    ("error_us", "synchronised"),
    [(0, True), (500_000, True), (15_999_999, True), (16_000_000, False), (2**31, False)],
)
def test_a_small_error_is_synchronised(tmp_path: Path, error_us: int, synchronised: bool) -> None:
    assert clock_synchronised(tmp_path, lambda: error_us) is synchronised


def test_without_the_kernel_the_time_service_is_asked(tmp_path: Path) -> None:
    assert clock_synchronised(tmp_path, forbidden) is None
    folder = tmp_path / "run/systemd/timesync"
    folder.mkdir(parents=True)
    assert clock_synchronised(tmp_path, forbidden) is False
    (folder / "synchronized").touch()
    assert clock_synchronised(tmp_path, forbidden) is True


def test_the_kernel_is_only_asked_never_set() -> None:
    """The real call, and the status flag of the same call says whether the error is the limit."""
    error_us = kernel_error_us()
    if error_us is None:
        pytest.skip("asking the kernel for its clock is forbidden here")
    assert 0 <= error_us <= 2**62

    class Full(ctypes.Structure):
        _fields_ = (
            ("modes", ctypes.c_uint),
            ("offset", ctypes.c_long),
            ("freq", ctypes.c_long),
            ("maxerror", ctypes.c_long),
            ("esterror", ctypes.c_long),
            ("status", ctypes.c_int),
            ("rest", ctypes.c_char * 512),
        )

    full = Full()
    state = ctypes.CDLL(None).adjtimex(ctypes.byref(full))
    assert 0 <= state <= 5
    is_unset = bool(full.status & 0x40) and full.maxerror >= 16_000_000
    assert clock_synchronised(Path("/")) is not is_unset
