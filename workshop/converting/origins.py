"""What went into a model, by name and digest: nobody's paths, but anybody can compare."""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.parse import parse_qsl

from models.made import Origin
from runtime.locating import file_digest


def origins_of(role: str, words: str, folder: Path) -> tuple[Origin, ...]:
    """The digests of a file, a folder, or `package.module:attribute?name=file`. folder: where
    imports begin."""
    if Path(words).exists():
        return (origin(role, Path(words)),)
    place, _, rest = words.partition(":")
    attribute, _, query = rest.partition("?")
    found = [Origin(role, f"{Path(place).name}:{attribute}", _digest_of_module(place, folder))]
    for key, value in parse_qsl(query):
        if (folder / value).is_file():
            found.append(origin(key, folder / value))
    return tuple(found)


def origin(role: str, path: Path) -> Origin:
    """One file or folder that went in."""
    resolved = path.resolve()
    digest = folder_digest(resolved) if resolved.is_dir() else file_digest(resolved)
    return Origin(role, resolved.name[:300], digest)


def folder_digest(folder: Path) -> str:
    """sha256 (hex) of the names and digests of all files in a folder, sorted by name."""
    whole = hashlib.sha256()
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        whole.update(f"{path.relative_to(folder).as_posix()}\0{file_digest(path)}\n".encode())
    return whole.hexdigest()


def _digest_of_module(place: str, folder: Path) -> str:
    """Of the module's own file, where it lies in the user's folder; of its name where not."""
    path = folder / (place if place.endswith(".py") else place.replace(".", "/") + ".py")
    if path.is_file():
        return file_digest(path)
    return hashlib.sha256(place.encode()).hexdigest()
