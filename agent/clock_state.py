"""Whether the system clock follows a time server: asked of the kernel, changed never."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

# The kernel raises the error that it admits while nobody corrects the clock. From 16 s on the
# clock counts as unsynchronised. The flag STA_UNSYNC is no answer: some set it to guard the
# hardware clock.
LARGEST_ERROR_US = 16_000_000
TIMESYNCD = "run/systemd/timesync"  # its folder, and a file in it once the clock was right


class _Timex(ctypes.Structure):
    """The start of `struct timex`, with room for the rest of it on every architecture."""

    _fields_ = (
        ("modes", ctypes.c_uint),  # 0: only read
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("rest", ctypes.c_char * 512),
    )


def kernel_error_us() -> int | None:
    """How wrong the clock may be, in microseconds; None where asking is forbidden (a container, or
    a service with ProtectClock)."""
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return None
    timex = _Timex()
    return None if adjtimex(ctypes.byref(timex)) < 0 else int(timex.maxerror)


def clock_synchronised(
    root: Path, error_us: Callable[[], int | None] = kernel_error_us
) -> bool | None:
    """By the kernel; where it may not be asked, by what systemd-timesyncd has left: that it did
    set the clock since boot. None: nobody says."""
    error = error_us()
    if error is not None:
        return error < LARGEST_ERROR_US
    folder = root / TIMESYNCD
    try:
        return (folder / "synchronized").exists() if folder.is_dir() else None
    except OSError:
        return None
