"""Golden samples of a released bundle: pictures, and what a model must find in them. Nothing of a
bundle is executed, and no picture is decoded here."""

from __future__ import annotations

import functools
import struct
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from fleet.actions.place import ServedFolder
from fleet.actions.shelf import VariantLine
from fleet.serve.acting.golden_shapes import Mask, Point, mask_path, pose_path
from fleet.wording import printable
from models import bundle
from models.flatzip import Entry
from models.manifest import Golden
from models.plain import open_plain
from wire.release import target_file
from wire.troubles import Refused, Trouble
from wire.unreadable import UNREADABLE

LARGEST_ANSWER, LARGEST_PICTURE = 256 * 1024, 4 << 20  # bytes
MOST_THINGS = 12  # of one answer that are shown
PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
TALLEST = 8192


class Place(Struct, frozen=True):
    """Where something is, in pixels of the picture."""

    x: float
    y: float
    width: float
    height: float


class Expected(Struct, frozen=True):
    """Something that must be found. score: 0 to 1, None of a raw output. label: or its words.
    area, bones: SVG paths of its mask and of its keypoints. is_vector: it is compared by cosine."""

    label: str
    score: float | None = None
    place: Place | None = None
    area: str | None = None
    bones: str | None = None
    is_vector: bool = False


class Picture(Struct, frozen=True):
    """kind: as browsers name it."""

    content: bytes
    kind: str


class Sample(Struct, frozen=True):
    """One golden sample, counted from 1. expected: what is shown of the answer, which has `whole`
    things; None: it cannot be read. width, height: of the picture, where its file says so in a
    way that is understood here. tolerance: of scores."""

    number: int
    picture: str
    expected: tuple[Expected, ...] | None
    whole: int
    tolerance: float
    min_overlap: float
    width: int | None = None
    height: int | None = None
    min_cosine: float = 0.0


class _Answer(Struct, frozen=True):
    """One thing of an answer, whatever the task. See runtime.tasks."""

    label: str = ""
    score: float | None = None
    x: float | None = None
    y: float | None = None
    width: float | None = None
    height: float | None = None
    name: str = ""
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    share: float | None = None
    mask: Mask | None = None
    points: tuple[Point, ...] = ()
    skeleton: tuple[tuple[int, int], ...] = ()
    length: float | None = None
    values: tuple[float, ...] = ()
    value: float | None = None


def samples_of(folder: ServedFolder, variant: VariantLine) -> tuple[Sample, ...]:
    """Empty where the bundle is not here, is damaged or has none."""
    path = folder.depot / target_file(variant.path, variant.digest)
    try:
        return _samples(path, variant.digest) if path.exists() else ()
    except Trouble:
        return ()


def picture_of(folder: ServedFolder, variant: VariantLine, number: int) -> Picture | None:
    """The picture of a sample. None: there is none that can be shown. Raises Refused."""
    samples = samples_of(folder, variant)
    if not 1 <= number <= len(samples):
        return None
    path = folder.depot / target_file(variant.path, variant.digest)
    entry = _entries(path, variant.digest)[samples[number - 1].picture]
    content = _content(path, entry, LARGEST_PICTURE)
    kind = "image/png" if content.startswith(PNG) else "image/jpeg"
    return Picture(content, kind) if content.startswith((PNG, JPEG)) else None


@functools.lru_cache(maxsize=64)
def _inspected(path: Path, digest: str) -> bundle.Bundle:
    """Raises Refused: it is another file, or damaged; Unavailable."""
    found = bundle.inspect(path)
    if found.digest != digest:
        raise Refused(f"{path}: is not what was released")
    return found


def _entries(path: Path, digest: str) -> dict[str, Entry]:
    return {entry.name: entry for entry in _inspected(path, digest).entries}


@functools.lru_cache(maxsize=64)
def _samples(path: Path, digest: str) -> tuple[Sample, ...]:
    entries, golden = _entries(path, digest), _inspected(path, digest).manifest.golden
    return tuple(_sample(path, entries, number, one) for number, one in enumerate(golden, 1))


def _sample(path: Path, entries: dict[str, Entry], number: int, golden: Golden) -> Sample:
    answer = _answer(_content(path, entries[golden.answer], LARGEST_ANSWER))
    width, height = _size(_content(path, entries[golden.picture], LARGEST_PICTURE))
    return Sample(
        number,
        golden.picture,
        None if answer is None else tuple(map(_expected, answer[:MOST_THINGS])),
        len(answer or ()),
        golden.tolerance,
        golden.min_overlap,
        width,
        height,
        golden.min_cosine,
    )


def _answer(content: bytes) -> tuple[_Answer, ...] | None:
    try:
        found: Any = msgspec.json.decode(content, type=tuple[_Answer, ...])
    except UNREADABLE:
        return None
    return tuple(found)


def _expected(one: _Answer) -> Expected:
    if one.value is not None:
        return Expected(printable(f"{one.name}: {one.value:.6g}", 120))
    if one.mean is not None:
        words = f"{one.name}: {one.minimum or 0:.4g} to {one.maximum or 0:.4g}, mean {one.mean:.4g}"
        return Expected(printable(words, 120))
    if one.length is not None:
        words = f"{one.name}: {len(one.values)} numbers, length {one.length:.4g}"
        return Expected(printable(words, 120), is_vector=True)
    label = printable(one.label, 60)
    if one.share is not None:
        label += f" in {one.share:.0%} of the picture"
    if one.x is None or one.y is None or not one.width or not one.height:
        return Expected(label, one.score)
    place = Place(one.x, one.y, one.width, one.height)
    area = None
    if one.mask is not None:
        area = mask_path(one.mask, one.x, one.y, one.width, one.height)
    return Expected(label, one.score, place, area, pose_path(one.points, one.skeleton))


def _size(content: bytes) -> tuple[int | None, int | None]:
    """Of a PNG, by its header."""
    if not content.startswith(PNG) or len(content) < 24:
        return None, None
    width, height = struct.unpack(">II", content[16:24])
    return (width, height) if 0 < width <= TALLEST and 0 < height <= TALLEST else (None, None)


def _content(path: Path, entry: Entry, most: int) -> bytes:
    """Of one file of a bundle; empty where it is too large to be shown. Raises Refused."""
    if entry.size > most:
        return b""
    try:
        with open_plain(path) as file:
            file.seek(entry.end - entry.size)
            return file.read(entry.size)
    except OSError as error:
        raise Refused(f"{path}: cannot be read: {error.strerror}") from None
