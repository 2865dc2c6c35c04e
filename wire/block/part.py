"""A large file that comes in blocks, in any order, and survives kill -9 and power cuts on the way.

`PATH.part` holds the blocks where they belong, `PATH.have` a bitmap of those that are safe on the
disk: a block is claimed there only after it was fsynced. What was written after the last claim
is not lost with the process: it is found again by its digests.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from wire.block.blocks import BLOCK, MOST_BLOCKS, block_bytes, block_count
from wire.block.part_disk import Content, Pushing, disk, packed_bits, set_bits, write_all, written
from wire.durable import remove_durably, rename_durably, sync_folder, write_durably
from wire.troubles import Refused, Unavailable

CLAIM_BYTES = 16 * 1024 * 1024  # written between two claims, an fsync each
CLAIM_S = (0.5, 10.0)  # between two: at least, however many came; at most, however few
READ_BYTES = 1024 * 1024
SUM_BLOCKS = 32  # at once: each sum lets other threads go first
DIGEST = 32  # bytes
_MAGIC = b"vedette have 1\n"


class Part:
    """What is there of a file, and what lacks. For one thread.

    The file is open only between a `write` and the next `settle`, `finish` or `drop`.
    """

    def __init__(
        self,
        path: Path,
        size: int,
        digest: str,
        block_digests: bytes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """path: where the whole file will be; its folder is there. size: in bytes. digest: sha256
        of the whole, hex. block_digests: 32 bytes for each block. Raises Refused, Unavailable."""
        if not 0 <= size <= MOST_BLOCKS * BLOCK:
            raise Refused(f"{path.name}: a file of {size} bytes cannot come in blocks")
        if len(block_digests) != DIGEST * block_count(size):
            raise Refused(f"{path.name}: its list of block digests is not as long as it should be")
        self.path = path
        self.size = size
        self._digest = digest
        self._digests = block_digests
        self._count = block_count(size)
        self._part = path.with_name(path.name + ".part")
        self._have = path.with_name(path.name + ".have")
        self._there = bytearray(self._count)  # 1: there, and right when it was written
        self._held = 0  # bytes of these
        self._unsafe_bytes = 0  # of what was written since the last claim
        self._clock = clock
        self._claimed_s = clock()
        self._pushing = Pushing()
        self._file: int | None = None
        self._is_verified = False
        self._is_named = False  # the .part in its folder, safely
        self._forget_sum()
        with disk(self._part):
            self._resume()

    @property
    def have_bytes(self) -> int:
        return self._held

    @property
    def is_whole(self) -> bool:
        return self._held == self.size and self._there.count(0) == 0

    def has(self, number: int) -> bool:
        """Whether this block of the file is there."""
        return self._there[number] == 1

    def next_missing(self, first: int = 0) -> int | None:
        """The first block from `first` on that is not there."""
        found = self._there.find(0, first)
        return None if found < 0 else found

    def missing(self) -> Iterator[tuple[int, int]]:
        """Ranges of blocks that are not there: the first, and the first behind the last."""
        first = self.next_missing()
        while first is not None:
            behind = self._there.find(1, first)
            behind = self._count if behind < 0 else behind
            yield first, behind
            first = self.next_missing(behind)

    def write(self, number: int, content: Content) -> bool:
        """Take a block. False: we have it, there is no such block, or it is not the right one.

        Raises Unavailable if the disk does not take it; what was written before stays.
        """
        if not 0 <= number < self._count or self._there[number]:
            return False
        if not self._is_right(number, content):
            return False
        with disk(self._part):
            write_all(self._open(), content, number * BLOCK)
            self._pushing.wrote(self._open(), number * BLOCK, len(content))
        self._note(number)
        if number == self._summed + len(self._unsummed):
            self._unsummed.append(content)
            if len(self._unsummed) == SUM_BLOCKS:
                self._sum_up()
        self._unsafe_bytes += len(content)
        gap_s = CLAIM_S[0] if self._unsafe_bytes >= CLAIM_BYTES else CLAIM_S[1]
        if self._clock() - self._claimed_s >= gap_s:
            self._claim()
        return True

    def settle(self) -> None:
        """Make safe what is there, and close the file. Raises Unavailable."""
        if self._file is None:
            return
        try:
            self._claim()
        finally:
            os.close(self._file)
            self._file = None

    def verify(self) -> bool:
        """Whether the whole file is right. If not, what is wrong is missing again.

        Raises Refused if every block is right and the whole is not: then the list of block
        digests belongs to another file. Raises Unavailable.
        """
        if not self.is_whole:
            return False
        if not self._is_verified:
            self.settle()
            with disk(self._part):
                self._is_verified = self._hash() == self._digest
            if not self._is_verified and not self._find_wrong():
                raise Refused(
                    f"{self.path.name}: its blocks are as they should be and the whole is not:"
                    " the list of its block digests is of another file"
                )
        return self._is_verified

    def finish(self) -> Path:
        """Verify the whole, give it its name, and return that. Raises Refused, and Unavailable if
        blocks are missing, or were found wrong and are now missing."""
        if not self.verify():
            raise Unavailable(f"{self.path.name} is not whole yet: fetch what is missing")
        with disk(self.path):
            self.settle()
            rename_durably(self._part, self.path)
            if self._have.exists():
                remove_durably(self._have)
        return self.path

    def drop(self) -> None:
        """Remove what is there of it. Raises Unavailable."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._forget_all()
        with disk(self._part):
            remove_durably(self._have)
            remove_durably(self._part)

    def _is_right(self, number: int, content: Content) -> bool:
        if len(content) != block_bytes(self.size, number):
            return False
        at = number * DIGEST
        return hashlib.sha256(content).digest() == self._digests[at : at + DIGEST]

    def _note(self, number: int) -> None:
        self._there[number] = 1
        self._held += block_bytes(self.size, number)
        self._is_verified = False

    def _forget(self, number: int) -> None:
        self._forget_sum()
        self._there[number] = 0
        self._held -= block_bytes(self.size, number)

    def _forget_all(self) -> None:
        self._there = bytearray(self._count)
        self._forget_sum()
        self._held = self._unsafe_bytes = 0
        self._is_verified = False

    def _open(self) -> int:
        if self._file is None:
            self._file = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._file

    def _claim(self) -> None:
        """Make safe what was written, then say so in the bitmap."""
        if not self._unsafe_bytes or self._file is None:
            return
        with disk(self._part):
            try:
                os.fsync(self._file)
            except OSError:  # what was written may be gone: only what was claimed before counts
                self._forget_all()
                self._take_claims()
                raise
            self._unsafe_bytes = 0
            self._claimed_s = self._clock()
            if not self.is_whole:  # then it has its name in a moment; else its digests tell it
                self._write_claims()

    def _write_claims(self) -> None:
        if not self._is_named:  # the name of the .part must not be younger than the claim
            sync_folder(self._part.parent)
            self._is_named = True
        content = self._head() + packed_bits(self._there)
        write_durably(self._have, content + hashlib.sha256(content).digest())

    def _head(self) -> bytes:
        """Of which file the claims are."""
        of = hashlib.sha256(b"%d %b " % (self.size, self._digest.encode()) + self._digests)
        return _MAGIC + of.digest()

    def _resume(self) -> None:
        """What a life before left: what it claimed, and what else has the right digest."""
        if not self._part.exists():
            with suppress(FileNotFoundError):
                self._have.unlink()
            return
        self._take_claims()
        self._file = os.open(self._part, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._drop_claims_behind(os.fstat(self._file).st_size)
            for first, behind in written(self._file):
                self._find_right(first // BLOCK, min(self._count, -(-behind // BLOCK)))
            self._claim()
        finally:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def _take_claims(self) -> None:
        head = self._head()
        try:
            content = self._have.read_bytes()
        except FileNotFoundError:
            return
        claims, told = content[:-DIGEST], content[-DIGEST:]
        if claims.startswith(head) and hashlib.sha256(claims).digest() == told:
            for number in set_bits(claims[len(head) :], self._count):
                self._note(number)

    def _drop_claims_behind(self, end: int) -> None:
        for number in range(self._count):
            if self._there[number] and number * BLOCK + block_bytes(self.size, number) > end:
                self._forget(number)

    def _find_right(self, first: int, behind: int) -> None:
        for number in range(first, behind):
            if not self._there[number] and self._is_right(number, self._read(number)):
                self._note(number)
                self._unsafe_bytes += BLOCK

    def _find_wrong(self) -> bool:
        """Whether some block is wrong; those are missing from now on, on the disk first."""
        with disk(self._part):
            try:
                wrong = [n for n in range(self._count) if not self._is_right(n, self._read(n))]
                for number in wrong:
                    self._forget(number)
                self._write_claims()
            finally:
                self.settle()
        return bool(wrong)

    def _read(self, number: int) -> bytes:
        return os.pread(self._open(), block_bytes(self.size, number), number * BLOCK)

    def _hash(self) -> str:
        """Of the whole: what came in order was summed up then, the rest is read."""
        self._sum_up()
        with open(self._part, "rb") as file:
            file.seek(self._summed * BLOCK)
            while content := file.read(READ_BYTES):
                self._sum.update(content)
        whole = self._sum.hexdigest()
        self._forget_sum()
        return whole

    def _sum_up(self) -> None:
        for content in self._unsummed:
            self._sum.update(content)
        self._summed += len(self._unsummed)
        self._unsummed.clear()

    def _forget_sum(self) -> None:
        self._sum = hashlib.sha256()  # of the blocks before _summed, while they come in order
        self._summed = 0
        self._unsummed: list[Content] = []  # those that come next
