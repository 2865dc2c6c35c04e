"""One picture for people: a frame's pixels are copied in, a JPEG with what was found comes out."""

from __future__ import annotations

import cv2
import numpy as np

from runtime.draw import draw
from runtime.frames import ROW, Layout, Pixels
from runtime.row_canvas import RowCanvas
from runtime.tasks import Found
from runtime.tracking.overlay import Overlay

WIDEST = 1280  # larger frames are shrunk: no one sees more on a page
NARROWEST = 480  # smaller ones are enlarged by a whole number, so that labels can be read

TO_BGR = {
    "RGB3": cv2.COLOR_RGB2BGR,
    "GREY": cv2.COLOR_GRAY2BGR,
    "YUYV": cv2.COLOR_YUV2BGR_YUY2,
    "NV12": cv2.COLOR_YUV2BGR_NV12,
}


class Canvas:
    """All the memory that it takes to show frames of one layout. Belongs to one thread at a time.

    Fill `raw` with `np.copyto(canvas.raw, frame.pixels)`, give the frame back, call `jpeg`.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        rows = layout.height * 3 // 2 if layout.format == "NV12" else layout.height
        self.raw: Pixels = np.empty(raw_shape(layout.format, layout.width, rows), np.uint8)
        wide, tall = self.small = shrunk(layout.width, layout.height)
        rows = tall * 3 // 2 if layout.format == "NV12" else tall
        self._shrunk = self.raw
        if self.small != (layout.width, layout.height):
            self._shrunk = np.empty(raw_shape(layout.format, wide, rows), np.uint8)
        self._bgr = np.empty((tall, wide, 3), np.uint8)
        times = -(-NARROWEST // wide)
        self._shown = self._bgr
        if times > 1:
            self._shown = np.empty((tall * times, wide * times, 3), np.uint8)

    def jpeg(self, found: Found, quality: int = 80, overlay: Overlay | None = None) -> bytes:
        """The picture in `raw` with `found` drawn into it. quality: 1 to 100. overlay: what is
        drawn beside it."""
        if self._shrunk is not self.raw:
            shrink(self.raw, self._shrunk, self.layout.format)
        to_bgr(self._shrunk, self._bgr, self.layout.format)
        if self._shown is not self._bgr:
            size = self._shown.shape[1], self._shown.shape[0]
            cv2.resize(self._bgr, size, self._shown, interpolation=cv2.INTER_NEAREST)
        if overlay is not None:
            overlay.below(self._shown)
        draw(self._shown, found, self.layout.source)
        if overlay is not None:
            overlay.above(self._shown, self.layout.source)
        _, encoded = cv2.imencode(".jpg", self._shown, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return encoded.tobytes()


def canvas_of(layout: Layout) -> Canvas | RowCanvas:
    """What shows frames of this layout."""
    return RowCanvas(layout) if layout.format == ROW else Canvas(layout)


def raw_shape(format: str, width: int, rows: int) -> tuple[int, ...]:
    """The shape of a frame's pixels, as `Layout.shape` has it."""
    if format in ("RGB3", "BGR3"):
        return rows, width, 3
    return (rows, width // 2, 4) if format == "YUYV" else (rows, width)


def shrunk(width: int, height: int) -> tuple[int, int]:
    """(width, height) of at most WIDEST across; even where it shrinks, for the chroma's sake."""
    scale = WIDEST / max(width, height)
    if scale >= 1:
        return width, height
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def shrink(raw: Pixels, out: Pixels, format: str) -> None:
    """Resize as the pixels lie: YUYV as macropixels, NV12 plane by plane. Into `out`."""
    if format != "NV12":
        resize(raw, out)
        return
    tall, small_tall = raw.shape[0] * 2 // 3, out.shape[0] * 2 // 3
    resize(raw[:tall], out[:small_tall])
    chroma = raw[tall:].reshape(tall // 2, -1, 2)
    resize(chroma, out[small_tall:].reshape(small_tall // 2, -1, 2))


def resize(pixels: Pixels, out: Pixels) -> None:
    far = pixels.shape[0] > 2 * out.shape[0]
    how = cv2.INTER_AREA if far else cv2.INTER_LINEAR
    cv2.resize(pixels, (out.shape[1], out.shape[0]), out, interpolation=how)


def to_bgr(pixels: Pixels, out: Pixels, format: str) -> None:
    """Convert pixels without row padding, shaped as `Layout.shape` says, into (h, w, 3) BGR."""
    if format == "BGR3":
        np.copyto(out, pixels)
        return
    if format == "YUYV":
        pixels = pixels.reshape(pixels.shape[0], -1, 2)
    cv2.cvtColor(pixels, TO_BGR[format], out)
