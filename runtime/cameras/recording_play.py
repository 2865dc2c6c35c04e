"""What a recording shows next: pictures get numbers, broken ones are counted, rounds follow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from runtime.ahead import NOTHING, Slot
from runtime.cameras import Ended
from runtime.cameras.recording_pictures import ENDINGS, Pictures, in_folder
from runtime.cameras.recording_video import open_video
from runtime.frames import Aim, Layout, Losses
from runtime.jpeg import BrokenPicture
from wire.troubles import Refused

NAMED = 8  # files that a message lists


class Source(Protocol):
    """Where pictures come from, one after another."""

    layout: Layout  # of the next picture, as far as is known
    fps: float | None  # None: it knows no times

    def step(self) -> tuple[float, int] | None:
        """(seconds since the first picture, broken pictures before this one); None at the end."""

    def decode(self, slot: Slot, aim: Aim | None) -> None:
        """Write the picture that was stepped to. Raises BrokenPicture."""

    def close(self) -> None:
        """Close the file."""


class Play:
    """Plays the sources of `rounds` one after another. Used by one thread at a time."""

    def __init__(self, name: str, rounds: Iterator[Source], losses: Losses) -> None:
        self._name = name
        self._rounds = rounds
        self._losses = losses
        self.source = next(rounds)
        self.seq = -1
        self._good = 0
        self._began_s = 0.0  # of this round
        self._seconds = 0.0  # of this picture

    def step(self) -> float:
        """Go on to the next picture. Returns its seconds since the very first. Raises Ended."""
        step = self.source.step()
        if step is None:
            self._turn_over()
            step = self.source.step()
        if step is None:
            raise Refused(f"{self._name}: its pictures are gone")
        seconds, broken = step
        self._losses.decode += broken
        self.seq += 1 + broken
        self._seconds = self._began_s + seconds
        return self._seconds

    def decode(self, slot: Slot, aim: Aim | None) -> bool:
        """Write the picture that was stepped to. False: it is broken."""
        try:
            self.source.decode(slot, aim)
        except BrokenPicture:
            self._losses.decode += 1
            return False
        self._good += 1
        slot.seq = self.seq
        return True

    def close(self) -> None:
        """Close the file that is open."""
        self.source.close()

    def _turn_over(self) -> None:
        if not self._good:
            raise Refused(f"{self._name}: not one of its {self.seq + 1} pictures can be decoded")
        self.source.close()
        following = next(self._rounds, None)
        if following is None:
            raise Ended(f"{self._name} has ended")
        self.source = following
        self._began_s = self._seconds + (1 / following.fps if following.fps else 0)


def once(path: Path, aim: Aim | None) -> Iterator[Source]:
    """The recording, one time."""
    yield open_source(path, aim)


def again_and_again(path: Path, aim: Aim | None) -> Iterator[Source]:
    """The recording without end. A video is opened anew for every round."""
    while True:
        source = open_source(path, aim)
        yield source
        while isinstance(source, Pictures):  # keeps its memory
            source.rewind()
            yield source


def first_layout(path: Path, aim: Aim | None) -> Layout:
    """How the first picture will lie in memory; NOTHING if it is broken. Raises Refused."""
    source = open_source(path, aim)
    if source.layout is NOTHING and source.step() is not None:
        with suppress(BrokenPicture):
            source.decode(Slot(), aim)
    source.close()
    return source.layout


def open_source(path: Path, aim: Aim | None) -> Source:
    """Open a video, a folder of pictures or one picture. Raises Refused.

    aim: what the first pictures will be decoded for.
    """
    try:
        if path.is_dir():
            return Pictures(some(in_folder(path), path))
        if path.suffix.lower() in ENDINGS and path.is_file():
            return Pictures([path])
        with path.open("rb"):
            return open_video(path, aim)
    except FileNotFoundError:
        raise Refused(f"{path}: is not there; {around(path)}") from None
    except OSError as error:
        raise Refused(f"{path}: cannot be read: {error.strerror}") from None


def some(pictures: list[Path], folder: Path) -> list[Path]:
    """The same list. Raises Refused if it is empty."""
    if not pictures:
        raise Refused(f"{folder}: holds no pictures ({' '.join(ENDINGS)}) but {listed(folder)}")
    return pictures


def around(path: Path) -> str:
    """What is there instead of a missing file, for a message."""
    if not path.parent.is_dir():
        return f"nor is there a folder {path.parent}"
    return f"in {path.parent.absolute()} there is {listed(path.parent)}"


def listed(folder: Path) -> str:
    """The first names in a folder, for a message."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return "nothing that this user may see"
    if not names:
        return "nothing"
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
