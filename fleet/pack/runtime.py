"""Asks `python -m runtime` about a model, in a process that may crash, hang or eat memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TypeVar

import msgspec
from msgspec import Struct

from fleet.passphrase import environment
from models.manifest import Manifest
from wire.complaints import shortened
from wire.troubles import Refused, Unavailable

SECONDS = 60  # and one more for every megabyte of the model
MEMORY_SHARE = 0.75  # of what the machine has
LEAST_MEMORY_MB = 1024  # the limit is on promised memory, of which Python itself takes some
ROOT = Path(__file__).resolve().parents[1]  # where `python -m runtime` is found
OURS, PROGRESS = "vedette: ", "progress: "
MOST_PIXELS = 1 << 27  # of a picture: a small file may claim to be a vast one
LONGEST_LINE = 8192  # bytes of what an engine prints
LAST_LINES = 50

Note = Callable[[str], None]
Told = TypeVar("Told", bound=Struct)


class Description(Struct, frozen=True):
    """What `describe` tells. guesses, filled: a line each."""

    manifest: Manifest
    engine: str
    guesses: tuple[str, ...]
    filled: tuple[str, ...]
    labels: int


class Chosen(Struct, frozen=True):
    """A golden sample that `goldens` made. source: the picture it was made of."""

    picture: str
    source: str
    found: str


class Made(Struct, frozen=True):
    """What `goldens` tells. passed_over: pictures that the model is not sure of."""

    chosen: tuple[Chosen, ...]
    looked_at: int
    passed_over: int
    tolerance: float


class Report(Struct, frozen=True):
    """What `check` tells. inference_us: the median of a few runs."""

    engine: str
    golden: int
    load_ms: float
    inference_us: float
    peak_rss_mb: float


def describe(path: Path) -> Description:
    """The whole manifest of a model folder or file."""
    return ask(["describe", os.path.abspath(path)], path, _seconds(path), Description)


def make_goldens(folder: Path, pictures: Path, count: int, note: Note) -> Made:
    """Write golden samples, and the manifest that names them, into a model folder.

    note: told now and then, in a line, how far it is.
    """
    words = ["goldens", os.path.abspath(folder), os.path.abspath(pictures), f"--count={count}"]
    return ask(words, folder, 10 * _seconds(folder), Made, note)


def check(folder: Path) -> Report:
    """May this model be run? Contract, golden answers, memory and time."""
    return ask(["check", os.path.abspath(folder)], folder, _seconds(folder), Report)


def ask(
    words: Sequence[str], path: Path, seconds: int, kind: type[Told], note: Note | None = None
) -> Told:
    """Run one command of the runtime. Raises Refused or Unavailable as it said, and Refused if the
    model at `path` crashed it, took longer than `seconds` or more memory than there is."""
    memory_mb = _memory_mb()
    command = [sys.executable, "-m", "runtime", *words, "--json"]
    command += [f"--seconds={seconds}", f"--memory-mb={memory_mb}"]
    # not in the user's folder: Python would take a runtime/ or a numpy.py that lies there for ours
    paths = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)
    more = {"PYTHONPATH": paths, "OPENCV_IO_MAX_IMAGE_PIXELS": str(MOST_PIXELS)}
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, cwd=ROOT,
            env=environment() | more,
        )  # fmt: skip
        with child:
            try:
                said = _listen(child.stderr, note)
                code = child.wait()
            except BaseException:
                child.kill()
                raise
        _judge(path, code, said, seconds, memory_mb)
        out.seek(0)
        return msgspec.json.decode(out.read(), type=kind)


def _listen(stream: IO[bytes] | None, note: Note | None) -> list[str]:
    """What was said until the end, its last lines; what tells of progress is passed on."""
    assert stream is not None
    said: deque[str] = deque(maxlen=LAST_LINES)
    while raw := stream.readline(LONGEST_LINE):
        line = raw.decode("utf-8", "replace").rstrip("\n")
        if line.startswith(PROGRESS):
            if note is not None:
                note(line.removeprefix(PROGRESS))
        else:
            said.append(line)
    return list(said)


def _judge(path: Path, code: int, said: Sequence[str], seconds: int, memory_mb: int) -> None:
    if code == 0:
        return
    ours = [line for line in said if line.startswith(OURS)]
    if code in (1, 2) and ours:
        raise (Refused if code == 2 else Unavailable)(ours[-1].removeprefix(OURS))
    if code == -signal.SIGALRM:
        raise Refused(f"{path}: is not done within {seconds} s: the file is hostile, or too large "
                      "for this machine")  # fmt: skip
    if any("MemoryError" in line or "bad_alloc" in line for line in said):
        raise Refused(f"{path}: needs more than {memory_mb} MB of memory")
    if code == -signal.SIGKILL:  # by the kernel: the child is the first to go when memory runs out
        raise Refused(f"{path}: needs more memory than is free here: stop others, and try again")
    if code < 0:
        name = signal.Signals(-code).name
        raise Refused(f"{path}: crashes its engine ({name}): the file is broken or hostile")
    last = next((line for line in reversed(said) if line.strip()), f"exit code {code}")
    raise Refused(f"{path}: cannot be run: {shortened(last)}")


def _seconds(path: Path) -> int:
    files = path.iterdir() if path.is_dir() else [path]
    return SECONDS + sum(each.stat().st_size for each in files if each.is_file()) // 1_000_000


def _memory_mb() -> int:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(LEAST_MEMORY_MB, int(pages * MEMORY_SHARE) >> 20)
