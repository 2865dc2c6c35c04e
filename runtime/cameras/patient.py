"""A camera for a service: one that is missing or falls silent is reported absent, and reopened."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from runtime.cameras import Camera, Sparse
from runtime.frames import Aim, Frame, Layout, Losses
from wire.troubles import Trouble

FIRST_RETRY_S = 0.5
LAST_RETRY_S = 10.0
SILENT_S = 10.0  # some drivers forget their device without a word
LONGEST_SILENT_S = 80.0

log = logging.getLogger("vedette.cameras")


class PatientCamera:
    """Another camera, whose start() and read() raise no Trouble: it is `absent` instead.

    While it is absent, read() starts it again, at first after half a second, then less and less
    often. One that says it runs but gives nothing for ten seconds is closed and started again, and
    is absent until a frame comes; each time in vain it is given twice as long. Only Ended is
    raised, and Unavailable if the camera cannot be closed.

    clock: seconds, monotonic. sleep: seconds.
    """

    def __init__(
        self,
        camera: Camera,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.losses: Losses = camera.losses
        self._camera = camera
        self._clock = clock
        self._sleep = sleep
        self._why: str | None = None
        self._is_open = False
        self._pause_s = FIRST_RETRY_S
        self._retry_s = 0.0
        self._patience_s = SILENT_S
        self._silent_since_s: float | None = None

    @property
    def layout(self) -> Layout:
        return self._camera.layout

    @layout.setter
    def layout(self, layout: Layout) -> None:
        self._camera.layout = layout

    @property
    def absent(self) -> str | None:
        return self._why if self._why is not None else self._camera.absent

    @absent.setter
    def absent(self, why: str | None) -> None:
        self._why = why

    @property
    def is_waiting(self) -> bool:
        """Whether all is well, and only nothing came (runtime.cameras.Sparse)."""
        return isinstance(self._camera, Sparse) and self._camera.is_waiting

    @property
    def aim(self) -> Aim | None:
        return self._camera.aim

    @aim.setter
    def aim(self, aim: Aim | None) -> None:
        self._camera.aim = aim

    def start(self) -> None:
        """Try to start. If that is not possible now, `absent` says why."""
        self._silent_since_s = None
        try:
            self._camera.start()
        except Trouble as trouble:
            self._lose(str(trouble))
            return
        self._is_open = True

    def read(self, timeout: float) -> Frame | None:
        if not self._is_open:
            self._retry(timeout)
            return None
        try:
            frame = self._camera.read(timeout)
        except Trouble as trouble:
            self._lose(str(trouble))
            return None
        if frame is None:
            self._bear_silence(timeout)
            return None
        self._silent_since_s = None
        if self._why is not None:
            self._be_back()
        return frame

    def stop(self) -> None:
        self._is_open = False
        self._camera.stop()

    def _bear_silence(self, waited_s: float) -> None:
        if self._camera.absent is not None or self.is_waiting:  # it knows, and reopens itself
            self._silent_since_s = None
            return
        now_s = self._clock()
        if self._silent_since_s is None:
            self._silent_since_s = now_s - waited_s
        silent_s = now_s - self._silent_since_s
        if silent_s < self._patience_s:
            return
        self._patience_s = min(2 * self._patience_s, LONGEST_SILENT_S)
        self._lose(f"the camera gave no frame for {silent_s:.0f} s: it is opened again and again")
        self.start()

    def _lose(self, why: str) -> None:
        if self._why is None:
            log.warning("no camera: %s", why)
        self._why = why
        self._is_open = False
        self._camera.stop()
        self._retry_s = self._clock() + self._pause_s
        self._pause_s = min(2 * self._pause_s, LAST_RETRY_S)

    def _retry(self, timeout: float) -> None:
        wait_s = self._retry_s - self._clock()
        if wait_s > 0:
            self._sleep(min(wait_s, timeout))
        if wait_s <= timeout:
            self.start()

    def _be_back(self) -> None:
        log.warning("the camera is there")
        self._why = None
        self._pause_s = FIRST_RETRY_S
        self._patience_s = SILENT_S
