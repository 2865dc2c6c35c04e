"""Runs the real front door as a user does: in a folder, home and temporary folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests import warm

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 100


# `fleet pack` says what goes on, where that lasts
GOES_ON = tuple(f"vedette: {does} " for does in ("reads", "checks", "looks", "looked"))


@dataclass(frozen=True)
class Said:
    """How a process ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.err.splitlines()

    @property
    def troubles(self) -> list[str]:
        """Our own lines, without those that only tell what goes on."""
        ours = (line for line in self.lines if line.startswith("vedette: "))
        return [line for line in ours if not line.startswith(GOES_ON)]


@dataclass(frozen=True)
class Shell:
    """A place to run commands in. Nothing outlives a command but what it should leave."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        # a test runner's own settings must not decide what the user sees
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH")
                if name in os.environ}  # fmt: skip
        own = {"HOME": str(self.folder / "home"), "TMPDIR": str(self.folder / "tmp")}
        return kept | own | {"PYTHONPATH": str(ROOT)}

    def make_home(self) -> None:
        for name in ("home", "tmp"):
            (self.folder / name).mkdir(exist_ok=True)

    def command(self, *words: str, module: str = "vedette") -> list[str]:
        return [sys.executable, "-m", module, *words]

    def start(self, *words: str, module: str = "vedette") -> subprocess.Popen[str]:
        self.make_home()
        return subprocess.Popen(
            self.command(*words, module=module), cwd=self.folder, env=self.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, *words: str) -> Said:
        """The front door, to its end."""
        self.make_home()
        done = warm.run(words, cwd=self.folder, env=self.environment, timeout=PATIENCE_S)
        return Said(done.returncode, done.stdout, done.stderr)

    def run_cold(self, *words: str, module: str) -> Said:
        """In a Python of its own, whose memory is its own too."""
        with self.start(*words, module=module) as process:
            try:
                out, err = process.communicate(timeout=PATIENCE_S)
            except BaseException:
                process.kill()
                raise
        return Said(process.returncode, out, err)

    def left_behind(self) -> list[str]:
        """What lies in the temporary folder."""
        return sorted(path.name for path in (self.folder / "tmp").iterdir())
