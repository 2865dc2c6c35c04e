"""`python -m runtime check PATH`: may this model be run here? Asked in a process of its own.

Contract, golden answers, memory and time. The one who asks survives whatever the model does.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import resource
import signal
from collections.abc import Sequence
from pathlib import Path

import msgspec

from runtime.checking import check
from runtime.commands.flags import add_engine_options, engine_options, positive
from wire.troubles import Refused

END_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


def main(argv: Sequence[str]) -> int:
    options = _parser().parse_args(argv)
    _limit(options.memory_mb, options.seconds)
    try:
        report = check(options.path, options.engine, engine_options(options))
    except MemoryError:
        raise Refused(f"{options.path}: needs more memory than it may have") from None
    if options.json:
        print(msgspec.json.encode(report).decode())
    else:
        print(
            f"{report.name} {report.version} on {report.engine}: keeps its manifest, "
            f"{report.golden} golden samples right, loaded in {report.load_ms:.0f} ms, "
            f"{report.inference_us:.0f} us a run, {report.peak_rss_mb:.0f} MB at most"
        )
    return 0


def _limit(memory_mb: int | None, seconds: int | None) -> None:
    """A model that wants too much ends the check, not the machine nor the live pipeline."""
    os.nice(10)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m runtime check", description=__doc__)
    parser.add_argument("path", help="model folder, bundle or model file")
    add_engine_options(parser)
    parser.add_argument("--memory-mb", type=positive, metavar="N", help="limit; default: none")
    parser.add_argument("--seconds", type=positive, metavar="N", help="limit; default: none")
    parser.add_argument("--json", action="store_true", help="print the report as one JSON line")
    return parser
