"""`python -m runtime check PATH`: may this model be run here? Asked in a process of its own.

Contract, golden answers, memory and time. The one who asks survives whatever the model does.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from runtime.engines import EngineOptions
from runtime.golden import check_golden
from runtime.locating import locate, resolve
from runtime.memory import peak_rss_bytes
from runtime.opening import open_model
from wire.troubles import Refused


class Report(msgspec.Struct, frozen=True):
    """What a check found out. inference_us is the median of five runs on zeroed input."""

    ok: bool
    name: str
    version: str
    digest: str
    engine: str
    golden: int
    load_ms: float
    inference_us: float
    peak_rss_mb: float


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


def check(path: str, engine_kind: str | None, options: EngineOptions) -> Report:
    """Open the model and try it. Raises Refused with what is wrong."""
    started = time.monotonic_ns()
    with locate(resolve(path), engine_kind) as located:
        model = open_model(located, options)
        loaded = time.monotonic_ns()
        golden = check_golden(model, located.folder)
        runs = []
        for _ in range(5):
            before = time.monotonic_ns()
            model.engine.run()
            runs.append(time.monotonic_ns() - before)
        model.engine.close()
    peak_mb = peak_rss_bytes() / 1e6
    allowed = model.manifest.limits.memory_mb
    if allowed is not None and peak_mb > allowed:
        raise Refused(f"{path}: used {peak_mb:.0f} MB of memory, its manifest allows {allowed:g}")
    return Report(
        True,
        model.manifest.name,
        model.manifest.version,
        model.digest,
        located.engine_kind,
        golden,
        (loaded - started) / 1e6,
        sorted(runs)[2] / 1e3,
        peak_mb,
    )


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
