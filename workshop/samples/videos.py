"""The pictures of a video, all or some of them, without truth."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np

from runtime.ahead import Slot
from runtime.cameras.recording_play import open_source
from runtime.frames import Frame
from runtime.jpeg import BrokenPicture
from workshop.samples import Sample, Truth


class VideoSamples:
    """Counted once when it is opened; then only the pictures that are wanted are decoded."""

    truth: Truth = "none"
    labels = ()

    def __init__(self, path: Path, limit: int | None, seed: int) -> None:
        self.name = str(path)
        self._path = path
        count = _count(path)
        places = np.arange(count)
        if limit is not None and limit < count:
            places = np.sort(np.random.default_rng(seed).choice(count, limit, replace=False))
        self._places = [int(place) for place in places]
        self._broken: dict[int, str] = {}

    @cached_property
    def digest(self) -> str:
        """Of the file, and of which pictures are taken."""
        with self._path.open("rb") as file:
            content = hashlib.sha256()
            while block := file.read(1 << 20):
                content.update(block)
        content.update(repr(self._places).encode())
        return content.hexdigest()

    @property
    def left_out(self) -> tuple[str, ...]:
        return tuple(self._broken.values())

    def __len__(self) -> int:
        return len(self._places) - len(self._broken)

    def __iter__(self) -> Iterator[Sample]:
        slot, wanted = Slot(), set(self._places)
        source = open_source(self._path, None)
        try:
            for place in range(self._places[-1] + 1 if self._places else 0):
                if source.step() is None:
                    return
                if place not in wanted:
                    continue
                try:
                    source.decode(slot, None)
                except BrokenPicture as error:
                    self._broken[place] = f"picture {place}: {error}"
                    continue
                with Frame(place, 0, slot.layout, slot.memory, _nothing) as frame:
                    yield Sample(f"picture {place}", frame, None)
        finally:
            source.close()


def _count(path: Path) -> int:
    """How many pictures can be stepped to: what the file says of itself is often wrong."""
    source = open_source(path, None)
    count = 0
    try:
        while source.step() is not None:
            count += 1
    finally:
        source.close()
    return count


def _nothing() -> None:
    """The memory is the slot's and stays there."""
