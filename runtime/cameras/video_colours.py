"""A decoded picture in 4:2:0 as NV12, in the colours that the rest of the runtime takes.

Those are ITU-R BT.601's in limited range. Cameras of high resolution send BT.709, some full range.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from runtime.ahead import Slot
from runtime.frames import Pixels, packed

FULL_RANGE = 2  # AVCOL_RANGE_JPEG
BT709, UNTOLD = 1, 2  # AVCOL_SPC
TALLEST_601 = 576  # players take what is taller for BT.709 where the camera does not say it
# from BT.709 to BT.601, chroma around 0: what U and V add to luma, and give to U and V
TO_LUMA, TO_U, TO_V = (0.0993, 0.1917), (0.9899, -0.1107), (-0.0725, 0.9834)
# from full range (0 to 255) to limited: 219 steps of luma, 224 of chroma
CODES = np.arange(256)
LIMITED_LUMA = np.rint(CODES * 219 / 255 + 16).astype(np.uint8)
LIMITED_CHROMA = np.rint((CODES - 128) * 224 / 255 + 128).astype(np.uint8)


class Colours:
    """Writes pictures of one stream. Its memory is used again."""

    def __init__(self) -> None:
        self._halves = np.empty((5, 0, 0), np.uint8)
        self._whole = np.empty((0, 0), np.uint8)

    def write(self, frame: Any, slot: Slot) -> None:
        """frame: PyAV's, of format yuv420p or yuvj420p, both sides even."""
        width, height = frame.width, frame.height
        layout = packed("NV12", width, height)
        flat = slot.room(layout)
        luma = flat[: width * height].reshape(height, width)
        chroma = flat[width * height : layout.nbytes].reshape(height // 2, width // 2, 2)
        y, u, v = (plane(frame, number) for number in range(3))
        is_709 = int(frame.colorspace) in (BT709, *((UNTOLD,) if height > TALLEST_601 else ()))
        is_full = frame.format.name == "yuvj420p" or int(frame.color_range) == FULL_RANGE
        if is_709 or is_full:
            self._make_room(u.shape)
        if is_full:
            cv2.LUT(y, LIMITED_LUMA, luma)
            for one, limited in ((u, self._halves[0]), (v, self._halves[1])):
                cv2.LUT(one, LIMITED_CHROMA, limited)
            y, u, v = luma, self._halves[0], self._halves[1]
        if is_709:
            cv2.resize(
                _mixed(u, v, TO_LUMA, self._halves[2]), (width, height), self._whole,
                interpolation=cv2.INTER_LINEAR,
            )  # fmt: skip
            cv2.addWeighted(y, 1, self._whole, 1, -128, luma)
            u, v = _mixed(u, v, TO_U, self._halves[3]), _mixed(u, v, TO_V, self._halves[4])
        elif not is_full:
            np.copyto(luma, y)
        cv2.merge((u, v), chroma)

    def _make_room(self, half: tuple[int, ...]) -> None:
        if self._halves.shape[1:] != half:
            self._halves = np.empty((5, *half), np.uint8)
            self._whole = np.empty((2 * half[0], 2 * half[1]), np.uint8)


def plane(frame: Any, number: int, samples: int = 1) -> Pixels:
    """FFmpeg's own memory of a plane, without what pads its rows. samples: of a pixel in it."""
    there = frame.planes[number]
    rows = np.frombuffer(there, np.uint8).reshape(-1, there.line_size)
    view: Pixels = rows[: there.height, : samples * there.width]
    return view


def _mixed(u: Pixels, v: Pixels, shares: tuple[float, float], out: Pixels) -> Pixels:
    """Shares of both, around 128."""
    cv2.addWeighted(u, shares[0], v, shares[1], 128 * (1 - sum(shares)), out)
    return out
