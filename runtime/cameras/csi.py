"""Cameras on the ribbon cable, `csi://0`: by picamera2 on a Raspberry Pi, by GStreamer on a Jetson.

Both boards have an image processor that scales for free, so frames come at the size that the model
needs, and are mapped where it wrote them. What is the same for both is here.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from runtime.cameras.argus import open_argus
from runtime.cameras.csi_source import Count, Lost, Open, Source
from runtime.cameras.csi_uri import Wish, fitted, read
from runtime.cameras.picamera import open_picamera
from runtime.cameras.retry import Retry
from runtime.frames import Aim, Frame, Layout, Losses
from wire.troubles import Trouble

BOARD = Path("/proc/device-tree/compatible")
LAST_RETRY_S = 10.0
SILENT_S = 3.0  # a cable that comes loose is no error: frames just end
SILENT_PERIODS = 10

log = logging.getLogger("vedette.cameras")


def make(uri: str) -> CsiCamera:
    """The camera of a `csi:` URI, not yet opened. Raises Refused for what cannot be meant."""
    return CsiCamera(read(uri), open_argus if is_jetson() else open_picamera)


def is_jetson(board: Path = BOARD) -> bool:
    """Whether the device tree says so."""
    try:
        return b"nvidia,tegra" in board.read_bytes()
    except OSError:
        return False


class CsiCamera:
    """A camera that is opened by `open_source`, opened again when it is lost, and scaled anew when
    another model looks at it."""

    def __init__(self, wish: Wish, open_source: Open) -> None:
        self.layout = Layout("NV12", 0, 0, 0)
        self.losses = Losses()
        self.absent: str | None = None
        self.aim: Aim | None = None
        self.spare = 0
        self._wish = wish
        self._open_source = open_source
        self._count = Count()
        self._source: Source | None = None
        self._fitted_to: Aim | None = None
        self._size = wish.size
        self._heard_s = 0.0
        self._retry = Retry(LAST_RETRY_S)
        self._is_started = False

    def start(self) -> None:
        """Open the camera and let it capture. Raises Unavailable, or Refused with what it can."""
        self.stop()
        self._open()
        self._is_started = True
        self.absent = None
        log.info("camera: %s", self.describe())

    def read(self, timeout: float) -> Frame | None:
        """The newest frame. None after `timeout` seconds, and at once when the camera goes away:
        `absent` then says why."""
        if not self._is_started:
            raise RuntimeError("read() of a camera that was not started")
        deadline = time.monotonic() + timeout
        while (source := self._source) is None:
            if not self._reopen(deadline):
                return None
        try:
            if self.aim != self._fitted_to:
                self._fit(source)
            return self._newest(source, max(0.0, deadline - time.monotonic()))
        except (Lost, Trouble) as lost:
            self._lose(str(lost))
            return None

    def stop(self) -> None:
        """Free the camera. Memory that is still on loan is freed when it comes home."""
        self._is_started = False
        source, self._source = self._source, None
        if source is not None:
            source.close()

    def describe(self) -> str:
        """One line for people: which camera, in what setting."""
        layout, (width, height) = self.layout, self.layout.source
        shrunk = "" if layout.shrunk_from is None else f" of {width}x{height}"
        size = f"{layout.width}x{layout.height}{shrunk}"
        return f"{self._wish.shown}: {layout.format} {size}, {self._wish.fps:g} fps"

    def _newest(self, source: Source, timeout: float) -> Frame | None:
        if not source.has_room():
            time.sleep(timeout)  # only the caller can change that
            self._heard_s = time.monotonic()
            return None
        frame = source.read(timeout)
        if frame is None:
            if time.monotonic() - self._heard_s > max(SILENT_S, SILENT_PERIODS / self._wish.fps):
                raise Lost(
                    f"{self._wish.shown} sends no frames: with the power off, see to both ends of "
                    "its ribbon cable"
                )
            return None
        self._heard_s = time.monotonic()
        self._retry.reset()
        self.layout = frame.layout
        if self.absent is not None:
            self.absent = None
            log.warning("camera: back: %s", self.describe())
        return frame

    def _open(self) -> None:
        aim, size = self.aim, fitted(self.aim, self._wish.size)
        self._source = self._open_source(self._wish, size, self.spare, self._count, self.losses)
        self._fitted_to, self._size = aim, size
        self.layout = self._source.layout
        self._heard_s = time.monotonic()

    def _fit(self, source: Source) -> None:
        """Another model looks at it now, which may need more of its pixels, or fewer."""
        self._fitted_to = self.aim
        size = fitted(self.aim, self._wish.size)
        if size != self._size:
            self._size = size
            source.fit(size)
            self.layout = source.layout
            self._heard_s = time.monotonic()

    def _lose(self, why: str) -> None:
        source, self._source = self._source, None
        if self.absent is None:
            log.warning("camera: %s", why)
        self.absent = why
        if source is not None:
            source.close()
        self._retry.postpone()

    def _reopen(self, deadline: float) -> bool:
        """Try again when it is time. False: that is not before the deadline."""
        if not self._retry.wait(deadline):
            return False
        try:
            self._open()
        except Trouble as trouble:
            self._retry.postpone()
            self.absent = str(trouble)
        return True
