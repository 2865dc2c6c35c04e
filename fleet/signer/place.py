"""The depot's folder: what lies where, written so that a crash at any step leaves one truth.

metadata/ targets/      wire.release's layout; what timestamp.json names is in force
incoming/DIGEST         of an offer that is not in force yet, kept for the next try
candidates/             bundles that wait for `vedette fleet sign`
keys/ lock
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from models.plain import open_plain
from wire.durable import make_folder_durably, remove_durably, sync_file, sync_folder, write_durably
from wire.release import METADATA, TARGETS
from wire.troubles import Refused, Unavailable

TIMESTAMP = METADATA + "timestamp.json"
LOCK = "lock"
LARGEST_METADATA = 5_000_000  # bytes; a device takes no more
_VERSIONED = re.compile(r"(\d{1,15})\.(root|targets|snapshot|deployments)\.json\Z")
_TARGET = re.compile(r"([0-9a-f]{64})\.[A-Za-z0-9][A-Za-z0-9._-]*\Z")


class SignerPlace:
    """The files. One process at a time. Raises Unavailable where the disk fails."""

    def __init__(self, folder: Path) -> None:
        """Takes the folder for us until `close`. Raises Unavailable if another process has it."""
        self.folder = folder
        self.incoming = folder / "incoming"
        if not (folder / METADATA).is_dir():
            raise Refused(f"{folder}: is no depot: run vedette fleet init, or name it by --dir")
        with self.writing():
            for place in (self.incoming, folder / TARGETS):
                make_folder_durably(place)
            self._lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            who = _who_holds(self._lock)
            os.close(self._lock)
            raise Unavailable(
                f"{folder}: another process works on it, a vedette fleet serve or depot{who}: end "
                "that one first"
            ) from None
        with contextlib.suppress(OSError):  # the lock counts; who has it is only said
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, b"%d\n" % os.getpid(), 0)

    def close(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)  # the lock goes with it
            self._lock = -1

    def read(self, path: str, most_bytes: int = LARGEST_METADATA) -> bytes | None:
        """A whole file, or None if it is not there. Raises Refused for what is too large."""
        try:
            with open_plain(self.folder / path) as file:
                content = file.read(most_bytes + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(f"{self.folder / path}: cannot be read: {error.strerror}") from None
        if len(content) > most_bytes:
            raise Refused(f"{self.folder / path}: larger than the {most_bytes} bytes allowed")
        return content

    def size(self, path: str) -> int | None:
        """In bytes; None: there is no such file."""
        try:
            return (self.folder / path).stat().st_size
        except OSError:
            return None

    def write(self, path: str, content: bytes) -> None:
        with self.writing():
            make_folder_durably((self.folder / path).parent)
            write_durably(self.folder / path, content)

    def place(self, arrived: Path, path: str) -> None:
        """Move a whole file to where it belongs, for good."""
        target = self.folder / path
        with self.writing():
            make_folder_durably(target.parent)
            with open(arrived, "rb") as file:
                sync_file(file)
            os.rename(arrived, target)
            sync_folder(target.parent)
            sync_folder(arrived.parent)

    def versions(self, role: str) -> tuple[int, ...]:
        """Of which there is metadata of a role, in order."""
        found = (_VERSIONED.match(name) for name in self.names(METADATA))
        return tuple(sorted(int(one[1]) for one in found if one and one[2] == role))

    def targets(self) -> Iterator[str]:
        """The paths of all target files."""
        for where, _, names in os.walk(self.folder / TARGETS):
            below = Path(where).relative_to(self.folder).as_posix()
            yield from (f"{below}/{name}" for name in names if _TARGET.match(name))

    def put_back(self, path: str) -> None:
        """A target that is not in force: the next try may need it."""
        found = _TARGET.match(path.rpartition("/")[2])
        if found:
            self.place(self.folder / path, f"incoming/{found[1]}")

    def remove(self, paths: Iterable[str]) -> None:
        """Remove files, and the folders that are empty then. What cannot be removed stays."""
        for path in paths:
            with contextlib.suppress(OSError):
                remove_durably(self.folder / path)
            folder = (self.folder / path).parent
            with contextlib.suppress(OSError):
                while folder.relative_to(self.folder).parts[1:]:
                    folder.rmdir()
                    folder = folder.parent

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """What the disk says while we write, as a trouble."""
        try:
            yield
        except OSError as error:
            raise Unavailable(
                f"{self.folder}: cannot be written: {error.strerror}: make room, "
                "or run as its owner"
            ) from None

    def names(self, place: str) -> list[str]:
        """What lies in a folder of ours; nothing where there is no such folder."""
        try:
            return os.listdir(self.folder / place)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise Unavailable(f"{self.folder / place}: {error.strerror}") from None


def _who_holds(lock: int) -> str:
    """Which process wrote itself into the file; "" where none did."""
    with contextlib.suppress(OSError):
        told = os.pread(lock, 32, 0).strip()
        if told.isdigit():
            return f" (process {int(told)})"
    return ""
