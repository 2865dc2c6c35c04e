"""A small file that outlives reboots: read at the start, moved aside if it is damaged."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from wire.durable import write_durably
from wire.troubles import Unavailable

LARGEST = 4 << 20  # bytes

Content = TypeVar("Content", bound=Struct)


@dataclass(frozen=True)
class Damage:
    """A file that was there and could not be used. written_s: Unix time, by the clock of then."""

    text: str
    written_s: float


def read_kept(path: Path, kind: type[Content]) -> Content | Damage | None:
    """What was kept; None if nothing ever was. A damaged file gets another name, to be looked at.

    Never raises: whoever keeps something goes on without it. Whoever finds damage writes the file
    anew; until then every start finds it again.
    """
    try:
        with open(path, "rb") as file:
            written_s = os.fstat(file.fileno()).st_mtime
            content = file.read(LARGEST + 1)
    except FileNotFoundError:
        return _earlier_damage(path)
    except OSError as error:
        return _damaged(path, f"cannot be read: {error.strerror}", 0.0)
    if len(content) > LARGEST:
        return _damaged(path, "is too large", written_s)
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return _damaged(path, "is damaged", written_s)


def keep(path: Path, content: Struct) -> None:
    """Write it durably. Raises Unavailable, and then the file of before is still there."""
    try:
        write_durably(path, msgspec.json.encode(content))
    except OSError as error:
        raise Unavailable(f"{path}: cannot be written: {error.strerror}") from None


def _earlier_damage(path: Path) -> Damage | None:
    aside = _aside(path)
    try:
        return Damage(f"{path} was damaged: it is now {aside.name}", aside.stat().st_mtime)
    except OSError:
        return None


def _damaged(path: Path, why: str, written_s: float) -> Damage:
    aside = _aside(path)
    with contextlib.suppress(OSError):
        os.replace(path, aside)
        return Damage(f"{path} {why}: it is now {aside.name}", written_s)
    return Damage(f"{path} {why}, and cannot be moved aside", written_s)


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.damaged")
