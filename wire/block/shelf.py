"""The files that are served, a few of the large ones kept open."""

from __future__ import annotations

import math
import os
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from wire.block.blocks import BLOCK, Block, block_bytes, block_count

MOST_OPEN = 8
KEEP_S = 5.0  # a file that changes under its key is seen then


class Library(Protocol):
    """Where files are. What is under the digest of its content never changes."""

    def open(self, key: str) -> BinaryIO | None:
        """The file with this key (wire.release.file_key), or None: there is no such file. May
        raise OSError: then nobody is answered."""


@dataclass(frozen=True)
class _Open:
    file: BinaryIO
    size: int
    until_s: float


class Shelf:
    """Reads blocks. A file of one block is opened every time, so the newest is read."""

    def __init__(self, library: Library, clock: Callable[[], float]) -> None:
        self._library = library
        self._clock = clock
        self._open: OrderedDict[str, _Open] = OrderedDict()  # who was read last comes last

    def block(self, key: str, number: int) -> Block | None:
        """None: it cannot be read now, or the file has no such block."""
        try:
            return self._block(key, number)
        except OSError:
            self._close(key)
            return None

    def tidy(self) -> None:
        """Close what was open long enough."""
        now = self._clock()
        for key in [key for key, kept in self._open.items() if now >= kept.until_s]:
            self._close(key)

    def wait_s(self) -> float:
        """Until there is something to tidy."""
        until_s = min((kept.until_s for kept in self._open.values()), default=math.inf)
        return max(0.0, until_s - self._clock())

    def close(self) -> None:
        for key in list(self._open):
            self._close(key)

    def _block(self, key: str, number: int) -> Block | None:
        kept = self._take(key)
        if kept is None:
            return Block(None, b"")
        try:
            if number >= block_count(kept.size):
                return None
            kept.file.seek(number * BLOCK)
            content = kept.file.read(block_bytes(kept.size, number))
        finally:
            self._put(key, kept)
        return Block(kept.size, content) if len(content) == block_bytes(kept.size, number) else None

    def _take(self, key: str) -> _Open | None:
        kept = self._open.pop(key, None)
        if kept is not None and self._clock() < kept.until_s:
            return kept
        if kept is not None:
            kept.file.close()
        file = self._library.open(key)
        if file is None:
            return None
        return _Open(file, file.seek(0, os.SEEK_END), self._clock() + KEEP_S)

    def _put(self, key: str, kept: _Open) -> None:
        if kept.size <= BLOCK:
            kept.file.close()
            return
        self._open[key] = kept
        if len(self._open) > MOST_OPEN:
            self._close(next(iter(self._open)))

    def _close(self, key: str) -> None:
        kept = self._open.pop(key, None)
        if kept is not None:
            with suppress(OSError):
                kept.file.close()
