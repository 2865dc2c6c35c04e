"""What came of offers that are not in force yet: kept for the next try, within bounds."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Collection
from pathlib import Path

from fleet.roles.targets import Target
from fleet.signer.checks import contents, is_of
from wire.block.part import Part
from wire.durable import write_durably
from wire.troubles import Refused, Unavailable

MOST_BYTES = 2 << 30  # that are kept of other offers
SPARE_BYTES = 64 << 20  # of the disk, that we leave free
PIECE = 1 << 20


class Incoming:
    """The folder incoming/: DIGEST is whole, DIGEST.part and DIGEST.have are not."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._most_bytes = most_bytes

    def make_room(self, files: Collection[Target]) -> None:
        """Forget the oldest of what is for others. Raises Unavailable if the disk has no room."""
        wanted = {file.digest for file in files}
        others: list[tuple[float, int, str]] = []
        there = 0
        try:
            for entry in os.scandir(self._folder):
                status = entry.stat(follow_symlinks=False)
                taken = status.st_blocks * 512
                if entry.name.partition(".")[0] in wanted:
                    there += taken
                else:
                    others.append((status.st_mtime, taken, entry.name))
            others.sort()
            kept = sum(taken for _, taken, _ in others)
            while others and kept > self._most_bytes:
                kept -= self._forget(others.pop(0))
            lacks = max(0, sum(file.size for file in files) - there) + SPARE_BYTES
            while others and shutil.disk_usage(self._folder).free < lacks:
                self._forget(others.pop(0))
            if shutil.disk_usage(self._folder).free < lacks:
                raise Unavailable(
                    f"the depot's disk has no room for {lacks >> 20} MiB more: make room there"
                )
        except OSError as error:
            raise Unavailable(f"{self._folder}: {error.strerror}") from None

    def whole(self, file: Target) -> Path | None:
        """Where a file is that came whole before, in this try or another."""
        path = self._folder / file.digest
        told = hashlib.sha256()
        try:
            if path.stat().st_size != file.size:
                return None
            with open(path, "rb") as opened:
                while piece := opened.read(PIECE):
                    told.update(piece)
        except OSError:
            return None
        return path if told.hexdigest() == file.digest else None

    def keep(self, file: Target, content: bytes) -> Path:
        """A small file that came. Raises Refused if it is another."""
        if not is_of(file, content):
            raise Refused(f"{file.path}: what was offered is not what it should be")
        path = self._folder / file.digest
        try:
            write_durably(path, content)
        except OSError as error:
            raise Unavailable(f"{path}: cannot be written: {error.strerror}") from None
        return path

    def part(self, file: Target, blocks: Target) -> Part:
        """A large file that comes; the list of its blocks came before. Raises Refused."""
        digests = contents(self._folder / blocks.digest, blocks)
        with contextlib.suppress(OSError):
            (self._folder / file.digest).unlink()  # a whole one would have been taken
        return Part(self._folder / file.digest, file.size, file.digest, digests)

    def forget(self, digest: str) -> None:
        """It is of no use."""
        for end in ("", ".part", ".have"):
            with contextlib.suppress(OSError):
                (self._folder / f"{digest}{end}").unlink()

    def _forget(self, other: tuple[float, int, str]) -> int:
        (self._folder / other[2]).unlink()
        return other[1]
