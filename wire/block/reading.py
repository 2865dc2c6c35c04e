"""Where blocks go that come: into a part on the disk, or together to a small file in memory."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Protocol

from wire.block.asking import Lacking
from wire.block.blocks import block_count, opened
from wire.troubles import Refused

Opened = tuple[int | None, memoryview]  # the size of the file, and a block of it


class Taking(Lacking, Protocol):
    """What blocks are for. Nothing that comes can harm it: what does not fit is not taken."""

    def take(self, number: int, payload: bytes) -> bool:
        """Whether that was a block which lacked. Raises Unavailable if the disk does not take it,
        Refused if this file can never be right."""

    def verify(self) -> bool:
        """Whether it is all there and right. What is not right lacks again."""


class Filling(Lacking, Protocol):
    """A large file that comes in blocks: a Part, or what stands for one. It says what a Part does.
    path: its name is what people are told."""

    @property
    def path(self) -> Path: ...

    @property
    def size(self) -> int: ...

    @property
    def have_bytes(self) -> int: ...

    def write(self, number: int, content: memoryview) -> bool: ...

    def verify(self) -> bool: ...

    def settle(self) -> None: ...


class _Judging:
    """Takes note of what came and was no use. why_not: what that was, as the end of a sentence."""

    def __init__(self) -> None:
        self.is_absent = False  # somebody says so
        self.why_not: str | None = None

    def _opened(self, payload: bytes, number: int) -> Opened | None:
        try:
            return opened(payload, number)
        except Refused:
            self.why_not = "what came was no block of it"
            return None


class PartTaking(_Judging):
    """Blocks for a part, each known by its digest."""

    def __init__(self, part: Filling) -> None:
        super().__init__()
        self._part = part

    def next_missing(self, first: int = 0) -> int | None:
        return self._part.next_missing(first)

    def take(self, number: int, payload: bytes) -> bool:
        block = self._opened(payload, number)
        if block is None:
            return False
        size, content = block
        if size is None:
            self.is_absent = True
            return False
        if size != self._part.size or not self._part.write(number, content):
            if number == self._part.next_missing(number):
                self.why_not = "what came did not have the right digest"
            return False
        return True

    def verify(self) -> bool:
        return self._part.verify()


class Reading(_Judging):
    """A small file. Without a digest the first answer that is one is taken, and somebody else
    judges it; with one, what does not fit is replaced by what comes later."""

    def __init__(self, most_bytes: int, digest: str | None) -> None:
        super().__init__()
        self._most_bytes = most_bytes
        self._digest = digest
        self._size: int | None = None
        self._blocks: dict[int, bytes] = {}
        self._doubtful: set[int] = set()  # a whole with these was wrong
        self.content: bytes | None = None

    def next_missing(self, first: int = 0) -> int | None:
        count = 1 if self._size is None else block_count(self._size)
        lacking = (n for n in range(first, count) if n not in self._blocks or n in self._doubtful)
        return next(lacking, None)

    def take(self, number: int, payload: bytes) -> bool:
        block = self._opened(payload, number)
        if block is None:
            return False
        size, content = block[0], bytes(block[1])
        if size is None:
            self.is_absent = True
            return False
        if size > self._most_bytes:
            self.why_not = f"it has {size} bytes, and {self._most_bytes} are the most"
            return False
        if size != self._size:  # the first, or the file became another one meanwhile
            self._size = size
            self._blocks.clear()
            self._doubtful.clear()
        is_new = number in self._doubtful or self._blocks.get(number) != content
        self._blocks[number] = content
        self._doubtful.discard(number)
        if is_new:
            self._join()
        return is_new

    def verify(self) -> bool:
        return self.content is not None or (self.is_absent and self._digest is None)

    def _join(self) -> None:
        """Put the whole together, if it is there."""
        if self._size is None or len(self._blocks) < block_count(self._size):
            return
        whole = b"".join(content for _, content in sorted(self._blocks.items()))
        if self._digest is None or hashlib.sha256(whole).hexdigest() == self._digest:
            self.content = whole
        elif not self._doubtful:
            self.why_not = "what came did not have the right digest"
            self._doubtful = set(self._blocks)
