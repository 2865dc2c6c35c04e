"""COCO's annotations of boxes (cocodataset.org/#format-data): a JSON file beside its pictures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from wire.troubles import Refused
from wire.unreadable import UNREADABLE
from workshop.samples.labels import match
from workshop.samples.pictures import Mark, Picture, PictureSamples, chosen

ENDINGS = (".json",)


class Shown(Struct, frozen=True):
    """One picture. file_name: somewhere near the file of annotations."""

    id: int
    file_name: str
    width: int
    height: int


class Annotation(Struct, frozen=True):
    """One object. bbox: left, top, width, height in pixels. iscrowd: many, outlined as one."""

    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    iscrowd: int = 0


class Category(Struct, frozen=True):
    """A class. Ids may leave numbers out: of COCO's 80 classes the last has 90."""

    id: int
    name: str


class Coco(Struct, frozen=True):
    """What we need of a file."""

    images: tuple[Shown, ...]
    annotations: tuple[Annotation, ...]
    categories: tuple[Category, ...]


def open_coco(file: Path, labels: Sequence[str], limit: int | None, seed: int) -> PictureSamples:
    """The pictures of one file of annotations; without labels, classes go by their ids. Crowds are
    no truth: as in COCO's own evaluation nobody has to find them one by one. Raises Refused."""
    coco = _read(file)
    categories = sorted(coco.categories, key=lambda each: each.id)
    known = match([each.name for each in categories], labels, str(file))
    index = {each.id: place for each, place in zip(categories, known.index, strict=True)}
    found: dict[int, list[Annotation]] = defaultdict(list)
    for annotation in coco.annotations:
        if annotation.category_id not in index:
            raise Refused(f"{file}: no category has the id {annotation.category_id}")
        if not annotation.iscrowd:
            found[annotation.image_id].append(annotation)
    place = _pictures_place(file, coco.images)
    pictures = [
        Picture(
            shown.file_name,
            place / shown.file_name,
            tuple(_mark(each, shown, index, file) for each in found[shown.id]),
            (shown.width, shown.height),
        )
        for shown in coco.images
    ]
    return PictureSamples(str(file), "boxes", known.labels, chosen(pictures, limit, seed))


def annotations_in(folder: Path) -> list[Path]:
    """Files that may hold COCO's annotations of the pictures in a folder, by name."""
    beside = [path for path in folder.glob("*.json") if "annotations" in path.name.casefold()]
    return sorted(beside) or sorted((folder / "annotations").glob("*.json"))


def _read(file: Path) -> Coco:
    try:
        coco = msgspec.json.decode(file.read_bytes(), type=Coco)
    except (OSError, *UNREADABLE) as error:
        raise Refused(f"{file}: no COCO annotations of boxes: {error}") from None
    if not coco.images or not coco.categories:
        raise Refused(f"{file}: COCO annotations without pictures or categories")
    return coco


def _mark(each: Annotation, shown: Shown, index: dict[int, int], file: Path) -> Mark:
    x, y, width, height = each.bbox
    if min(shown.width, shown.height) < 1 or min(width, height) < 0:
        raise Refused(f"{file}: {shown.file_name}: no picture or box can have this size")
    return Mark(
        index[each.category_id],
        x / shown.width,
        y / shown.height,
        width / shown.width,
        height / shown.height,
    )


def _pictures_place(file: Path, images: Sequence[Shown]) -> Path:
    """The folder that file names are meant in: beside the file, or as COCO has it,
    `annotations/instances_val2017.json` and `val2017/`."""
    above = file.parent.parent
    split = file.stem.rpartition("_")[2]
    tried = [
        file.parent,
        file.parent / "images",
        above,
        above / "images",
        above / split,
        above / "images" / split,
    ]
    for place in tried:
        if (place / images[0].file_name).is_file():
            return place
    raise Refused(
        f"{file}: its first picture {images[0].file_name!r} is not in "
        + ", ".join(map(str, dict.fromkeys(tried)))
    )
