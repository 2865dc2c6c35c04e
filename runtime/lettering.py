"""Text on pictures: OpenCV 5's own Unicode font where there is one, Hershey's strokes before that.

Every call draws into a view that the text cannot leave. Strings are cleaned first: OpenCV 5
crashes the process on a lone surrogate, and Hershey draws one `?` per UTF-8 byte.
"""

from __future__ import annotations

import threading
import unicodedata

import cv2

from runtime.frames import Pixels
from runtime.panel import printable

Colour = tuple[int, int, int]  # blue, green, red

UNICODE = hasattr(cv2, "FontFace")  # since OpenCV 5
ELLIPSIS = "…" if UNICODE else "..."
MOST_LETTERS = 64  # of a label: more never fits, and measuring it costs time
PLAIN, BOLD = 450, 700  # weights of OpenCV's variable font

_one_at_a_time = threading.Lock()  # OpenCV caches glyphs; nothing says that it locks them


def clean(text: str) -> str:
    """One line of at most MOST_LETTERS characters, all of which the font can draw or replace."""
    line = printable(text, MOST_LETTERS)
    return line if UNICODE else plain_letters(line)


def plain_letters(text: str) -> str:
    """The nearest ASCII: accents fall off, one `?` stands for each letter that has none."""
    parts = (
        "".join(p for p in unicodedata.normalize("NFKD", c) if p.isascii()) or "?"
        for c in text
        if not unicodedata.combining(c)
    )
    return "".join(parts)


def width(text: str, size: int, weight: int) -> int:
    """How many pixels wide a cleaned text is. size: of the font, in pixels."""
    if not UNICODE:
        return strokes_width(text, size)
    with _one_at_a_time:
        font = cv2.FontFace()
        box = cv2.getTextSize((1 << 16, 1 << 10), text, (0, 0), font, size, weight)
    return int(box[0] + box[2])


def write(area: Pixels, text: str, x: int, size: int, weight: int, colour: Colour) -> None:
    """Write a cleaned text into a BGR area, centred from top to bottom, beginning at `x`."""
    if not UNICODE:
        strokes_write(area, text, x, size, colour)
        return
    baseline = (area.shape[0] + round(size * 0.72)) // 2
    with _one_at_a_time:
        cv2.putText(area, text, (x, baseline), colour, cv2.FontFace(), size, weight)


def strokes_width(text: str, size: int) -> int:
    """`width` in Hershey's letters."""
    (wide, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, size / 34, 1)
    return int(wide)


def strokes_write(area: Pixels, text: str, x: int, size: int, colour: Colour) -> None:
    """`write` in Hershey's letters."""
    origin = (x, (area.shape[0] + round(size * 0.64)) // 2)
    face, scale = cv2.FONT_HERSHEY_DUPLEX, size / 34
    cv2.putText(area, text, origin, face, scale, colour, 1, cv2.LINE_AA)


def shorten(text: str, size: int, weight: int, most: int) -> str:
    """The text, or as much of its beginning as `most` pixels hold, with an ellipsis."""
    if width(text, size, weight) <= most:
        return text
    least, beyond = 0, len(text)  # the first `least` letters fit, the first `beyond` do not
    while beyond - least > 1:
        middle = (least + beyond) // 2
        if width(text[:middle] + ELLIPSIS, size, weight) <= most:
            least = middle
        else:
            beyond = middle
    return text[:least].rstrip() + ELLIPSIS if least else ""
