"""Files and links that a power cut leaves whole: the old one or the new one."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write(path: Path, content: bytes, mode: int = 0o644, group: int | None = None) -> bool:
    """Replace a file, unless it says so already. group: whose it is from its first moment on, None:
    ours. Whether something changed."""
    with contextlib.suppress(OSError):
        if not path.is_symlink() and path.read_bytes() == content:
            return False
    make_folder(path.parent)
    beside = _beside(path)
    try:
        with open(beside, "wb") as file:
            if group is not None:
                os.fchown(file.fileno(), -1, group)
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError:
        with contextlib.suppress(OSError):  # half a file, on a disk that is full
            beside.unlink()
        raise
    sync_folder(path.parent)
    return True


def link(path: Path, target: str) -> bool:
    """Make a symbolic link, or turn one. Whether something changed."""
    with contextlib.suppress(OSError):
        if os.readlink(path) == target:
            return False
    make_folder(path.parent)
    beside = _beside(path)
    with contextlib.suppress(FileNotFoundError):
        beside.unlink()
    os.symlink(target, beside)
    os.replace(beside, path)
    sync_folder(path.parent)
    return True


def remove(path: Path) -> bool:
    """Remove a file or a link, and what a `write` that was cut off left of it. Whether it was
    there."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        _beside(path).unlink()
    try:
        path.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return False
    sync_folder(path.parent)
    return True


def make_folder(folder: Path) -> None:
    """With those above it. Modes do not follow a umask that shuts others out."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(0o755)
    sync_folder(folder.parent)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_all() -> None:
    """Everything that was written, by whomever: pip syncs nothing."""
    os.sync()
