"""The bundle: each part bounded and without secrets, packed, and written whole or not at all."""

from __future__ import annotations

import errno
import gzip
import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from runtime.support.masking import Mask
from runtime.support.sources import Give
from wire.durable import writing_durably
from wire.troubles import Unavailable

MOST_OF_PART = 1 << 20  # bytes
LOOKED_AT = 3 << 20  # bytes: more would take long on a small board
MOST = 6 << 20  # bytes of all parts
FROM_END = ("journal.txt", "system/dmesg.txt")  # what is newest tells most
ABOUT = "README.txt"


class Part(Struct, frozen=True):
    """size: in bytes. cut: bytes that were left out."""

    name: str
    size: int
    cut: int


class Packed(Struct, frozen=True):
    """content: a .tar.gz."""

    content: bytes
    parts: tuple[Part, ...]


def pack(sources: Iterable[tuple[str, Give]], mask: Mask, at_s: float) -> Packed:
    """Take every part in turn. at_s: the time that is written on them, Unix seconds."""
    parts: list[Part] = []
    left = MOST
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as tar:
        for name, give in sources:
            # what is cut away before is far from what is kept: no half of a key stays there
            given, before = _bounded(_given(give), LOOKED_AT, name)
            text, cut = _bounded(mask.clean(given), min(left, MOST_OF_PART), name)
            # here it may, of one that nobody knows
            content = (mask.clean(text) if cut else text).encode("utf-8", "replace")
            left -= len(content)
            parts.append(Part(name, len(content), before + cut))
            _add(tar, name, content, at_s)
        _add(tar, ABOUT, mask.clean(_about(parts)).encode(), at_s)
    return Packed(gzip.compress(whole.getvalue(), 6, mtime=0), tuple(parts))


def _given(give: Give) -> str:
    """A part that cannot be had must not cost the others."""
    try:
        return give()
    except OSError as error:
        return f"not to be had: {error.strerror}\n"


def _bounded(text: str, most: int, name: str) -> tuple[str, int]:
    """At most so many bytes, and how many were left out."""
    content = text.encode("utf-8", "replace")
    cut = len(content) - most
    if cut <= 0:
        return text, 0
    kept = content[-most:] if name in FROM_END and most else content[:most]
    return kept.decode("utf-8", "ignore"), cut


def _about(parts: Iterable[Part]) -> str:
    lines = ["Made by `vedette support`. Passwords, keys and the like were taken out.", ""]
    lines += [f"{one.size:>8} {one.name}" + (f" ({one.cut} bytes left out)" if one.cut else "")
              for one in parts]  # fmt: skip
    return "\n".join(lines) + "\n"


def _add(tar: tarfile.TarFile, name: str, content: bytes, at_s: float) -> None:
    entry = tarfile.TarInfo(f"vedette-support/{name}")
    entry.size, entry.mtime, entry.mode = len(content), int(at_s), 0o600
    tar.addfile(entry, io.BytesIO(content))


def write(packed: Packed, path: Path) -> None:
    """For its owner's eyes. Raises Unavailable: then nothing is there."""
    try:
        with writing_durably(path, 0o600) as file:
            file.write(packed.content)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            why = f"the disk is full, and {len(packed.content) >> 10} KiB are needed"
        else:
            why = error.strerror or str(error)
        raise Unavailable(
            f"{path}: cannot be written: {why}: name another place, as --out /dev/shm"
        ) from None
