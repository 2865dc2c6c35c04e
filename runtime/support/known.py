"""The secrets of this very device, as they lie in its files and its environment."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from urllib.parse import unquote

import msgspec

from runtime.support.patterns import HARMLESS, SECRET_NAME, in_text, key_lines
from wire.accepted import FILE_NAME
from wire.folders import Folders
from wire.masking import LOCAL
from wire.troubles import Refused
from wire.typed_toml import tables_of
from wire.unreadable import UNREADABLE

MOST_FILES = 500
LARGEST = 256 * 1024  # bytes of a file
NAMED_FILE = re.compile(r"(password|key|certificate)_file\s*=\s*[\"']+([^\"'\n]+)")
SECRET_FILE = re.compile(r"pass|secret|token|\.key$|key\.pem$|cred|psk", re.IGNORECASE)
ENROLMENT = ".vedette"
ODD = re.compile(r"[#/?@:;&=]")
CUTS = re.compile(r"[#/?]")  # where an address is taken apart first
LEAST_PIECE = 4  # characters: shorter ones stand in every text


class Proofs(msgspec.Struct, frozen=True):
    """Of a NAME.vedette."""

    password: str | None = None
    key_pem: str | None = None


def known(folders: Folders, environment: Mapping[str, str] = os.environ) -> set[str]:
    """Each as it would stand in a text."""
    found: set[str] = set()
    for path in _files(folders):
        found.update(_in_file(path))
    for config in _configs(folders):
        found.update(_in_tables(config))
        for kind, path in _named(config):
            found.update(_in_file(path))
            if kind == "password":  # whatever it is called, what is in it is one
                found.update(_text(path).splitlines())
    for name, value in environment.items():
        found.update(in_text(value))
        is_plain = value.startswith("/") or value.lower() in HARMLESS  # a path, or a yes or no
        if SECRET_NAME.search(name) and not is_plain:
            found.update((value, *value.splitlines()))
    return {one for one in (each.strip() for each in found) if one}


def _configs(folders: Folders) -> tuple[Path, ...]:
    before = folders.config.with_name(f"{folders.config.name}.before")
    return folders.config, folders.state / FILE_NAME, before


def _files(folders: Folders) -> Iterator[Path]:
    """The configuration's folder, and the copy that was accepted."""
    yield from _configs(folders)
    folder = folders.config.parent
    below = (Path(at, name) for at, _, names in os.walk(folder) for name in names)
    yield from islice(below, MOST_FILES)


def _named(config: Path) -> Iterator[tuple[str, Path]]:
    """What a configuration names: `password`, `key` or `certificate`, and the file. By its text
    too, as it may be none that a parser takes."""
    text = _text(config)
    yield from ((kind, Path(path)) for kind, path in NAMED_FILE.findall(text))
    for name, value in _pairs(_tables(text)):
        if name.endswith("_file"):
            yield name.removesuffix("_file"), Path(value)


def _in_tables(config: Path) -> Iterator[str]:
    """As a parser reads it, however it is quoted."""
    for name, value in _pairs(_tables(_text(config))):
        yield from in_text(value)
        yield from _of_address(value)
        if SECRET_NAME.search(name) and not name.endswith("_file"):
            yield from (value, *value.splitlines())


def _of_address(value: str) -> Iterator[str]:
    """The password in it, and its pieces: whoever read the address as it stands took it apart at
    what should have been percent-encoded, and may have said so in a journal."""
    kind, _, rest = value.partition("://")
    user, at, _ = rest.rpartition("@")
    name, _, password = user.partition(":")
    if not at or not password or kind in LOCAL:
        return
    yield from (password, unquote(password))
    yield from (piece for piece in ODD.split(password) if len(piece) >= LEAST_PIECE)
    for found in CUTS.finditer(password):
        yield f"{name}:{password[: found.start()]}"
        yield rest[len(name) + 1 + found.end() :]


def _tables(text: str) -> object:
    try:
        return tables_of(text, "")
    except Refused:
        return {}


def _pairs(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Every text in tables and arrays, with the name of what it is in."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _pairs(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from _pairs(each, name)


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
