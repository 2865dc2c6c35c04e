"""Where the project's sources are, and what can be read from them without running them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("agent", "fleet", "models", "runtime", "wire", "workshop")
PLACES = (*ROOMS, "scripts", "tests", ".ci", "docs", "systemd")


def room_files() -> list[Path]:
    """Every Python file that is shipped."""
    return [ROOT / "vedette.py", *(path for room in ROOMS for path in sorted_files(room, "*.py"))]


def python_files() -> list[Path]:
    """Every Python file: the rooms, the tests, the scripts and what they share."""
    shared = [*sorted_files("tests", "*.py"), *sorted_files("scripts", "*.py")]
    return [*room_files(), *shared, *filter(is_python, scripts())]


def scripts() -> list[Path]:
    """What people run: these have no suffix, and lie in no folder below."""
    found = (ROOT / "scripts").iterdir()
    return sorted(path for path in found if path.is_file() and not path.suffix)


def text_files() -> list[Path]:
    """Every file that people write, and that can be read as text."""
    found = [path for path in ROOT.iterdir() if path.is_file() and path.name != ".git"]
    found += [path for place in PLACES for path in sorted_files(place, "*")]
    return [path for path in found if is_text(path)]


def sorted_files(place: str, pattern: str) -> list[Path]:
    found = (ROOT / place).rglob(pattern)
    return sorted(path for path in found if path.is_file() and "__pycache__" not in path.parts)


def is_python(path: Path) -> bool:
    with open(path, "rb") as file:
        return re.match(rb"#!.*python", file.readline()) is not None


def is_text(path: Path) -> bool:
    with open(path, "rb") as file:
        return b"\0" not in file.read(65536)


def name_of(path: Path) -> str:
    """The path inside the project: how complaints and test ids name a file."""
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), name_of(path))
