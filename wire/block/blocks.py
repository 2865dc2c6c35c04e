"""Files in blocks of 32 KiB: how they are asked for and what travels. See docs/wire.md.

A file is known by a key of 64 hex digits: the sha256 of its content for what never changes, the
sha256 of its path for metadata, of which the newest is wanted. A block is published once, on its
own topic, for everybody who asked within a short time.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Annotated

from msgspec import Meta, Struct

from wire.messages import Natural
from wire.names import Digest
from wire.troubles import Refused, Unavailable

BLOCK = 32 * 1024  # bytes; the last one of a file may be shorter
MOST_BLOCKS = 1 << 17  # of a file: 4 GiB
MOST_RANGES = 64  # in one request
_HEAD = struct.Struct(">BQ")  # whether the file is there, its size in bytes
_ABSENT, _THERE = 0, 1

Range = tuple[Natural, Natural]  # the first block, and the first behind the last


class NoSuchFile(Unavailable):
    """The other side says that it has no such file."""


class BlockRequest(Struct, frozen=True):
    """Which blocks somebody lacks."""

    file: Digest
    ranges: Annotated[tuple[Range, ...], Meta(min_length=1, max_length=MOST_RANGES)]


class Block(Struct, frozen=True):
    """What was published for one block. size: of the whole file, in bytes; None: there is no such
    file, and content is empty."""

    size: int | None
    content: bytes


def path_key(path: str) -> str:
    """The key of a metadata file, as `metadata/timestamp.json`."""
    return hashlib.sha256(path.encode()).hexdigest()


def block_count(size: int) -> int:
    """How many blocks a file of so many bytes has. An empty one has one, which is empty."""
    return max(1, -(-size // BLOCK))


def block_bytes(size: int, number: int) -> int:
    """How long a block of a file of `size` bytes is."""
    return min(BLOCK, size - number * BLOCK)


def packed(block: Block) -> bytes:
    """The payload for the topic of a block."""
    if block.size is None:
        return _HEAD.pack(_ABSENT, 0)
    return _HEAD.pack(_THERE, block.size) + block.content


def unpacked(payload: bytes, number: int) -> Block:
    """The block in a payload. Raises Refused, whatever the bytes are."""
    size, content = opened(payload, number)
    return Block(size, bytes(content))


def opened(payload: bytes, number: int) -> tuple[int | None, memoryview]:
    """As `unpacked`, without a copy: the size of the whole file, and the content."""
    if len(payload) < _HEAD.size:
        raise Refused(f"{len(payload)} bytes are no block")
    there, size = _HEAD.unpack_from(payload)
    content = memoryview(payload)[_HEAD.size :]
    if there == _ABSENT and not content:
        return None, content
    if there != _THERE or number >= min(block_count(size), MOST_BLOCKS):
        raise Refused("not a block")
    if len(content) != block_bytes(size, number):
        raise Refused(f"{len(content)} bytes are not block {number} of a file of {size} bytes")
    return int(size), content
