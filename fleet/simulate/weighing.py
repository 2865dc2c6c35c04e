"""A large file that is checked block by block as it comes, and kept nowhere."""

from __future__ import annotations

import hashlib
from pathlib import Path

from wire.block.blocks import block_bytes, block_count
from wire.block.part import DIGEST
from wire.troubles import Refused


class Weighed:
    """Stands for a Part (wire.block.reading.Filling): each block must have its signed digest."""

    def __init__(self, path: Path, size: int, block_digests: bytes) -> None:
        """path: only its name is used. Raises Refused."""
        if len(block_digests) != DIGEST * block_count(size):
            raise Refused(f"{path.name}: its list of block digests is not as long as it should be")
        self.path = path
        self.size = size
        self.have_bytes = 0
        self._digests = block_digests
        self._there = bytearray(block_count(size))

    def next_missing(self, first: int = 0) -> int | None:
        found = self._there.find(0, first)
        return None if found < 0 else found

    def write(self, number: int, content: memoryview) -> bool:
        if not 0 <= number < len(self._there) or self._there[number]:
            return False
        if len(content) != block_bytes(self.size, number):
            return False
        at = number * DIGEST
        if hashlib.sha256(content).digest() != self._digests[at : at + DIGEST]:
            return False
        self._there[number] = 1
        self.have_bytes += len(content)
        return True

    def verify(self) -> bool:
        return self._there.count(0) == 0

    def settle(self) -> None:
        """Nothing is kept."""
