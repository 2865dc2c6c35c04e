"""Folders of pictures: one folder per class, or pictures of which nothing is known."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from runtime.cameras.recording_pictures import ENDINGS, in_folder
from wire.troubles import Refused
from workshop.samples.labels import match
from workshop.samples.pictures import Mark, Picture, PictureSamples, chosen

SPLITS = ("train", "training", "val", "valid", "validation", "test", "testing")


def class_folders(folder: Path) -> list[Path]:
    """The folders in a folder that have pictures in them or below, by name."""
    try:
        inside = sorted(each for each in folder.iterdir() if each.is_dir() and each.name[0] != ".")
    except OSError as error:
        raise Refused(f"{folder}: cannot be read: {error.strerror}") from None
    return [each for each in inside if pictures_below(each, most=1)]


def open_classes(
    folder: Path, labels: Sequence[str], limit: int | None, seed: int
) -> PictureSamples:
    """A folder per class, named by it, as torchvision's ImageFolder and Keras'
    image_dataset_from_directory have it: without labels, in the order of their names.
    Raises Refused."""
    folders = class_folders(folder)
    names = [each.name for each in folders]
    if names and all(name.casefold() in SPLITS for name in names):
        raise Refused(f"{folder}: has {', '.join(names)}: say which, such as {folders[-1]}")
    known = match(names, labels, str(folder))
    pictures = [
        Picture(path.relative_to(folder).as_posix(), path, (Mark(index),))
        for each, index in zip(folders, known.index, strict=True)
        for path in pictures_below(each)
    ]
    return PictureSamples(str(folder), "classes", known.labels, chosen(pictures, limit, seed))


def open_plain(path: Path, limit: int | None, seed: int) -> PictureSamples:
    """The pictures of one folder, or one picture, without truth. Raises Refused."""
    files = in_folder(path) if path.is_dir() else [path]
    if not files:
        raise Refused(f"{path}: has no pictures ({' '.join(ENDINGS)})")
    pictures = [Picture(each.name, each) for each in files]
    return PictureSamples(str(path), "none", (), chosen(pictures, limit, seed))


def pictures_below(folder: Path, most: int | None = None) -> list[Path]:
    """Picture files of a folder and of all below it, as a person would sort them. most: enough."""
    found: list[Path] = []
    for place, folders, _ in os.walk(folder):
        folders.sort()
        found += in_folder(Path(place))
        if most is not None and len(found) >= most:
            break
    return found
