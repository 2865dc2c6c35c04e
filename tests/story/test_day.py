"""A day of a device, with its clock driven fast: whatever dies, every record arrives once."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

DAY = 24 * 60  # minutes
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


class Driven:
    """The process of a driven agent; it can be killed and started again."""

    def __init__(self, folder: Path, port: int, by: str, mib: int) -> None:
        self._folder = folder
        self._words = [str(folder), str(port), by, str(mib)]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.driven_agent", *self._words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            stderr=open(self._folder / "log", "a"),
        )  # fmt: skip
        self.hear("ready")

    def tell(self, words: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(words + "\n")
        self._process.stdin.flush()

    def hear(self, expected: str) -> None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        assert line == expected, f"{line!r}: {(self._folder / 'log').read_text()[-3000:]}"

    def to(self, minute: int) -> None:
        self.tell(f"to {minute}")
        self.hear(f"at {minute}")

    def settle(self) -> None:
        self.tell("settle")
        self.hear("settled")

    def kill_on_the_way_to(self, minute: int) -> None:
        """kill -9, somewhere on the way."""
        self.tell(f"to {minute}")
        time.sleep(random.uniform(0.1, 0.6))
        self._process.kill()
        self._end()
        self.start()
        self.to(minute)

    def end(self) -> None:
        if self._process.poll() is None:
            self.tell("end")
            self.hear("ended")
        self._end()

    def _end(self) -> None:
        self._process.wait(20)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@contextmanager
def driven(folder: Path, port: int, by: str, mib: int = 64) -> Iterator[Driven]:
    folder.mkdir()
    agent = Driven(folder, port, by, mib)
    try:
        yield agent
    finally:
        agent._process.kill()
        agent._end()


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "state").glob("spool*"))
