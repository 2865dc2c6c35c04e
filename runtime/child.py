"""Try an unknown model in a child process first, so that a native crash is an error message."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from runtime.checking import Report
from runtime.locating import Located
from wire.durable import write_durably
from wire.troubles import Refused, Unavailable

SECONDS = 60
MEMORY_MB = 4096
MESSAGE_START = "vedette: "


def try_in_child(located: Located, threads: int | None) -> None:
    """Raises Refused if the model is bad, crashes, hangs or eats memory. Remembers a success."""
    if located.known or located.engine_kind == "null":
        return
    remembered = _remembered(located)
    if remembered.exists():
        return
    path = located.file if located.manifest is None else located.folder
    run_check(path, located.engine_kind, threads)
    _remember(remembered)


def run_check(path: Path, engine_kind: str, threads: int | None = None) -> Report:
    """`python -m runtime check` on a folder or file. Raises Refused or Unavailable as it said, and
    Refused if it crashed, hung or ran out of its memory."""
    command = [sys.executable, "-m", "runtime", "check", str(path), "--json"]
    command += ["--engine", engine_kind]
    command += ["--seconds", str(SECONDS), "--memory-mb", str(MEMORY_MB)]
    command += ["--threads", str(threads)] if threads else []
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        child = subprocess.run(
            command, capture_output=True, text=True, errors="replace", env=environment,
            timeout=SECONDS + 30,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Refused(f"{path}: does not finish loading within {SECONDS} s") from None
    _judge(path, child.returncode, child.stderr)
    return msgspec.json.decode(child.stdout, type=Report)


def _judge(path: Path, code: int, said: str) -> None:
    if code == 0:
        return
    ours = [line for line in said.splitlines() if line.startswith(MESSAGE_START)]
    if code in (1, 2) and ours:
        trouble = Refused if code == 2 else Unavailable
        raise trouble(ours[-1].removeprefix(MESSAGE_START))
    if code == -signal.SIGALRM:
        raise Refused(f"{path}: does not finish loading and one run within {SECONDS} s")
    if "MemoryError" in said or "bad_alloc" in said:
        raise Refused(f"{path}: needs more than {MEMORY_MB} MB of memory")
    if code < 0:
        name = signal.Signals(-code).name
        raise Refused(f"{path}: crashes its engine ({name}): the file is broken or hostile")
    last = (said.strip().splitlines() or [f"exit code {code}"])[-1]
    raise Refused(f"{path}: cannot be run: {last}")


def _remembered(located: Located) -> Path:
    """A file that says: these very bytes were tried here with this engine and did no harm."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "vedette" / "tried" / f"{located.digest}-{located.engine_kind}"


def _remember(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, b"")
    except OSError:  # a read-only home costs a second try, nothing else
        return
