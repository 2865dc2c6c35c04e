"""RTP payloads of JPEG (RFC 2435) into whole JPEG pictures: the headers are made anew.

The Huffman tables are the standard ones, which our decoder knows by itself.
"""

from __future__ import annotations

import struct

from runtime.cameras.network_backlog import Unit
from runtime.cameras.rtp import Broken

# Tables K.1 and K.2 of ITU-T T.81, in zigzag order
LUMA = bytes.fromhex(
    "100b0c0e0c0a100e0d0e1211101318281a181616183123251d283a333d3c3933"
    "383740485c4e404457453738506d51575f626768673e4d71797064785c656763"
)
CHROMA = bytes.fromhex(
    "1112121815182f1a1a2f63423842636363636363636363636363636363636363"
    "6363636363636363636363636363636363636363636363636363636363636363"
)
MAIN = struct.Struct(">B3sBBBB")
RESTART = struct.Struct(">HH")


class JpegDepacketizer:
    """Appends the header of a picture with its first packet, then what all packets bring."""

    def __init__(self) -> None:
        self._at = 0  # bytes of the scan so far
        self._tables: dict[int, bytes] = {}  # a camera may send those of a Q only once

    def add(self, payload: memoryview, unit: Unit) -> None:
        if len(payload) < MAIN.size:
            raise Broken
        _, offset, kind, quality, width, height = MAIN.unpack_from(payload)
        rest, interval = payload[MAIN.size :], 0
        if 64 <= kind <= 127:
            if len(rest) < RESTART.size:
                raise Broken
            interval, rest = RESTART.unpack_from(rest)[0], rest[RESTART.size :]
        at = int.from_bytes(offset, "big")
        if at == 0:
            tables, rest = self._quantization(quality, rest)
            unit.begin()
            unit.add(header(kind & 63, 8 * width, 8 * height, tables, interval))
            self._at = 0
        elif at != self._at or not unit.size:
            raise Broken
        self._at += len(rest)
        if not unit.add(rest):
            raise Broken

    def finish(self, unit: Unit) -> None:
        unit.is_key = True
        self._at = 0
        if unit.size and bytes(unit.content[-2:]) != b"\xff\xd9":
            unit.add(b"\xff\xd9")

    def _quantization(self, quality: int, rest: memoryview) -> tuple[bytes, memoryview]:
        if 1 <= quality <= 99:
            return scaled(quality), rest
        if quality < 128 or len(rest) < 4:
            raise Broken
        precision, size = rest[1], int.from_bytes(rest[2:4], "big")
        tables, rest = bytes(rest[4 : 4 + size]), rest[4 + size :]
        if not size and quality in self._tables:
            return self._tables[quality], rest
        if precision or len(tables) != 128:
            raise Broken
        self._tables[quality] = tables
        return tables, rest


def scaled(quality: int) -> bytes:
    """The tables that a quality of 1 to 99 means."""
    factor = 5000 // quality if quality < 50 else 200 - 2 * quality
    return bytes(min(255, max(1, (value * factor + 50) // 100)) for value in LUMA + CHROMA)


def header(kind: int, width: int, height: int, tables: bytes, interval: int) -> bytes:
    """What comes before the scan. kind: 0 is 4:2:2, 1 is 4:2:0."""
    if kind not in (0, 1) or not width or not height:
        raise Broken
    sampling = 0x21 if kind == 0 else 0x22
    parts = [b"\xff\xd8"]
    for number in range(2):
        parts.append(_segment(0xDB, bytes((number,)) + tables[64 * number : 64 * number + 64]))
    if interval:
        parts.append(_segment(0xDD, struct.pack(">H", interval)))
    colours = bytes((1, sampling, 0, 2, 0x11, 1, 3, 0x11, 1))
    parts.append(_segment(0xC0, struct.pack(">BHHB", 8, height, width, 3) + colours))
    parts.append(_segment(0xDA, bytes((3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0))))
    return b"".join(parts)


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content
