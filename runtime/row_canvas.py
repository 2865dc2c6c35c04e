"""A row of numbers as a picture for people, with what was found in it: for preview and snapshot."""

from __future__ import annotations

import cv2
import numpy as np

from runtime.draw import WHITE, draw
from runtime.frames import Layout, Pixels
from runtime.lettering import BOLD, PLAIN, clean, shorten, width, write
from runtime.tasks import Found
from runtime.tracking.overlay import Overlay

WIDE, LINE, LETTERS = 480, 24, 15  # pixels
SHOWN = 16  # numbers; more would not be read
FOUND_ROOM = 200  # of the height, for what was found
GROUND = 40


class RowCanvas:
    """Like Canvas, for rows: fill `raw`, give the row back, call `jpeg`."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.raw: Pixels = np.empty((1, layout.stride), np.uint8)
        shown = min(SHOWN, layout.width) + (layout.width > SHOWN)
        self._picture: Pixels = np.empty((FOUND_ROOM + LINE * shown, WIDE, 3), np.uint8)

    def jpeg(self, found: Found, quality: int = 80, overlay: Overlay | None = None) -> bytes:
        """The numbers in `raw` below what was found. overlay: means nothing here."""
        self._picture[:] = GROUND
        draw(self._picture[:FOUND_ROOM], found, self.layout.source)
        for place, value in enumerate(self.raw.view(np.float32)[0, :SHOWN].tolist()):
            name = self.layout.columns[place] if self.layout.columns else f"{place + 1}"
            self._line(place, name, f"{value:.6g}")
        if self.layout.width > SHOWN:
            self._line(SHOWN, f"and {self.layout.width - SHOWN} more", "")
        _, encoded = cv2.imencode(".jpg", self._picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return encoded.tobytes()

    def _line(self, place: int, name: str, value: str) -> None:
        top = FOUND_ROOM + LINE * place
        area = self._picture[top : top + LINE]
        right = width(value, LETTERS, BOLD)
        write(area, shorten(clean(name), LETTERS, PLAIN, WIDE - right - 3 * LINE), LINE, LETTERS,
              PLAIN, WHITE)  # fmt: skip
        write(area, value, WIDE - LINE - right, LETTERS, BOLD, WHITE)
