"""What a process that tries unknown models may take: it ends before the machine suffers."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import resource
import signal
from pathlib import Path

from runtime.commands.flags import positive

END_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


def add_limit_options(parser: argparse.ArgumentParser) -> None:
    """--memory-mb and --seconds."""
    parser.add_argument("--memory-mb", type=positive, metavar="N", help="limit; default: none")
    parser.add_argument("--seconds", type=positive, metavar="N", help="limit; default: none")


def limit_this_process(memory_mb: int | None, seconds: int | None) -> None:
    """A model that wants too much ends this process, not the machine nor a live pipeline."""
    os.nice(10)
    end_before_others(memory_mb, seconds)


def end_before_others(memory_mb: int | None, seconds: int | None) -> None:
    """The same at the usual priority, for what measures."""
    with contextlib.suppress(OSError):  # no /proc here
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")  # first to be ended
    ctypes.CDLL(None).prctl(END_WITH_PARENT, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_mb:
        size = memory_mb * 1024 * 1024
        resource.setrlimit(resource.RLIMIT_DATA, (size, size))
    if seconds:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(seconds)
