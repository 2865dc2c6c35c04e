"""An accelerator that can be unplugged: a real LiteRT delegate, compiled where it is needed."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("unplugged.c")


@dataclass(frozen=True)
class Plug:
    """The delegate's library, and the file whose presence means that the device is gone."""

    library: Path
    gone: Path

    @property
    def accelerator(self) -> str:
        """As a configuration names it."""
        return f"{self.library}?gone={self.gone}"

    def pull(self) -> None:
        self.gone.touch()

    def push(self) -> None:
        self.gone.unlink()


def plug(folder: Path) -> Plug:
    """A delegate of its own, plugged in. The test is skipped where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler: apt-get install gcc libc6-dev")
    library = folder / "libunplugged.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library)]
    subprocess.run([*command, str(SOURCE)], check=True, timeout=60)
    return Plug(library, folder / "gone")
