"""The secrets of this very device, as they lie in its files and its environment."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import msgspec

from runtime.support.patterns import HARMLESS, SECRET_NAME, in_text, key_lines
from wire.accepted import FILE_NAME
from wire.folders import Folders
from wire.unreadable import UNREADABLE

MOST_FILES = 500
LARGEST = 256 * 1024  # bytes of a file
NAMED_FILE = re.compile(r"^\s*(?:password|key|certificate)_file\s*=\s*[\"']([^\"'\n]+)", re.M)
SECRET_FILE = re.compile(r"pass|secret|token|\.key$|key\.pem$|cred|psk", re.IGNORECASE)
ENROLMENT = ".vedette"


class Proofs(msgspec.Struct, frozen=True):
    """Of a NAME.vedette."""

    password: str | None = None
    key_pem: str | None = None


def known(folders: Folders, environment: Mapping[str, str] = os.environ) -> set[str]:
    """Each as it would stand in a text."""
    found: set[str] = set()
    for path in _files(folders):
        found.update(_in_file(path))
    for name, value in environment.items():
        found.update(in_text(value))
        is_plain = value.startswith("/") or value.lower() in HARMLESS  # a path, or a yes or no
        if SECRET_NAME.search(name) and not is_plain:
            found.update((value, *value.splitlines()))
    return {one for one in (each.strip() for each in found) if one}


def _files(folders: Folders) -> Iterator[Path]:
    """The configuration's folder, and what the configuration names elsewhere."""
    configs = (folders.config, folders.state / FILE_NAME)
    yield from configs
    folder = folders.config.parent
    below = (Path(at, name) for at, _, names in os.walk(folder) for name in names)
    yield from islice(below, MOST_FILES)
    for config in configs:
        yield from (Path(path) for path in NAMED_FILE.findall(_text(config)))


def _in_file(path: Path) -> Iterator[str]:
    text = _text(path)
    yield from in_text(text)
    is_named = SECRET_FILE.search(path.name) is not None
    if path.suffix == ENROLMENT:
        try:
            proofs = msgspec.json.decode(text, type=Proofs)
        except UNREADABLE:
            return
        yield from filter(None, (proofs.password,))
        yield from key_lines(proofs.key_pem or "")
    elif is_named and "-----BEGIN" not in text and path.suffix != ".toml":
        yield from (line for line in text.splitlines() if line.strip())


def _text(path: Path) -> str:
    """ "" where it cannot be read: then nothing of it is in the bundle either."""
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode) or not found.st_size:
            return ""  # a pipe, or a file of the kernel, may wait for ever
        with open(path, "rb") as file:
            return file.read(LARGEST).decode("utf-8", "replace")
    except OSError:
        return ""
