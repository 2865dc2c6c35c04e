"""Picture files, one after another: JPEG at the size that the model needs, the rest by OpenCV."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from pathlib import Path

import cv2

from runtime import jpeg
from runtime.ahead import NOTHING, Slot
from runtime.frames import Aim, packed

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm")
MOST_BYTES = 1 << 28
UPRIGHT = 1


class Pictures:
    """Files in a given order, each with a size of its own. They have no times."""

    fps: float | None = None

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files
        self._at = -1
        self._file = bytearray(1 << 16)
        self.layout = NOTHING

    def step(self) -> tuple[float, int] | None:
        """(0, 0): no times, nothing broken so far; None after the last file."""
        self._at += 1
        return (0.0, 0) if self._at < len(self._files) else None

    def decode(self, slot: Slot, aim: Aim | None) -> None:
        """Write the picture that was stepped to. Raises jpeg.BrokenPicture."""
        path = self._files[self._at]
        content = self._read(path)
        if bytes(content[:2]) == b"\xff\xd8" and orientation(content) == UPRIGHT:
            self.layout = jpeg.plan(content, aim)
            jpeg.decode(content, self.layout, slot.room(self.layout))
            return
        there = self.layout.shape(slot.room(self.layout)) if self.layout.format == "BGR3" else None
        try:
            # upright, eight bits, three channels, whatever the file has
            got = cv2.imread(str(path), there, cv2.IMREAD_COLOR)
        except cv2.error:
            got = None
        if got is None:
            raise jpeg.BrokenPicture(f"{path}: is no picture that can be read here")
        if got is not there:
            self.layout = packed("BGR3", got.shape[1], got.shape[0])
            self.layout.shape(slot.room(self.layout))[...] = got

    def rewind(self) -> None:
        """Start over."""
        self._at = -1

    def close(self) -> None:
        """Nothing is open between two pictures."""

    def _read(self, path: Path) -> memoryview:
        """The whole file, in memory that is used again."""
        try:
            with path.open("rb", buffering=0) as file:
                size = file.seek(0, 2)
                file.seek(0)
                if size > MOST_BYTES:
                    raise jpeg.BrokenPicture(f"{path}: {size} bytes are too many for a picture")
                if size > len(self._file):
                    self._file = bytearray(size)
                return memoryview(self._file)[: file.readinto(self._file)]
        except OSError as error:
            raise jpeg.BrokenPicture(f"{path}: {error.strerror}") from None


def in_folder(folder: Path) -> list[Path]:
    """The pictures of a folder as a person would sort them: frame2 before frame10."""
    found = [
        path for path in folder.iterdir() if path.suffix.lower() in ENDINGS and path.name[0] != "."
    ]
    return sorted(found, key=lambda path: natural(path.name))


def natural(name: str) -> list[tuple[int, str]]:
    """A sort key in which runs of digits count as numbers."""
    words = re.split(r"([0-9]+)", name.casefold())
    return [(int(word), "") if word.isdecimal() else (-1, word) for word in words]


def orientation(content: memoryview) -> int:
    """How a JPEG file must be turned to be upright: 1 to 8, the Exif tag 0x0112 (CIPA DC-008);
    1 where it says nothing."""
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF and content[at + 1] not in (0xD9, 0xDA):
        size = int.from_bytes(content[at + 2 : at + 4], "big")
        if content[at + 1] == 0xE1 and bytes(content[at + 4 : at + 10]) == b"Exif\0\0":
            return tiff_orientation(content[at + 10 : at + 2 + size])
        at += 2 + size
    return UPRIGHT


def tiff_orientation(tiff: memoryview) -> int:
    """The orientation in the first directory of a TIFF file; 1 where there is none."""
    order = {b"II": "<", b"MM": ">"}.get(bytes(tiff[:2]))
    if order is None or len(tiff) < 8:
        return UPRIGHT
    (first,) = struct.unpack_from(order + "I", tiff, 4)
    count = struct.unpack_from(order + "H", tiff, first)[0] if first + 2 <= len(tiff) else 0
    for entry in range(first + 2, min(first + 2 + count * 12, len(tiff) - 11), 12):
        tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, entry)
        if tag == 0x0112:
            return int(value) if 1 <= value <= 8 else UPRIGHT
    return UPRIGHT
