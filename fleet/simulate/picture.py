"""The picture of a simulated camera: a digit in a box, as a JPEG of flat squares.

Every square is one block of 8 x 8 pixels in one grey, so the encoder needs the mean of each block
only: it writes baseline JPEG (ITU-T T.81) without any frequency but the lowest.
"""

from __future__ import annotations

import struct
from functools import lru_cache

WIDE, TALL = 40, 30  # squares
SQUARE = 8  # pixels
GROUND, INK, EDGE = 40, 230, 160  # greys, 0 to 255
SCALE = 3  # squares for a dot of a digit
# seven rows of five dots each, the highest bit to the left
DIGITS = (
    (14, 17, 19, 21, 25, 17, 14),
    (4, 12, 4, 4, 4, 4, 14),
    (14, 17, 1, 2, 4, 8, 31),
    (31, 2, 4, 2, 1, 17, 14),
    (2, 6, 10, 18, 31, 2, 2),
    (31, 16, 30, 1, 1, 17, 14),
    (6, 8, 16, 30, 17, 17, 14),
    (31, 1, 2, 4, 8, 8, 8),
    (14, 17, 17, 14, 17, 17, 14),
    (14, 17, 17, 15, 1, 2, 12),
)
# Huffman codes of the sizes 0 to 8 of a difference, as the annex K of T.81 has them: bits, code
SIZES = ((2, 0), (3, 2), (3, 3), (3, 4), (3, 5), (3, 6), (4, 14), (5, 30), (6, 62))
SIZE_COUNTS = bytes([0, 1, 5, 1, 1, 1] + 10 * [0])
END_COUNTS = bytes([1] + 15 * [0])  # one code, "0": nothing but zeros follows in this block


@lru_cache(maxsize=256)
def picture(digit: int, place: float) -> bytes:
    """A JPEG of 320 x 240 pixels. place: 0 to 1, where in the frame the digit is."""
    return _jpeg(_squares(digit, place))


def _squares(digit: int, place: float) -> list[list[int]]:
    """Greys, row by row."""
    rows = [[GROUND + row for _ in range(WIDE)] for row in range(TALL)]
    wide, tall = 5 * SCALE, 7 * SCALE
    left, top = 2 + int(place * (WIDE - wide - 4)), (TALL - tall) // 2
    for x in range(left - 2, left + wide + 2):
        rows[top - 2][x] = rows[top + tall + 1][x] = EDGE
    for y in range(top - 2, top + tall + 2):
        rows[y][left - 2] = rows[y][left + wide + 1] = EDGE
    for y in range(tall):
        for x in range(wide):
            if DIGITS[digit][y // SCALE] >> (4 - x // SCALE) & 1:
                rows[top + y][left + x] = INK
    return rows


def _jpeg(rows: list[list[int]]) -> bytes:
    size = struct.pack(">BHHB", 8, len(rows) * SQUARE, len(rows[0]) * SQUARE, 1)
    return b"".join(
        (
            b"\xff\xd8",
            _segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),
            _segment(0xDB, bytes([0] + 64 * [8])),
            _segment(0xC0, size + bytes((1, 0x11, 0))),
            _segment(0xC4, b"\x00" + SIZE_COUNTS + bytes(range(len(SIZES)))),
            _segment(0xC4, b"\x10" + END_COUNTS + b"\0"),
            _segment(0xDA, bytes((1, 1, 0, 0, 63, 0))),
            _scan(rows),
            b"\xff\xd9",
        )
    )


def _segment(kind: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, kind, len(content) + 2) + content


def _scan(rows: list[list[int]]) -> bytes:
    """The differences from block to block: how many bits, the bits, and that no more follows."""
    bits, before = [], 128
    for grey in (grey for row in rows for grey in row):
        change, before = grey - before, grey
        size = abs(change).bit_length()
        length, code = SIZES[size]
        bits.append(f"{code:0{length}b}")
        if size:
            bits.append(f"{change if change > 0 else change + (1 << size) - 1:0{size}b}")
        bits.append("0")
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")
