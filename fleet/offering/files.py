"""The files of one offer: what the depot is told of them, and their bytes when it asks."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from models.plain import open_plain
from wire.offers import OfferedFile, offered_key


@dataclass(frozen=True)
class OfferFile:
    """path: where it belongs, in wire.release's layout. source: its bytes, or where they lie."""

    path: str
    digest: str
    size: int
    source: bytes | Path


def in_memory(path: str, content: bytes) -> OfferFile:
    return OfferFile(path, hashlib.sha256(content).hexdigest(), len(content), content)


class Offered:
    """The library (wire.block.server.Library) of one offer."""

    def __init__(self, identity: str, files: Iterable[OfferFile]) -> None:
        self.id = identity
        self._files = {offered_key(identity, file.path): file for file in files}

    @property
    def offered(self) -> tuple[OfferedFile, ...]:
        """As the depot is told."""
        return tuple(OfferedFile(one.path, one.digest, one.size) for one in self._files.values())

    def open(self, key: str) -> BinaryIO | None:
        """The file that is asked for by this key; None: it is not of this offer, or went away."""
        file = self._files.get(key)
        if file is None:
            return None
        if isinstance(file.source, bytes):
            return io.BytesIO(file.source)
        try:
            return open_plain(file.source)
        except OSError:
            return None
