"""The one kind of zip that a bundle may be: flat, stored, without a byte of freedom.

APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.3.12 (central directory) and 4.3.16 (its end).
Names, sizes, CRCs and contents decide every byte of the archive. So a reader rebuilds each header
from these four and compares: what is equal needs no further checks, and whatever a zip could hide
(links, extra fields, comments, gaps, second copies) has no place left.
"""

from __future__ import annotations

import re
import stat
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

from wire.complaints import FLAT_NAME_PATTERN, shortened
from wire.troubles import Refused

MOST_ENTRIES = 256
LARGEST = 1 << 30  # bytes; far below where zip64 would begin
PIECE = 1 << 18  # bytes held in memory at once

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_LONGEST_NAME = 128
MOST_OVERHEAD = MOST_ENTRIES * (_LOCAL.size + _CENTRAL.size + 2 * _LONGEST_NAME) + _END.size
_STORED_SINCE = 10  # version 1.0 of the format is all it takes
_MADE_BY_UNIX = 3 << 8 | 20
_PLAIN_FILE = (stat.S_IFREG | 0o644) << 16
_MIDNIGHT, _FIRST_DAY = 0, 1 << 5 | 1  # 1980-01-01 00:00, the earliest that a zip can say


class Entry(NamedTuple):
    """One file in the archive. offset: of its local header; size: in bytes; crc: CRC-32."""

    name: str
    size: int
    crc: int
    offset: int

    @property
    def end(self) -> int:
        """Where the next header begins."""
        return self.offset + _LOCAL.size + len(self.name) + self.size


class Piece(NamedTuple):
    """Some bytes of an archive, in order. name: whose content they are, None: headers."""

    name: str | None
    content: bytes


def local_header(entry: Entry) -> bytes:
    fixed = (_STORED_SINCE, 0, 0, _MIDNIGHT, _FIRST_DAY, entry.crc, entry.size, entry.size)
    return _LOCAL.pack(b"PK\3\4", *fixed, len(entry.name), 0) + entry.name.encode()


def directory(entries: Sequence[Entry]) -> bytes:
    """The central directory and its end: everything after the last content."""
    records = b"".join(_central_header(entry) for entry in entries)
    count, start = len(entries), entries[-1].end
    return records + _END.pack(b"PK\5\6", 0, 0, count, count, len(records), start, 0)


def pieces(file: BinaryIO, entries: Sequence[Entry]) -> Iterator[Piece]:
    """All bytes of an archive with these entries, read from its start and checked on the way.

    Raises Refused at the first byte that a bundle would not have.
    """
    file.seek(0)
    for entry in entries:
        header = local_header(entry)
        if file.read(len(header)) != header:
            raise Refused(f"{entry.name}: its own header and the directory disagree")
        yield Piece(None, header)
        left, crc = entry.size, 0
        while left:
            content = file.read(min(left, PIECE))
            if not content:
                raise Refused(f"{entry.name}: ends too early")
            left -= len(content)
            crc = zlib.crc32(content, crc)
            yield Piece(entry.name, content)
        if crc != entry.crc:
            raise Refused(f"{entry.name}: damaged: its CRC is not the one that the directory gives")
    tail = directory(entries)
    if file.read(len(tail) + 1) != tail:
        raise Refused("the directory is not as a bundle has it")
    yield Piece(None, tail)


def read_directory(file: BinaryIO, size: int) -> tuple[Entry, ...]:
    """The entries of an archive of `size` bytes. Raises Refused; reads no content.

    What is returned is one gapless row of files with safe, distinct names: `pieces` proves it.
    """
    if size > LARGEST:
        raise Refused(f"larger than {LARGEST >> 20} MiB: no bundle may be")
    if size < _END.size:
        raise Refused("too short: not a bundle")
    file.seek(size - _END.size)
    end = file.read(_END.size)
    if end[:4] != b"PK\5\6":
        raise Refused("not a bundle, or cut short, or something was added behind its end")
    _, disk, start_disk, here, count, length, start, comment = _END.unpack(end)
    if count > MOST_ENTRIES or not count:
        raise Refused(f"{count} entries: a bundle has 1 to {MOST_ENTRIES}")
    if (disk, start_disk, here, comment) != (0, 0, count, 0):
        raise Refused("the end of its directory is not as a bundle has it")
    if length > count * (_CENTRAL.size + _LONGEST_NAME) or start + length + _END.size != size:
        raise Refused("sizes do not add up: bytes are missing, or something is in between")
    file.seek(start)
    return _entries(file.read(length), count, start)


def _entries(records: bytes, count: int, start: int) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    names: set[str] = set()
    at = expected = 0
    for _ in range(count):
        entry, at = _entry(records, at)
        if entry.name.lower() in names:
            raise Refused(f"{entry.name}: is in there twice")
        if entry.offset != expected:
            raise Refused(f"{entry.name}: overlaps another entry, or bytes lie between them")
        names.add(entry.name.lower())
        entries.append(entry)
        expected = entry.end
    if at != len(records) or expected != start:
        raise Refused("sizes do not add up: something hides beside its entries")
    return tuple(entries)


def _entry(records: bytes, at: int) -> tuple[Entry, int]:
    """One record of the directory, and where the next begins."""
    if at + _CENTRAL.size > len(records):
        raise Refused("its directory is cut short")
    fields = _CENTRAL.unpack_from(records, at)
    if fields[0] != b"PK\1\2":
        raise Refused("its directory is damaged")
    _, _, _, flags, method, _, _, crc, packed, size, length, *_, attributes, offset = fields
    end = at + _CENTRAL.size + length
    raw = records[at + _CENTRAL.size : end]
    name = _safe_name(raw)
    if flags & 1:
        raise Refused(f"{name}: encrypted: a bundle is not")
    if method or packed != size:
        raise Refused(f"{name}: compressed: a bundle stores its files as they are")
    if stat.S_ISLNK(attributes >> 16):
        raise Refused(f"{name}: a link: a bundle has only files")
    if not size:
        raise Refused(f"{name}: empty")
    entry = Entry(name, size, crc, offset)
    if _central_header(entry) != records[at:end]:
        raise Refused(f"{name}: its record says more than a bundle may: pack the folder again")
    return entry, end


def _safe_name(raw: bytes) -> str:
    name = raw.decode("ascii", "replace")
    if not re.match(FLAT_NAME_PATTERN, name):
        raise Refused(
            f"{shortened(repr(name))}: not a plain file name: a bundle has no folders, no paths, "
            "and no names but of letters, digits, '.', '_' and '-'"
        )
    return name


def _central_header(entry: Entry) -> bytes:
    fixed = (_STORED_SINCE, 0, 0, _MIDNIGHT, _FIRST_DAY, entry.crc, entry.size, entry.size)
    rest = (len(entry.name), 0, 0, 0, 0, _PLAIN_FILE, entry.offset)
    return _CENTRAL.pack(b"PK\1\2", _MADE_BY_UNIX, *fixed, *rest) + entry.name.encode()
