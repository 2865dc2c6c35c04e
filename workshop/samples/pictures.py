"""Picture files with what is known of them, decoded one by one as the runtime decodes pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np

from runtime.ahead import Slot
from runtime.cameras.recording_pictures import Pictures
from runtime.frames import Frame, Layout
from runtime.jpeg import BrokenPicture
from runtime.tasks import Box
from wire.troubles import Refused
from workshop.samples import Sample, Truth


@dataclass(frozen=True)
class Mark:
    """A class, and where it is. x, y, width, height: in shares of the picture, 0 to 1."""

    index: int
    x: float = 0.0
    y: float = 0.0
    width: float = 1.0
    height: float = 1.0


@dataclass(frozen=True)
class Picture:
    """One file. marks: None where nobody knows what it shows. size: (width, height) for which the
    marks were made, where that was written down."""

    name: str
    path: Path
    marks: tuple[Mark, ...] | None = None
    size: tuple[int, int] | None = None


class PictureSamples:
    """Pictures, in their order. Those that cannot be read are left out, and said."""

    def __init__(
        self, name: str, truth: Truth, labels: tuple[str, ...], pictures: Sequence[Picture]
    ) -> None:
        self.name = name
        self.truth: Truth = truth
        self.labels = labels
        self._pictures = pictures
        self._broken: dict[str, str] = {}

    @cached_property
    def digest(self) -> str:
        """Reads all files, once."""
        whole = hashlib.sha256(msgspec.json.encode(self.labels))
        for picture in self._pictures:
            content = None  # of a file that is gone
            with suppress(OSError):
                content = hashlib.sha256(picture.path.read_bytes()).hexdigest()
            known = (picture.name, content, picture.marks, picture.size)
            whole.update(msgspec.json.encode(known))
        return whole.hexdigest()

    @property
    def left_out(self) -> tuple[str, ...]:
        return tuple(self._broken.values())

    def __len__(self) -> int:
        return len(self._pictures) - len(self._broken)

    def __iter__(self) -> Iterator[Sample]:
        slot = Slot()
        for number, picture in enumerate(self._pictures):
            try:
                layout = _decoded(picture, slot)
            except BrokenPicture as error:
                self._broken[picture.name] = f"{picture.name}: {error}"
                continue
            with Frame(number, 0, layout, slot.memory, _nothing) as frame:
                yield Sample(picture.name, frame, self._truth(picture, layout))
        if not len(self):
            raise Refused(f"{self.name}: not one of its pictures can be used: {self.left_out[0]}")

    def _truth(self, picture: Picture, layout: Layout) -> tuple[Box, ...] | None:
        if picture.marks is None:
            return None
        width, height = layout.source
        return tuple(
            Box(
                mark.index,
                self.labels[mark.index],
                1.0,
                mark.x * width,
                mark.y * height,
                mark.width * width,
                mark.height * height,
            )
            for mark in picture.marks
        )


def chosen(pictures: Sequence[Picture], limit: int | None, seed: int) -> list[Picture]:
    """At most so many of the pictures, by chance of the seed, in their order."""
    if limit is None or limit >= len(pictures):
        return list(pictures)
    places = np.random.default_rng(seed).choice(len(pictures), limit, replace=False)
    return [pictures[place] for place in sorted(places)]


def _decoded(picture: Picture, slot: Slot) -> Layout:
    """Read a file into the slot, upright, in its full size. Raises BrokenPicture."""
    source = Pictures([picture.path])
    source.step()
    source.decode(slot, None)
    layout = source.layout
    size = (layout.width, layout.height)
    if picture.size is not None and picture.size != size:
        turned = picture.size == size[::-1]
        why = "it is turned by its Exif tag" if turned else "it was scaled since"
        raise BrokenPicture(
            f"has {size[0]}x{size[1]} pixels, its boxes are for "
            f"{picture.size[0]}x{picture.size[1]}: {why}: write it anew, and its boxes"
        )
    return layout


def _nothing() -> None:
    """The memory is the slot's and stays there."""
