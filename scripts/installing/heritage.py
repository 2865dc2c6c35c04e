"""What a release takes over from the one before: packages that are the same, as hard links.

An upgrade changes a few hundred files of ours and leaves some ten thousand of others. Writing those
anew would cost minutes and hundreds of megabytes of an SD card's life. Neither pip nor the
compiler writes into a file that is there: they replace it, and the old release keeps its own.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

OURS = ("agent", "fleet", "models", "runtime", "wire", "vedette.py", "__pycache__")
# an environment may begin with its own
OF_ENVIRONMENTS = ("pip", "setuptools", "pkg_resources", "_distutils_hack")


def take_over(old: Path, new: Path) -> bool:
    """Link what is in an old site-packages into a new one. Whether it was done: not if a file there
    is no longer what was installed, as on a disk that rots, nor if this disk knows no hard links;
    then everything is made anew."""
    if not old.is_dir():
        return False
    theirs = [path for path in old.iterdir() if not _is_ours(path.name)]
    if not all(_is_sound(old, path / "RECORD") for path in theirs if path.suffix == ".dist-info"):
        return False
    try:
        for path in theirs:
            if path.is_dir():
                shutil.copytree(path, new / path.name, copy_function=_link)
            else:
                _link(path, new / path.name)
    except OSError:
        for path in theirs:
            shutil.rmtree(new / path.name, ignore_errors=True)
            with contextlib.suppress(OSError):
                (new / path.name).unlink()
        return False
    return True


def uncompiled(library: Path, tag: str) -> Iterator[Path]:
    """Sources without bytecode. tag: of the Python, as in "cpython-311"."""
    for folder, inner, names in os.walk(library):
        inner[:] = [name for name in inner if name != "__pycache__"]
        place = Path(folder)
        for name in names:
            if name.endswith(".py"):
                code = place / "__pycache__" / f"{name[:-3]}.{tag}.pyc"
                if not code.exists():
                    yield place / name


def _is_ours(name: str) -> bool:
    project = name.partition("-")[0]  # of a .dist-info, or of distutils-precedence.pth
    return name in OURS or project in (*OF_ENVIRONMENTS, "vedette", "distutils")


def _link(source: str | Path, target: str | Path) -> None:
    os.link(source, target, follow_symlinks=False)


def _is_sound(library: Path, record: Path) -> bool:
    try:
        with open(record, encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file) if len(row) == 3 and row[1]]
        # what lies elsewhere (programs, units) is not taken over
        return all(
            _digest(library / name) == mark for name, mark, _ in rows if not name.startswith("..")
        )
    except (OSError, ValueError, csv.Error):
        return False


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return f"sha256={base64.urlsafe_b64encode(digest.digest()).rstrip(b'=').decode()}"
