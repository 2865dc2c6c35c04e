"""`python -m runtime check PATH`: may this model be run here? Asked in a process of its own.

Contract, golden answers, memory and time. The one who asks survives whatever the model does.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
from collections.abc import Sequence
from pathlib import Path

import msgspec

from runtime.checking import check
from runtime.engines import EngineOptions


def main(argv: Sequence[str]) -> int:
    options = _parser().parse_args(argv)
    _limit(options.memory_mb, options.seconds)
    report = check(options.path, options.engine, EngineOptions(threads=options.threads))
    if options.json:
        print(msgspec.json.encode(report).decode())
    else:
        print(
            f"{report.name} {report.version} on {report.engine}: keeps its manifest, "
            f"{report.golden} golden samples right, loaded in {report.load_ms:.0f} ms, "
            f"{report.inference_us:.0f} us a run, {report.peak_rss_mb:.0f} MB at most"
        )
    return 0


def _limit(memory_mb: int, seconds: int) -> None:
    """A model that wants too much ends the check, not the machine nor the live pipeline."""
    os.nice(10)
    Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")  # first to be ended
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
    parser.add_argument("--engine", help="litert, onnxruntime or null; default: by format")
    parser.add_argument("--threads", type=int, help="default: cores - 1")
    parser.add_argument("--memory-mb", type=int, default=0, help="limit; 0: none (default)")
    parser.add_argument("--seconds", type=int, default=0, help="limit; 0: none (default)")
    parser.add_argument("--json", action="store_true", help="print the report as one JSON line")
    return parser
