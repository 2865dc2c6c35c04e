"""Measures one combination in a process of its own: a crash or a refusal is a row that says why."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import msgspec

from runtime.building import build_now
from runtime.child import ROOT, SMALL_PICTURES
from runtime.ending import own_words, signal_name
from runtime.locating import locate
from runtime.suite import Job, Measured, Row
from runtime.suite.jobs import command_of
from wire.troubles import Trouble

LOADING_S = 60.0  # and one more for every megabyte of the model, as in a check
SLACK = 5.0  # times the seconds that it should take: slow models are given their fewest frames
LATE_S = 30.0  # for the end of a process that should have ended itself


def row_of(job: Job, seconds: float, said: Callable[[str], None]) -> Row:
    """What one combination takes. said: told, a line each, what is built for it first."""
    try:
        with locate(job.path, job.of.engine) as located:
            build_now(located, said)
            loading_s = LOADING_S + located.file.stat().st_size // 1_000_000
    except (Trouble, OSError) as trouble:
        return Row(job.of, None, str(trouble).removeprefix(f"{job.path}: "))
    limit = int(loading_s + SLACK * seconds)
    paths = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)
    command = [sys.executable, "-m", "runtime", "measure", *command_of(job, seconds)]
    try:
        child = subprocess.run(
            [*command, "--limit", str(limit)], cwd=ROOT, capture_output=True, text=True,
            errors="replace", stdin=subprocess.DEVNULL, timeout=limit + LATE_S,
            env=os.environ | {"PYTHONPATH": paths} | SMALL_PICTURES,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Row(job.of, None, f"is not done within {limit} s")
    if child.returncode == 0:  # drivers print, too
        figures = [line for line in child.stdout.splitlines() if line.startswith("{")]
        return Row(job.of, msgspec.json.decode(figures[-1], type=Measured), None)
    why = reason(child.returncode, child.stderr, limit)
    return Row(job.of, None, why.removeprefix(f"{job.path}: "))


def reason(code: int, said: str, limit: int) -> str:
    """Why a process has no figures. said: its stderr."""
    ours = own_words(said)
    if code in (1, 2) and ours is not None:
        return ours
    if code == -signal.SIGALRM:
        return f"is not done within {limit} s"
    if code == -signal.SIGKILL:  # by the kernel: it is the first to go when memory runs out
        return "needs more memory than is free here now"
    if code < 0:
        return f"crashes its engine ({signal_name(-code)})"
    return (said.strip().splitlines() or [f"ends with {code}"])[-1]
