"""JPEG pictures, decoded into given memory at the smallest size that still serves the model.

The decoder is libjpeg-turbo by way of simplejpeg: it shrinks inside the inverse DCT, so that a
picture four times too large costs half. It releases the interpreter lock, takes nothing of the
size of an image from the heap, and knows the standard Huffman tables that UVC cameras leave out
of their MJPEG pictures.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import simplejpeg

from runtime.frames import Aim, Layout, packed
from wire.troubles import Refused

Compressed = bytes | bytearray | memoryview | npt.NDArray[np.uint8]
Memory = bytearray | memoryview | npt.NDArray[np.uint8]

MOST_PIXELS = 1 << 26  # a header can declare 65,500 x 65,500 in 200 bytes
# 5/8, 6/8 and 7/8 have no fast inverse DCT: they cost more than the whole picture does
EIGHTHS = (1, 2, 3, 4, 8)
# what some UVC cameras put before a marker; more than that is a picture with a hole in it
MOST_STUFFING = 16
STUFFING = re.compile(r"(\d+) extraneous bytes before marker")


class BrokenPicture(Refused):
    """A compressed picture that cannot be decoded: count it in `Losses.decode` and go on."""


def plan(picture: Compressed, aim: Aim | None) -> Layout:
    """How `decode` will lay out this picture: RGB3 without padding, shrunk to an eighth, a
    quarter, three eighths or a half if that is no smaller than `aim` wants.

    Reads the header only (3 us). Raises BrokenPicture.
    """
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(picture)
    except ValueError as error:
        raise BrokenPicture(f"{len(picture)} bytes are no JPEG picture: {error}") from None
    if width * height > MOST_PIXELS:
        raise BrokenPicture(
            f"a JPEG picture says that it has {width}x{height} pixels: "
            f"more than {MOST_PIXELS:,} are not decoded"
        )
    if aim is None:
        return packed("RGB3", width, height)
    least = aim.least(width, height)
    for eighths in EIGHTHS[:-1]:
        small = scaled(width, eighths), scaled(height, eighths)
        if small[0] >= least[0] and small[1] >= least[1]:
            return Layout("RGB3", *small, small[0] * 3, shrunk_from=(width, height))
    return packed("RGB3", width, height)


def scaled(side: int, eighths: int) -> int:
    """The side of a picture that libjpeg-turbo decodes at `eighths` / 8: rounded up."""
    return -(-side * eighths // 8)


def decode(picture: Compressed, layout: Layout, memory: Memory) -> None:
    """Write the pixels of `picture` to the start of `memory` (at least `layout.nbytes` bytes).

    layout: what `plan` said for this picture. Grey pictures become RGB3 too. Raises BrokenPicture
    for a picture that is cut off or damaged; `memory` then holds what could be made of it.
    """
    try:
        simplejpeg.decode_jpeg(
            picture, "RGB", min_width=layout.width, min_height=layout.height, buffer=memory
        )
    except ValueError as error:
        stuffing = STUFFING.search(str(error))
        if stuffing is None or int(stuffing[1]) > MOST_STUFFING:
            raise BrokenPicture(f"a JPEG picture is damaged: {error}") from None
