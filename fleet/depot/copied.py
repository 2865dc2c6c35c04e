"""What a copy of the depot's folder hands out. Nothing in it is verified: devices do that."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from models.plain import open_plain
from wire.release import METADATA, TARGETS, file_key

LOOK_S = 1.0  # between two looks at the folder
SETTLED_S = 2.0  # a folder that was changed so long ago is not changed again at the same time
TIMESTAMP = f"{METADATA}timestamp.json"
_METADATA = re.compile(r"(?:timestamp|\d{1,15}\.(root|targets|snapshot|deployments))\.json\Z")
_TARGET = re.compile(r"[0-9a-f]{64}\.[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_ROOT = re.compile(r"(\d{1,15})\.root\.json\Z")


class CopiedLibrary:
    """A library (wire.block.server.Library) of metadata/ and targets/ of a folder that somebody
    keeps up to date. What it lacks it passes over in silence, as it may be on its way: it denies
    only the root behind the newest, which every device asks for.

    bell: the newest timestamp that was rung. While the folder has another one it lags, and no
    metadata of it is handed out: its blocks of models are right in any case.
    """

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self.bell: bytes | None = None
        self._folder = folder
        self._clock = clock
        self._looked_s: float | None = None
        self._places: dict[str, str] = {}
        self._next_root = ""
        self._timestamp: bytes | None = None
        self._folders: dict[str, int] | None = None  # and when each was changed, as it was walked

    @property
    def lags(self) -> bool:
        self._look()
        return self.bell is not None and self.bell != self._timestamp

    @property
    def lacks(self) -> str | None:
        """What is waited for, as a sentence."""
        if not (self._folder / TARGETS).is_dir():
            return (
                f"{self._folder}: has no {TARGETS} yet: devices get models when that is copied too"
            )
        if self.lags:
            return f"{self._folder} lags behind the fleet: devices get metadata when it is copied"
        return None

    def open(self, key: str) -> BinaryIO | None:
        """Raises OSError for what is not here, or not yet."""
        lags = self.lags
        place = self._places.get(key)
        is_targets = place is not None and place.startswith(TARGETS)
        if lags and not is_targets:
            raise FileNotFoundError("the copy lags behind the bell")
        if place is not None:
            return open_plain(self._folder / place)
        if key == self._next_root:
            return None
        raise FileNotFoundError(key)

    def _look(self) -> None:
        now_s = self._clock()
        if self._looked_s is not None and now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        try:
            with open_plain(self._folder / TIMESTAMP) as file:
                self._timestamp = file.read()
        except OSError:
            self._timestamp = None
        if self._folders is not None and self._folders == _changed_ns(self._folders):
            return
        paths = self._paths()
        self._places = {file_key(path): path for path in paths}
        roots = [int(found[1]) for path in paths if (found := _ROOT.search(path))]
        self._next_root = file_key(f"{METADATA}{max(roots, default=0) + 1}.root.json")

    def _paths(self) -> list[str]:
        """Walks the folder."""
        found, folders = [], dict[str, int]()
        for part, form in ((METADATA, _METADATA), (TARGETS, _TARGET)):
            folders |= _changed_ns([str(self._folder / part)])
            for where, below, names in os.walk(self._folder / part):
                folders |= _changed_ns([f"{where}/{name}" for name in below])
                at = Path(where).relative_to(self._folder).as_posix()
                found += [f"{at}/{name}" for name in names if form.match(name)]
        settled_ns = time.time_ns() - int(SETTLED_S * 1e9)
        is_settled = max(folders.values()) < settled_ns
        self._folders = folders if is_settled else None
        return found


def _changed_ns(folders: Iterable[str]) -> dict[str, int]:
    """When something was put into each of them, or taken out; -1: it is not there."""
    found = {}
    for folder in folders:
        try:
            found[folder] = os.stat(folder).st_mtime_ns
        except OSError:
            found[folder] = -1
    return found
