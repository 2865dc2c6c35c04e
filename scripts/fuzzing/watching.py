"""Runs children at one door until its inputs are spent; one that dies or hangs is a find too."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

import msgspec

from scripts.fuzzing.board import Board
from scripts.fuzzing.finds import REASON, Find, save
from scripts.fuzzing.jobs import Engine, Found, Job, Report
from tests.fuzz.door import Door, scratch

ROOT = Path(__file__).resolve().parents[2]
POLL_S = 0.1
BEGIN_S = 600.0  # until a door stands open, also for who is as nice as can be
MOST_DEATHS = 10  # of children, at one door
TOO_MANY = 3
OVER = "over"  # its time is


class Wish(msgspec.Struct, frozen=True):
    """How long a door is knocked at, and how. crashes: where finds go. table: that has the door."""

    engine: Engine
    inputs: int
    seconds: float
    seed: int
    crashes: Path
    table: str = "tests.fuzz.doors"


def knocked(door: Door, wish: Wish) -> Report:
    """All that came of one door."""
    began_s = time.monotonic()
    edges: int | None = None
    with scratch() as place:  # the child's own folder is in it: a child may be killed
        path = place / "board"
        before = _finds(wish.crashes, door)
        for death in range(MOST_DEATHS):
            with Board(path) as board:
                left = wish.inputs - board.inputs
            left_s = wish.seconds - (time.monotonic() - began_s)
            if left <= 0 or left_s <= 0:
                break
            job = Job(
                door.name, wish.engine, left, left_s, wish.seed + death, str(path),
                str(wish.crashes), wish.table,
            )  # fmt: skip
            ended, said = _child(job, door, path)
            edges = max(filter(None, (edges, _edges(said))), default=edges)
            if ended:
                break
        with Board(path) as board:
            found = tuple(map(_told, sorted(_finds(wish.crashes, door) - before)))
            return Report(
                door.name, wish.engine, board.inputs, board.taken, board.refused,
                time.monotonic() - began_s, edges, board.peak_kib / 1024, found,
            )  # fmt: skip


def _child(job: Job, door: Door, path: Path) -> tuple[bool, str]:
    """Whether it came to its end by itself, and what it said."""
    command = [sys.executable, "-m", "scripts.fuzzing.child", msgspec.json.encode(job).decode()]
    with tempfile.TemporaryFile("w+", errors="replace") as said, Board(path) as board:
        child = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=said, stdin=subprocess.DEVNULL
        )
        try:
            kind = _wait(
                child, board, door.hangs_s, job.seconds if job.engine == "atheris" else None
            )
        finally:
            child.kill()
            child.wait()
        content = board.read()
        words = _end_of(said)
        if kind == OVER or (kind is None and child.returncode in (0, TOO_MANY)):
            return True, words
        if content is None and board.inputs == 0:
            raise RuntimeError(f"the door {door.name} does not open:\n{words}")
        if kind is None and content is None and job.engine == "atheris":
            return False, words  # it died between two inputs: that was not the door
        find = Find(kind or "death", f"exit code {child.returncode}", words)
        save(Path(job.crashes), door.name, find, content or b"")
        board.clear_input()
        return False, words


def _wait(
    child: subprocess.Popen[bytes], board: Board, hangs_s: float, most_s: float | None
) -> str | None:
    """Until it ends, or hangs, or has knocked for so long."""
    before, began_ns, first_ns = board.inputs, time.monotonic_ns(), None
    while child.poll() is None:
        time.sleep(POLL_S)
        busy = board.read()
        now_ns = time.monotonic_ns()
        if busy is not None and now_ns - board.begun_ns > hangs_s * 1e9:
            return "hang"
        if busy is None and board.inputs == 0 and now_ns - began_ns > BEGIN_S * 1e9:
            return "hang"
        if first_ns is None and board.inputs > before:
            first_ns = now_ns
        if most_s is not None and first_ns is not None and now_ns - first_ns > most_s * 1e9:
            return OVER
    return None


def _end_of(said: IO[str]) -> str:
    said.seek(0)
    return said.read()[-20_000:]


def _edges(said: str) -> int | None:
    found = re.findall(r"\bcov: (\d+)", said)
    return int(found[-1]) if found else None


def _finds(folder: Path, door: Door) -> set[Path]:
    return {path for path in folder.glob(f"{door.name}-*") if path.suffix != REASON}


def _told(path: Path) -> Found:
    reason = path.with_name(path.name + REASON)
    kind = path.name.rsplit("-", 2)[1]
    return Found(kind, str(path), reason.read_text().partition("\n")[0] if reason.exists() else "")
