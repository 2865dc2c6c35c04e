"""Model files built in code, without downloads or TensorFlow: real graphs and tiny ones."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path


def cached(name: str, build: Callable[[Path], object]) -> Path:
    """The file `name`, built by `build(path)` unless this version of the package has built it.

    Lies in a folder of this user's below the system's temporary folder; processes that build the
    same file at once do no harm to each other. `name` must say everything that `build` depends on.
    """
    folder = _folder()
    path = folder / name
    if not path.exists():
        beside = folder / f"{os.getpid()}-{name}"  # keeps the ending: engines look at it
        build(beside)
        os.replace(beside, path)
    return path


@lru_cache
def _folder() -> Path:
    version = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        version.update(source.read_bytes())
    root = Path(tempfile.gettempdir()) / f"vedette-graphs-{os.getuid()}"
    root.mkdir(mode=0o700, exist_ok=True)
    if root.stat().st_uid != os.getuid():
        raise PermissionError(f"{root} belongs to somebody else: remove it")
    folder = root / version.hexdigest()[:16]
    folder.mkdir(exist_ok=True)
    return folder
