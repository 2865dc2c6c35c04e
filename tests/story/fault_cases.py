"""Tries cases, some at once, each in a process of its own. Run by what test_faults starts."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.story.fault_lives import fork

OVER = "over"  # in our place: begin no more


def try_all(
    cases: Sequence[str],
    place: Path,
    shared: Path,
    at_once: int,
    try_case: Callable[[str, Path], list[str]],
) -> None:
    """Each that nobody else has begun. try_case: gets a case and a folder that is not there yet,
    and returns what was wrong. shared: there all processes say what they have begun, and what was
    wrong with it, in files named by the case."""
    waiting, running = list(enumerate(cases)), dict[int, tuple[str, Path]]()
    while waiting or running:
        while waiting and len(running) < at_once and not (place / OVER).exists():
            number, case = waiting.pop(0)
            if is_ours(case, shared):
                running[begin(case, place, number, try_case)] = (case, place / str(number))
        if not running:
            return
        pid, code = os.wait()
        case, life = running.pop(pid)
        tell(case, shared, wrong_of(life, code))


def is_ours(case: str, shared: Path) -> bool:
    """From now on, unless another process was there first."""
    try:
        (shared / f"{case}.begun").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def begin(case: str, place: Path, number: int, try_case: Callable[[str, Path], list[str]]) -> int:
    def work() -> None:
        life = place / str(number)
        said = json.dumps(try_case(case, life))
        life.with_suffix(".json").write_text(said)

    return fork(work)


def wrong_of(life: Path, code: int) -> list[str]:
    said = life.with_suffix(".json")
    wrong: list[str] = json.loads(said.read_text()) if said.exists() else [f"exit code {code}"]
    if wrong and (life / "log").exists():
        wrong.append((life / "log").read_text()[-3000:])
    return wrong


def tell(case: str, shared: Path, wrong: list[str]) -> None:
    whole = shared / f"{case}.wrong"
    half = whole.with_suffix(".part")
    half.write_text(json.dumps(wrong))
    half.rename(whole)
