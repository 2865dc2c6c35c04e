"""Says what is done while it is done, and in the end what came of it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from installing.troubles import Trouble


class Progress:
    """One run's lines on standard error. steps: how many there will be."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._done = 0
        self._began_s = time.monotonic()
        self.notes: list[str] = []

    def step(self, what: str) -> None:
        self._done += 1
        self._write(f"[{min(self._done, self._steps)}/{self._steps}] {what}")

    def say(self, what: str) -> None:
        """More about the step."""
        self._write(f"      {what}")

    def note(self, what: str) -> None:
        """Said now, and once more at the end."""
        self.notes.append(what)
        self.say(what)

    def _write(self, line: str) -> None:
        # whoever listened may be gone, with the terminal: what was begun must come to its end
        with contextlib.suppress(OSError, ValueError):
            print(f"install: {line}", file=sys.stderr, flush=True)

    @property
    def seconds(self) -> float:
        return round(time.monotonic() - self._began_s, 1)


def conclude(summary: dict[str, object], lines: Sequence[str], as_json: str | None) -> None:
    """What came of it, on standard output. as_json: not None for one JSON object."""
    text = json.dumps(summary) if as_json is not None else "\n".join(lines)
    if not text:
        return
    with contextlib.suppress(OSError, ValueError):
        print(text, flush=True)


def complain(what: str) -> None:
    """Why it ends, as the last line on standard error."""
    with contextlib.suppress(OSError, ValueError):
        print(f"install: {what}", file=sys.stderr, flush=True)


def run(
    words: Sequence[str | Path],
    timeout_s: float = 120.0,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """A program's output. folder: where it is run. env: what it is told beside what we were told.
    Raises Trouble with its last lines if it fails."""
    name = Path(words[0]).name
    try:
        done = subprocess.run(
            [str(word) for word in words], capture_output=True, encoding="utf-8", errors="replace",
            timeout=timeout_s, check=False, stdin=subprocess.DEVNULL, cwd=folder,
            env={**os.environ, **(env or {})},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Trouble(f"{name} gave no answer in {timeout_s:.0f} s") from None
    except OSError as error:
        raise Trouble(f"{name} does not run: {error.strerror}") from None
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise Trouble(f"{name} failed: {' | '.join(said[-4:]) or f'exit code {done.returncode}'}")
    return done.stdout
