"""Reads the small files of /proc and /sys. What is missing, forbidden or garbage is None.

Every file is looked for anew at each reading: drivers come late and hwmon numbers change.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

LARGEST = 64 * 1024  # bytes; nothing that is read here is larger
_NUMBER = re.compile(r"\s*(-?\d{1,18})\b", re.ASCII)


def text(path: str | Path) -> str | None:
    """The content of a file, with characters that are not UTF-8 replaced."""
    try:
        # open() would make three objects of it, and this is called a hundred times a reading
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        return os.read(file, LARGEST).decode("utf-8", "replace")
    except OSError:
        return None
    finally:
        os.close(file)


def number(path: str | Path) -> int | None:
    """The whole number that a file starts with; of 64 bits at most."""
    found = _NUMBER.match(text(path) or "")
    return int(found[1]) if found else None


def label(path: str | Path) -> str | None:
    """One short line of printable characters, such as a sensor's name."""
    content = (text(path) or "").strip("\0 \t\r\n")
    return content if content.isprintable() and 0 < len(content) <= 64 else None


def children(folder: str | Path, start: str = "") -> list[str]:
    """Paths of what lies in a folder and is called start..., hwmon2 before hwmon10."""
    try:
        names = [name for name in os.listdir(folder) if name.startswith(start)]
    except (OSError, ValueError):
        return []
    return [os.path.join(folder, name) for name in sorted(names, key=_by_number)]


def hwmons(root: Path, name: str) -> Iterator[str]:
    """Folders of the hwmon chips of one name."""
    for chip in children(root / "sys/class/hwmon"):
        if label(f"{chip}/name") == name:
            yield chip


def _by_number(name: str) -> list[tuple[int, str]]:
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)
    ]
