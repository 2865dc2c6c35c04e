"""Doors that are broken on purpose: what knocks at doors must notice each."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from tests.fuzz.door import Attempt, Door, Opened
from wire.troubles import Refused

RARE = b"\xff"


def _sound(content: bytes) -> None:
    if len(content) % 2:
        raise Refused("it is odd")


def _raises(content: bytes) -> None:
    if RARE in content:
        raise KeyError("a bug")


def _computes(content: bytes) -> None:
    while RARE in content:
        pass


def _waits(content: bytes) -> None:
    if RARE in content:
        time.sleep(600)


def _eats(content: bytes) -> None:
    if RARE in content:
        bytearray(1 << 30)


def _dies(content: bytes) -> None:
    if RARE in content:
        os.kill(os.getpid(), signal.SIGSEGV)


def _trap(name: str, attempt: Attempt, hangs_s: float = 60.0) -> Door:
    """hangs_s: by the clock, on which a busy machine takes long for a little work."""

    def open_(folder: Path, last: ExitStack) -> Opened:
        print(folder, file=sys.stderr, flush=True)  # who died is asked whether it is gone
        return Opened(attempt, (b"seed of a trap", RARE * 9))

    return Door(name, "a test", open_, words=(RARE,), limit_s=0.1, hangs_s=hangs_s)


DOORS = (
    _trap("sound", _sound),
    _trap("raises", _raises),
    _trap("computes", _computes),
    _trap("waits", _waits, hangs_s=1.0),
    _trap("eats", _eats),
    _trap("dies", _dies),
)
BY_NAME = {door.name: door for door in DOORS}
