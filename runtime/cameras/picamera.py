"""CSI cameras of a Raspberry Pi, by picamera2: frames are loans of the image processor's memory.

Every request that is complete comes by picamera2's thread (`pre_callback`), the newest waits here
and older ones go back at once: a job per frame (`capture_request`) would give stale frames (its
issues #426, #849), and one that gave up waiting would take a request that nobody gives back.
A model that needs fewer pixels gets the low-resolution stream; its boxes are in pixels of `main`.
"""

from __future__ import annotations

import importlib
import logging
import os
from functools import partial
from typing import Any

from runtime.cameras import picamera_setting as setting
from runtime.cameras.csi_source import Count, Lost, ends_within
from runtime.cameras.csi_uri import Wish
from runtime.cameras.picamera_memory import Buffer
from runtime.cameras.picamera_newest import Arrived, Newest
from runtime.frames import Frame, Layout, Losses
from wire.troubles import Unavailable

KEPT = 3  # of the buffers: one that waits here, two for the image processor
END_S = 2.0

log = logging.getLogger("vedette.cameras")


def open_picamera(
    wish: Wish, size: tuple[int, int], spare: int, count: Count, losses: Losses
) -> PicameraSource:
    """The camera of a wish, capturing. Raises Unavailable, or Refused with what it can do."""
    picamera2, libcamera = _vendor(wish)
    cameras = picamera2.Picamera2.global_camera_info()
    if wish.number >= len(cameras):
        models = ", ".join(str(camera.get("Model")) for camera in cameras) or "none"
        raise Unavailable(
            f"{wish.shown} is not there (libcamera finds {models}): with the power off, see to "
            "both ends of its ribbon cable; camera_auto_detect=1 is in /boot/firmware/config.txt"
        )
    try:
        camera = picamera2.Picamera2(wish.number)
    except (RuntimeError, IndexError) as error:
        raise Unavailable(setting.why_not(wish, error)) from None
    source = PicameraSource(camera, libcamera, wish, spare, count, losses)
    try:
        source.fit(size)
    except BaseException:
        source.close()
        raise
    return source


def _vendor(wish: Wish) -> tuple[Any, Any]:
    """The modules picamera2 and libcamera."""
    try:
        return importlib.import_module("picamera2"), importlib.import_module("libcamera")
    except (ImportError, ValueError) as error:  # ValueError: built for another numpy
        is_missing = getattr(error, "name", None) == "picamera2"
        if is_missing and not setting.is_raspberry_pi():
            why = "is for the ribbon-cable cameras of a Raspberry Pi or a Jetson: use v4l2:// here"
        elif is_missing:
            why = (
                "needs picamera2: sudo apt-get install -y python3-picamera2, and the environment "
                "must see the system's packages (sudo scripts/install --upgrade sees to that)"
            )
        else:
            why = f"picamera2 cannot be imported: {error}"
        raise Unavailable(f"{wish.shown} {why}") from None


class PicameraSource:
    """An open Picamera2. Begins to capture with the first `fit`."""

    def __init__(
        self, camera: Any, libcamera: Any, wish: Wish, spare: int, count: Count, losses: Losses
    ) -> None:
        self.layout = Layout("NV12", 0, 0, 0)
        self._camera = camera
        self._libcamera = libcamera
        self._wish = wish
        self._buffer_count = wish.buffers + spare
        self._newest = Newest(count, losses, 1e9 / wish.fps)
        self._stream = "main"
        self._buffers: dict[int, Buffer] = {}  # by descriptor; all of one configuration
        self._loans = 0
        self._life = 0  # of how many starts; loans are counted of this one
        self._is_closed = False

    def fit(self, size: tuple[int, int]) -> None:
        """Configure and start the camera, stopping it first if it runs."""
        wish, camera = self._wish, self._camera
        if not ends_within(END_S, self._pause):
            raise Lost(f"{wish.shown} does not stop")
        try:
            config = setting.configuration(camera, self._libcamera, wish, size, self._buffer_count)
            camera.configure(config)
            setting.check(camera, wish)
            self._stream = "main" if size == wish.size else "lores"
            self.layout = setting.layout(camera, wish, self._stream)
            camera.pre_callback = self._newest.begin()
            camera.start()
        except (RuntimeError, ValueError, OSError) as error:
            raise Unavailable(setting.why_not(wish, error)) from None

    def has_room(self) -> bool:
        return self._loans < self._buffer_count - KEPT

    def read(self, timeout: float) -> Frame | None:
        arrived = self._newest.take(timeout)
        if arrived is None:
            return None
        buffer = self._buffer(arrived)
        buffer.begin()
        self._loans += 1
        home = partial(self._home, arrived, buffer, self._life)
        return Frame(arrived.seq, arrived.captured_ns, self.layout, buffer.memory, home)

    def close(self) -> None:
        if not ends_within(END_S, self._end):
            log.warning("camera: %s does not stop: it is left alone", self._wish.shown)

    def _end(self) -> None:
        self._pause()
        self._is_closed = True
        self._camera.close()

    def _pause(self) -> None:
        """Stop capture, and count what is on loan no more."""
        self._life += 1
        self._newest.end()
        self._camera.pre_callback = None
        self._camera.stop()
        self._buffers, self._loans = {}, 0

    def _buffer(self, arrived: Arrived) -> Buffer:
        request = arrived.request
        planes = request.request.buffers[request.stream_map[self._stream]].planes
        descriptor = planes[0].fd
        if descriptor not in self._buffers:
            if any(plane.fd != descriptor for plane in planes):
                arrived.request.release()
                raise Lost(f"{self._wish.shown} has pictures in pieces: choose another format")
            offset = planes[0].offset
            self._buffers[descriptor] = Buffer(os.dup(descriptor), offset, self.layout.nbytes)
        return self._buffers[descriptor]

    def _home(self, arrived: Arrived, buffer: Buffer, life: int) -> None:
        """A request of an earlier start is freed by picamera2, not queued again. One whose camera
        is closed has nowhere to go, and is forgotten."""
        buffer.end()
        if life == self._life:
            self._loans -= 1
        if not self._is_closed:
            arrived.request.release()
