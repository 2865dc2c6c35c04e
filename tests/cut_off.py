"""Commands that die, as by a power cut, before they change the disk for the n-th time."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.laws.sources import ROOT

CALLS = ("fsync", "rename", "mkdir", "unlink", "rmdir", "chmod", "fchmod", "chown")
MOST_STEPS = 200
STEPS = (*range(6), *range(6, MOST_STEPS, 3))  # enough to meet every kind of step


class Mortal:
    """Runs commands, each in a process of its own that may die."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, steps: int, *words: str) -> int:
        """The exit code, -9 if it died. steps: so many changes to the disk it lives through."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([steps, *words]) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextmanager
def mortal() -> Iterator[Mortal]:
    """A process that forks those that die: it has imported all that they need."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.cut_off"], cwd=ROOT, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    with process:
        yield Mortal(process)


def serve() -> None:
    for line in sys.stdin:
        steps, *words = json.loads(line)
        pid = os.fork()
        if not pid:
            die_after(steps)
            os._exit(run(words))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def run(words: list[str]) -> int:
    import vedette

    with open(os.devnull, "w") as nowhere:
        sys.stdout = nowhere
        return vedette.main(words)


def die_after(steps: int, calls: Sequence[str] = CALLS) -> None:
    """This process ends by SIGKILL before it makes one of these calls of os once more."""
    left = steps

    def dying(name: str) -> None:
        call = getattr(os, name)

        def instead(*words: Any, **more: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*words, **more)

        setattr(os, name, instead)

    for name in calls:
        dying(name)


EARLY = (
    "agent.commands.enroll",
    "cryptography.x509",
    "cryptography.hazmat.primitives.asymmetric.ec",
    "fleet.commands.broker",
    "fleet.commands.enroll",
    "fleet.commands.revoke",
    "tomlkit",
)

if __name__ == "__main__":
    for module in EARLY:  # once, not in each of those that die
        importlib.import_module(module)
    serve()
