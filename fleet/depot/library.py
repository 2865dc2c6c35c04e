"""What the depot hands out, by the keys that are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from models.plain import open_plain
from wire.release import file_key


class DepotLibrary:
    """A library of the files below one folder (wire.block.server.Library)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places: dict[str, Path] = {}

    def fill(self, paths: Iterable[str]) -> None:
        """Hand out these files from now on, and no others. paths: in wire.release's layout."""
        self._places = {file_key(path): self._folder / path for path in paths}

    def open(self, key: str) -> BinaryIO | None:
        """The file with this key, or None if there is none."""
        place = self._places.get(key)
        if place is None:
            return None
        try:
            return open_plain(place)
        except OSError:  # somebody took it away: there is none now
            return None
