"""From what a user names (models, folders of them) to models with short names and formats."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from models import bundle, manifest
from models.manifest import FILE_NAME
from runtime.locating import BARE_ENDINGS, not_there, resolve
from wire.troubles import Refused, Trouble

FILES = (*BARE_ENDINGS, ".zip")


@dataclass(frozen=True)
class Named:
    """A model of the suite. formats: that it is there in. trouble: why that is not known."""

    name: str
    path: Path
    formats: tuple[str, ...]
    trouble: str | None = None


def named(words: Iterable[str]) -> list[Named]:
    """The models of all these paths, each once. A folder that is no model stands for those in it.

    Raises Refused if there is nothing at a path, or no model in a folder."""
    paths: list[Path] = []
    for each in words:
        path = resolve(each)
        if not os.path.exists(path):
            raise not_there(path)
        paths += models_of(path) if os.path.isdir(path) else [path]
    whole = dict.fromkeys(Path(os.path.abspath(path)) for path in paths)
    return [_named(name, path) for name, path in zip(_short(list(whole)), whole, strict=True)]


def models_of(folder: Path) -> list[Path]:
    """The folder itself if it is a model or its variants, else the files and folders in it that
    are. Variants of one model have its name."""
    if _is_model(folder):
        return [folder]
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        raise Refused(f"{folder}: cannot be read: {error.strerror}") from None
    found = [each for each in inside if each.is_file() and each.suffix.lower() in FILES]
    found += [each for each in inside if each.is_dir() and _is_model(each)]
    found += [each for each in inside if (each / FILE_NAME).is_file() and each not in found]
    if not found:
        raise Refused(f"{folder}: no model in this folder: {', '.join(FILES)} or a {FILE_NAME}")
    return found


def _is_model(folder: Path) -> bool:
    if (folder / FILE_NAME).is_file():
        return True
    names = {_manifest_name(each.parent) for each in folder.glob(f"*/{FILE_NAME}")}
    return len(names) == 1


def _manifest_name(folder: Path) -> str:
    try:
        return manifest.load(folder).name
    except Trouble:
        return str(folder)  # a row of its own will say what is wrong with it


def _named(name: str, path: Path) -> Named:
    try:
        return Named(name, path, formats_of(path))
    except Trouble as trouble:
        return Named(name, path, (), str(trouble).removeprefix(f"{path}: "))


def formats_of(path: Path) -> tuple[str, ...]:
    """The formats of a model. Raises Refused for what is none."""
    if path.is_dir() and not (path / FILE_NAME).is_file():
        return tuple(manifest.load(each.parent).format for each in path.glob(f"*/{FILE_NAME}"))
    if path.is_dir():
        return (manifest.load(path).format,)
    if path.suffix.lower() == ".zip":
        return (bundle.inspect(path).manifest.format,)
    if path.suffix.lower() in BARE_ENDINGS:
        return (BARE_ENDINGS[path.suffix.lower()],)
    raise Refused(f"no model: give a folder with a {FILE_NAME}, or {', '.join(FILES)}")


def _short(paths: Sequence[Path]) -> list[str]:
    """The file's or folder's name, with its folder's before it where two are called alike."""
    often = Counter(path.name for path in paths)
    return [path.name if often[path.name] == 1 else "/".join(path.parts[-2:]) for path in paths]
