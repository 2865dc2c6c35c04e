"""What a file that comes in blocks asks of the disk: whole writes, its holes, one line."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from wire.troubles import Unavailable

Content = bytes | memoryview
PUSH_BYTES = 2 * 1024 * 1024
FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def disk(path: Path) -> Iterator[None]:
    """An OSError is Unavailable."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            why = f"the disk of {path.parent} is full: make room, then it goes on"
            raise Unavailable(why) from error
        raise Unavailable(f"{path} cannot be written or read: {error.strerror}") from error


def write_all(file: int, content: Content, at: int) -> None:
    """Write at a place of an open file. Raises OSError."""
    rest = memoryview(content)
    while rest:
        done = os.pwrite(file, rest, at)
        rest, at = rest[done:], at + done


class Pushing:
    """Lets the disk begin with what was written, so that an fsync later has little to wait for."""

    def __init__(self) -> None:
        self._first = self._behind = 0  # a run of bytes, as they were written in order

    def wrote(self, file: int, at: int, size: int) -> None:
        """So many bytes of an open file, from a place on."""
        if at != self._behind:
            self._first = at
        self._behind = at + size
        if self._behind - self._first >= PUSH_BYTES:
            run = (self._first, self._behind - self._first)
            with contextlib.suppress(OSError):  # not every file system has it
                # what is dirty is written before it can be dropped: that begins now
                os.posix_fadvise(file, *run, os.POSIX_FADV_DONTNEED)
            self._first = self._behind


def written(file: int) -> Iterator[tuple[int, int]]:
    """From where to where something was ever written, in bytes; the rest are holes."""
    end = os.fstat(file).st_size
    behind = 0
    while behind < end:
        try:
            first = os.lseek(file, behind, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # holes only
                return
            raise
        behind = os.lseek(file, first, os.SEEK_HOLE)
        yield first, behind


def packed_bits(flags: bytearray) -> bytes:
    """Bytes of 0 and 1 as bits, the last one lowest."""
    return int(flags.translate(_DIGITS), 2).to_bytes(-(-len(flags) // 8), "big")


def set_bits(packed: bytes, count: int) -> Iterator[int]:
    """The places of the ones among `count` bits that packed_bits packed; none if it is not that."""
    if len(packed) != -(-count // 8):
        return
    digits = bin(int.from_bytes(packed, "big"))[2:].zfill(count)
    place = digits.find("1")
    while 0 <= place < count:
        yield place
        place = digits.find("1", place + 1)


_DIGITS = bytes.maketrans(b"\0\1", b"01")
