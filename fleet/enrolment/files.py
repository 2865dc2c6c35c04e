"""Files of the fleet's folder that nobody else may read, replaced in one step."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from wire.durable import rename_durably, sync_file
from wire.troubles import Unavailable

PRIVATE, PUBLIC = 0o600, 0o644


def write_privately(path: Path, text: str, mode: int = PRIVATE) -> None:
    """Replace a file by `text`; a power cut leaves the old one or the new one. Raises OSError.

    What root writes belongs to whom the folder belongs to, and stays whose it was; but in a folder
    that everybody may write, as /tmp, a file that lies there may be a trap.
    """
    beside = path.with_name(f".{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(beside)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        with open(os.open(beside, flags, PRIVATE), "wb") as file:
            if os.geteuid() == 0:
                told = _whose(path)
                os.fchown(file.fileno(), told.st_uid, told.st_gid)
            os.fchmod(file.fileno(), mode)
            file.write(text.encode())
            sync_file(file)
        rename_durably(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise


def _whose(path: Path) -> os.stat_result:
    """The file or the folder that says to whom a new file belongs."""
    folder = os.stat(path.parent)
    if not folder.st_mode & stat.S_IWOTH:
        with contextlib.suppress(FileNotFoundError):
            return os.stat(path)
    return folder


def text_of(path: Path) -> str | None:
    """The text of a file, None if there is none. Raises Unavailable."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unavailable(f"{path}: cannot be read: {error.strerror}") from None


def update(path: Path, text: str, mode: int = PRIVATE) -> bool:
    """Replace a file if it says something else. Whether it did. Raises OSError, Unavailable."""
    if text_of(path) == text:
        return False
    write_privately(path, text, mode)
    return True


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """One process at a time changes who belongs to a fleet; what cannot be written is Unavailable.

    folder: the fleet's.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
    except OSError as error:
        raise Unavailable(f"{error.filename or folder}: {error.strerror}") from None
