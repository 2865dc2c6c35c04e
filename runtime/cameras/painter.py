"""Draws digits into camera memory of any format, without an image-sized allocation per frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from runtime.cameras.scene import CELLS, FULL_INK, Placed, Samples
from runtime.frames import Layout, Pixels

PADDING_BYTE = 0x5A  # beside the rows: a reader that ignores the stride sees it
DARKEST, BRIGHTEST = 28, 105  # luma of the background; ink adds to it and never saturates


@dataclass
class Canvas:
    """Camera memory that can be drawn on. pixels: (height, width, channels), or without the last
    axis where there is one channel. shown: what is drawn on it now."""

    pixels: Pixels
    shown: tuple[Placed, ...] = ()


class Painter:
    """Paints digits over a still background, which is a function of the seed.

    Everything has one tint, so a digit only changes luma: that is one channel in YUYV and NV12.
    YUV is BT.601 with luma 16 to 235, as cameras have it and OpenCV reads it.
    """

    def __init__(self, layout: Layout, samples: Samples, seed: int) -> None:
        self._layout = layout
        self._glyphs = samples.glyphs()
        rng = np.random.default_rng((seed, 1))
        self._blue, self._red = (float(v) for v in rng.uniform(-14, 14, 2))
        gains, offsets = np.array(self._channels(), np.float32).T
        self._gains = gains
        luma = _background(layout.width, layout.height, rng)
        self._still = _stored(luma[:, :, None] * gains + offsets)
        if layout.format == "YUYV":  # U and V take turns; a digit adds nothing to them
            self._still[:, 0::2, 1], self._still[:, 1::2, 1] = self._u_and_v()
        if len(gains) == 1:
            self._still = self._still[:, :, 0]
        side = min(layout.width, layout.height)
        self._patch = np.empty(side * side * len(gains), np.uint8)
        # what ink 0 to 16 adds to each channel, for every contrast: (256, 17, channels)
        levels = np.arange(FULL_INK + 1, dtype=np.float32) / FULL_INK
        self._added = _stored(np.arange(256)[:, None, None] * levels[:, None] * gains)

    def canvas(self, memory: Pixels) -> Canvas:
        """Fill camera memory, (layout.nbytes,) uint8, with the background."""
        layout = self._layout
        memory[:] = PADDING_BYTE
        rows = memory[: layout.nbytes].reshape(-1, layout.stride)
        pixels = rows[: layout.height, : layout.width * len(self._gains)]
        if len(self._gains) > 1:
            pixels = pixels.reshape(layout.height, layout.width, -1)
        np.copyto(pixels, self._still)
        if layout.format == "NV12":
            rows[layout.height :, : layout.width : 2] = self._u_and_v()[0]
            rows[layout.height :, 1 : layout.width : 2] = self._u_and_v()[1]
        return Canvas(pixels)

    def draw(self, canvas: Canvas, digits: tuple[Placed, ...]) -> None:
        """Wipe what the canvas shows and paint these digits."""
        for old in canvas.shown:
            where = np.s_[old.y : old.y + old.side, old.x : old.x + old.side]
            np.copyto(canvas.pixels[where], self._still[where])
        for new in digits:
            where = np.s_[new.y : new.y + new.side, new.x : new.x + new.side]
            below = canvas.pixels[where]
            patch = self._patch[: below.size].reshape(below.shape)
            cv2.resize(
                self._tile(new), (new.side, new.side), dst=patch, interpolation=cv2.INTER_LINEAR
            )
            cv2.add(below, patch, dst=below)
        canvas.shown = digits

    def _tile(self, digit: Placed) -> Pixels:
        """The glyph at its own size, (10, 10, channels), what it adds to each channel."""
        tile: Pixels = self._added[digit.ink][self._glyphs[digit.sample]]
        return tile if len(self._gains) > 1 else tile.reshape(CELLS, CELLS)

    def _channels(self) -> list[tuple[float, float]]:
        """(gain, offset) from luma 0 to 255 to the stored value, for each channel."""
        rgb = [
            (1.0, 1.402 * self._red),
            (1.0, -0.344 * self._blue - 0.714 * self._red),
            (1.0, 1.772 * self._blue),
        ]
        video = (219 / 255, 16.0)
        return {
            "RGB3": rgb,
            "BGR3": rgb[::-1],
            "GREY": [(1.0, 0.0)],
            "YUYV": [video, (0.0, 0.0)],
            "NV12": [video],
        }[self._layout.format]

    def _u_and_v(self) -> tuple[int, int]:
        return round(128 + self._blue * 224 / 255), round(128 + self._red * 224 / 255)


def _background(width: int, height: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """(height, width) luma: a level, a slope and soft spots."""
    corners = rng.uniform(DARKEST + 10, BRIGHTEST - 10, (2, 2)).astype(np.float32)
    spots = rng.uniform(-10, 10, (9, 12)).astype(np.float32)
    luma = cv2.add(cv2.resize(corners, (width, height)), cv2.resize(spots, (width, height)))
    return np.clip(luma, DARKEST, BRIGHTEST).astype(np.float32)


def _stored(values: npt.NDArray[np.float32]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
