"""Never half a file: what is written here is there whole after a power cut, or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def write_durably(path: Path, content: bytes) -> None:
    """Replace `path` by `content` in one step that survives a power cut.

    Written beside, fsynced, renamed, and the folder fsynced. A crash leaves the old file or the
    new one, and at most a stray `.NAME.new` that the next write overwrites. One writer at a time
    for one path.
    """
    with writing_durably(path) as file:
        file.write(content)


@contextlib.contextmanager
def writing_durably(path: Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A file to write to that takes the place of `path` at the end of the `with`.

    As `write_durably`, for what is too large to hold. An exception leaves `path` as it was. mode:
    who may read it, from its first moment on, as far as the umask lets them.
    """
    beside = _beside(path)
    try:
        with open(beside, "xb", opener=lambda name, how: os.open(name, how, mode)) as file:
            yield file
            sync_file(file)
        rename_durably(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise


def link_durably(path: Path, target: str) -> None:
    """Make `path` a symbolic link to `target`, in one step, whatever it was before.

    The link of before is there until the new one is. A folder at `path` is an OSError.
    """
    beside = _beside(path)
    os.symlink(target, beside)
    rename_durably(beside, path)


def remove_durably(path: Path) -> None:
    """Remove a file or a link for good. It is no trouble if it is not there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    sync_folder(path.parent)


def make_folder_durably(folder: Path) -> None:
    """Make a folder and those above it, each named for good. It is no trouble if it is there."""
    if folder.is_dir():
        return
    make_folder_durably(folder.parent)
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder)
    sync_folder(folder.parent)


def rename_durably(source: Path, target: Path) -> None:
    """Rename within one folder and fsync it."""
    os.rename(source, target)
    sync_folder(target.parent)


def sync_file(file: BinaryIO) -> None:
    """Make what was written to a file survive a power cut; its name is its folder's business."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(path: Path) -> Path:
    """Where the successor of `path` is made. What a crash left there goes away."""
    beside = path.with_name(f".{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(beside)
    return beside
