"""A client of any TUF repository, by the code with which a device judges its fleet's metadata.

The folder is that of a device (wire/trust/kept.py) with two files more: `first_root`, which is
trusted first, and `root.json`, a copy of the newest root that was verified.
"""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import quote

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import Metadata, Root, TargetFile
from tuf.ngclient import Updater, UpdaterConfig

from wire.durable import make_folder_durably, write_durably
from wire.troubles import Refused, Unavailable
from wire.trust.kept import Kept
from wire.trust.updating import LIMITS, Source
from wire.trust.verified import Verified

FILES = "files/"  # where a Source has the target files; metadata lies below metadata/
FIRST, NEWEST = "first_root", "root.json"
# as for a fleet, but for what a fleet has one of: the delegated role
TERMS = UpdaterConfig(
    max_root_rotations=LIMITS.max_root_rotations,
    max_delegations=32,
    root_max_length=LIMITS.root_max_length,
    timestamp_max_length=LIMITS.timestamp_max_length,
    snapshot_max_length=LIMITS.targets_max_length,
    targets_max_length=LIMITS.targets_max_length,
)


def initialize(folder: Path, root: bytes) -> None:
    """Trust this root first. Asks nobody, and judges nothing: that is for the first refresh."""
    try:
        make_folder_durably(folder)
        write_durably(folder / FIRST, root)
        write_durably(folder / NEWEST, root)
    except OSError as error:
        raise Unavailable(f"{folder}: {error.strerror}") from None


class Client:
    """For one command. Raises Refused, Unavailable."""

    def __init__(self, folder: Path, source: Source) -> None:
        try:
            root = (folder / FIRST).read_bytes()
        except OSError as error:
            raise Refused(f"{folder}: {error.strerror}: run init first") from None
        self._folder = folder
        self._source = source
        self._kept = Kept(folder)
        self._verified = Verified(self._kept, root, source, time.time, TERMS)

    def refresh(self) -> None:
        """Bring the four top roles up to date."""
        with self._kept.locked():
            self._verified.run(self._refreshed, self._verified.now)

    def download(self, path: str, folder: Path) -> Path:
        """Where the file lies then. What is there already and right is not asked for again."""
        with self._kept.locked():
            file, name = self._verified.run(
                lambda updater: self._found(updater, path), self._verified.now
            )
        place = folder / quote(path, safe="")
        if not _is_right(file, place):
            content = self._source.read(FILES + name, file.length)
            try:
                file.verify_length_and_hashes(content)
            except LengthOrHashMismatchError:
                raise Refused(f"{path}: other bytes than were signed") from None
            try:
                write_durably(place, content)
            except OSError as error:
                raise Unavailable(f"{place}: {error.strerror}") from None
        return place

    def _refreshed(self, updater: Updater) -> None:
        try:
            updater.refresh()
        finally:  # what was verified before it failed counts
            write_durably(self._folder / NEWEST, (self._kept.work / NEWEST).read_bytes())

    def _found(self, updater: Updater, path: str) -> tuple[TargetFile, str]:
        """What is signed of a file, and where it lies."""
        self._refreshed(updater)
        file = updater.get_targetinfo(path)
        if file is None:
            raise Refused(f"{path}: nobody signed such a file")
        root = Metadata[Root].from_bytes((self._kept.work / NEWEST).read_bytes()).signed
        if not root.consistent_snapshot:
            return file, path
        before, slash, name = path.rpartition("/")
        return file, f"{before}{slash}{next(iter(file.hashes.values()))}.{name}"


def _is_right(file: TargetFile, place: Path) -> bool:
    try:
        with open(place, "rb") as there:
            file.verify_length_and_hashes(there)
    except (OSError, LengthOrHashMismatchError):
        return False
    return True
