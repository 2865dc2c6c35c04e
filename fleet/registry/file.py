"""The file of an SQLite database: whether it is still the one that was opened.

SQLite goes on with a file that was deleted or moved, and says so to nobody: what is stored then is
lost with it.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from wire.troubles import Unavailable

GONE = (
    "the database {} is gone: nothing is stored until it is put back, with what lay beside it "
    "(-wal, -shm); or stop vedette, put a backup there, and start it again"
)
REPLACED = (
    "the database {} was replaced by another file: nothing is stored: stop vedette, put the one "
    "there that is meant, and start it again"
)


class DatabaseFile:
    """By its path. Any thread."""

    def __init__(self, path: Path) -> None:
        """path: whole; a file that is not there yet is known when it first is."""
        self.path = path
        self._lock = threading.Lock()
        self._opened = self._found()
        self._lost = 0
        self._is_there = True

    @property
    def lost(self) -> int:
        """How often it was missed: a connection from before that is of no use any more."""
        return self._lost

    def check(self) -> None:
        """Raises Unavailable: it is not there, or another one is."""
        found = self._found()
        with self._lock:
            self._opened = opened = self._opened or found
            is_there = found == opened
            if self._is_there and not is_there:
                self._lost += 1
            self._is_there = is_there
        if not is_there:
            raise Unavailable((GONE if found is None else REPLACED).format(self.path))

    def _found(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return found.st_dev, found.st_ino
