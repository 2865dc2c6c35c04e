"""Try an unknown model in a child process first, so that a native crash is an error message."""

from __future__ import annotations

import contextlib
import grp
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import msgspec

from runtime.check_report import Report
from runtime.ending import Allowance, judge
from runtime.engines import EngineOptions
from runtime.kept import cache_folder
from runtime.locating import Located
from wire.durable import write_durably
from wire.troubles import Refused
from wire.unreadable import UNREADABLE

SECONDS = 60  # and one more for every megabyte of the model
MEMORY_SHARE = 0.75  # of what the machine has: one that wants more would not run here anyway
LEAST_MEMORY_MB = 1024  # the limit is on promised memory, of which Python itself takes some
REPORT_START = '{"ok":'
SERVICE_CACHE = "/var/cache"  # as in vedette-runtime@.service: what it has built lies there
WEIGHTS_COPIED = 2  # the file, and the same numbers as the engine's kernels want them
# a golden sample of 30,000 x 30,000 is a small file, and takes the memory of a whole board
SMALL_PICTURES = {"OPENCV_IO_MAX_IMAGE_PIXELS": str(1 << 27)}
ROOT = Path(__file__).resolve().parents[1]  # where `python -m runtime` is found


def try_in_child(located: Located, options: EngineOptions) -> None:
    """Raises Refused if the model is bad, crashes, hangs or eats memory. Remembers a success."""
    if located.known or located.engine_kind == "null":
        return
    remembered = _remembered(located, options)
    if remembered is not None and os.path.exists(remembered):
        return
    check_in_child(located, options)


def check_in_child(located: Located, options: EngineOptions) -> Report:
    """What a child finds out about a model, whatever is remembered of it. Raises as `run_check`
    does. Remembers a success."""
    path = located.file if located.manifest is None else located.folder
    report = run_check(path, located.engine_kind, options)
    remembered = _remembered(located, options)
    if remembered is not None:
        _remember(remembered, report)
    return report


def needed_bytes(located: Located, options: EngineOptions) -> int:
    """How much memory a model will take: what its check took, or what its file makes likely."""
    remembered = _remembered(located, options)
    if remembered is not None:
        with contextlib.suppress(OSError, *UNREADABLE):
            report = msgspec.json.decode(remembered.read_bytes(), type=Report)
            return int((report.peak_rss_mb - report.base_rss_mb + report.device_mb) * 1e6)
    return WEIGHTS_COPIED * located.file.stat().st_size


def run_check(
    path: Path, engine_kind: str, options: EngineOptions | None = None, user: str | None = None
) -> Report:
    """`python -m runtime check` on a folder or file. user: as whom, None: as we are. Raises Refused
    or Unavailable as it said, Refused if it crashed, hung or ran out of its memory, and Unavailable
    if the machine had no memory left for it: that is not the model's fault alone."""
    allowed = Allowance(SECONDS + _megabytes(path), _memory_mb())
    command = [sys.executable, "-m", "runtime", "check", os.path.abspath(path), "--json"]
    command += ["--engine", engine_kind]
    command += ["--seconds", str(allowed.seconds), "--memory-mb", str(allowed.memory_mb)]
    if options is not None:
        command += ["--threads", str(options.thread_count)]
        command += [f"--accelerator={name}" for name in options.accelerators]
    # Not in the user's folder: Python would take a runtime/ or a numpy.py that lies there for ours.
    paths = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)
    more = {"PYTHONPATH": paths} | SMALL_PICTURES
    more |= {} if user is None else {"XDG_CACHE_HOME": SERVICE_CACHE}
    try:
        child = subprocess.run(
            command, capture_output=True, text=True, errors="replace", cwd=ROOT,
            env=os.environ | more, timeout=allowed.seconds + 30,
            user=user, group=user, extra_groups=None if user is None else _groups(),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Refused(f"{path}: does not finish loading within {allowed.seconds} s") from None
    judge(path, child.returncode, child.stderr, allowed)
    return _report_in(child.stdout)


def _report_in(output: str) -> Report:
    """Drivers of accelerators print what they like, before and after it."""
    lines = [line for line in output.splitlines() if line.startswith(REPORT_START)]
    return msgspec.json.decode(lines[-1], type=Report)


def _groups() -> list[int]:
    """Of the runtime's unit, and those that have an accelerator."""
    return [one.gr_gid for one in grp.getgrall() if one.gr_name in ("video", "render")]


def _megabytes(path: Path) -> int:
    files = path.iterdir() if os.path.isdir(path) else [path]
    return sum(each.stat().st_size for each in files if os.path.isfile(each)) // 1_000_000


def _memory_mb() -> int:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(LEAST_MEMORY_MB, int(pages * MEMORY_SHARE) >> 20)


def _remembered(located: Located, options: EngineOptions) -> Path | None:
    """A file that says: these very bytes were tried here with this engine and did no harm.

    None where there is no home to keep it in.
    """
    cache = cache_folder()
    if cache is None:
        return None
    name = f"{located.digest}-{located.engine_kind}"
    if options.accelerators:  # paths and options, of any length and in any letters
        name += f"-{hashlib.sha256(repr(options.accelerators).encode()).hexdigest()}"
    return cache / "tried" / name


def _remember(path: Path, report: Report) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, msgspec.json.encode(report))
    except OSError:  # a read-only home costs a second try, nothing else
        return
