"""Labels that come with a model: text files in its folder of assets, or packed behind a .tflite."""

from __future__ import annotations

import zipfile
from pathlib import Path

MOST_BYTES = 4_000_000
MOST = 100_000


def labels_in(folder: Path) -> tuple[str, ...]:
    """Of the only text file in a folder that is named after labels or classes; else none."""
    files = [file for file in sorted(folder.glob("*.txt")) if _is_named_so(file.name)]
    if len(files) != 1 or files[0].stat().st_size > MOST_BYTES:
        return ()
    return _lines(files[0].read_bytes())


def labels_behind(file: Path) -> tuple[str, ...]:
    """Of the only text file in the zip that TFLite's metadata keeps behind a model; else none."""
    if not zipfile.is_zipfile(file):
        return ()
    with zipfile.ZipFile(file) as packed:
        found = [one for one in packed.infolist() if one.filename.endswith(".txt")]
        named = [one for one in found if _is_named_so(one.filename)] or found
        if len(named) != 1 or named[0].file_size > MOST_BYTES:
            return ()
        return _lines(packed.read(named[0]))


def _is_named_so(name: str) -> bool:
    return any(word in name.lower() for word in ("label", "class"))


def _lines(content: bytes) -> tuple[str, ...]:
    """One label a line, empty lines at the end left out."""
    lines = content.decode(errors="replace").rstrip().splitlines()
    return tuple(line.strip() for line in lines) if len(lines) <= MOST else ()
