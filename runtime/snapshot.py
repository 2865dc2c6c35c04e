"""One picture for the operator: the next frame with what was found in it, as a JPEG that fits.

The loop's thread copies pixels while the frame is on loan, into memory that the snapshot's own
thread has made ready: fresh memory costs more than the copy. Drawing and encoding happen there.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from queue import Empty, SimpleQueue

import cv2
import numpy as np

from runtime.canvas import Canvas, canvas_of
from runtime.frames import Frame, Layout
from runtime.loop import Result
from runtime.row_canvas import RowCanvas
from runtime.tasks import Found
from runtime.tracking.overlay import Overlay, overlay_of

PATIENCE_S = 3.0  # for a frame with its result
QUALITIES = (80, 60, 40, 25)
SMALLER = 0.7  # each step of the sides, once quality alone does not help
NARROWEST = 32


@dataclass(frozen=True)
class Shot:
    """How a snapshot ended: a JPEG, or a text that says why there is none."""

    jpeg: bytes | None
    text: str


class Snapshot:
    """One snapshot under way. All but `_work` is for the loop's thread."""

    def __init__(self, layout: Layout, most_bytes: int, now_s: float) -> None:
        """layout: of the camera now, as far as it is known."""
        self._most_bytes = most_bytes
        self._until_s = now_s + PATIENCE_S
        self._roomy: SimpleQueue[Canvas | RowCanvas] = SimpleQueue()
        self._copied: SimpleQueue[tuple[Canvas | RowCanvas, Result] | None] = SimpleQueue()
        self._shots: SimpleQueue[Shot] = SimpleQueue()
        self._canvas: Canvas | RowCanvas | None = None
        self._seq: int | None = None  # of the frame that was copied and waits for its result
        self._is_taken = False
        self._thread = threading.Thread(
            target=self._work, args=(layout,), name="snapshot", daemon=True
        )
        self._thread.start()

    def glance(self, frame: Frame) -> None:
        """Call while the frame is on loan. Copies it once memory is ready."""
        if self._is_taken:
            return
        if self._canvas is None:
            try:
                self._canvas = self._roomy.get_nowait()
            except Empty:
                return
        if self._canvas.layout != frame.layout:  # the camera was reopened, or decodes smaller now
            self._canvas = canvas_of(frame.layout)
        np.copyto(self._canvas.raw, frame.pixels)
        self._seq = frame.seq

    def show(self, result: Result) -> None:
        """Call with the result of each frame."""
        if self._is_taken or self._canvas is None or result.seq != self._seq:
            return
        self._is_taken = True
        self._copied.put((self._canvas, result))

    def shot(self, now_s: float) -> Shot | None:
        """How it ended, once; None while it is under way."""
        try:
            return self._shots.get_nowait()
        except Empty:
            pass
        if self._is_taken or now_s < self._until_s:
            return None
        self.close()
        return Shot(None, f"no frame came within {PATIENCE_S:g} s")

    def close(self) -> None:
        """Give up, if it is still under way."""
        self._is_taken = True
        self._copied.put(None)
        self._thread.join(PATIENCE_S)

    def _work(self, layout: Layout) -> None:
        if layout.nbytes:
            canvas = canvas_of(layout)
            canvas.raw.fill(0)  # the kernel gives memory when it is written, not when it is asked
            self._roomy.put(canvas)
        copied = self._copied.get()
        if copied is not None:
            canvas, result = copied
            self._shots.put(encoded(canvas, result.found, self._most_bytes, overlay_of(result)))


def encoded(
    canvas: Canvas | RowCanvas, found: Found, most_bytes: int, overlay: Overlay | None = None
) -> Shot:
    """The picture in `canvas.raw` as a JPEG that fits: of lower quality first, then smaller."""
    jpeg = b""
    for quality in QUALITIES:
        jpeg = canvas.jpeg(found, quality, overlay)
        if len(jpeg) <= most_bytes:
            return Shot(jpeg, said(canvas, quality, 1.0))
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    scale = SMALLER
    while picture is not None and min(picture.shape[:2]) * scale >= NARROWEST:
        smaller = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        jpeg = cv2.imencode(".jpg", smaller, [cv2.IMWRITE_JPEG_QUALITY, QUALITIES[-1]])[1].tobytes()
        if len(jpeg) <= most_bytes:
            return Shot(jpeg, said(canvas, QUALITIES[-1], scale))
        scale *= SMALLER
    return Shot(None, f"no JPEG of this picture is as small as {most_bytes} bytes")


def said(canvas: Canvas | RowCanvas, quality: int, scale: float) -> str:
    wide, tall = canvas.layout.source
    return f"a frame of {wide}x{tall}, quality {quality}, {scale:.0%} of its size"
