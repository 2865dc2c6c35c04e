"""A camera that may be missing when the process starts: tried again until it is there."""

from __future__ import annotations

import time
from collections.abc import Callable

from runtime.cameras import Camera
from runtime.frames import Aim, Frame, Layout, Losses
from wire.troubles import Unavailable

FIRST_RETRY_S = 0.5
LAST_RETRY_S = 10.0


class PatientCamera:
    """Another camera, of which start() never raises Unavailable: it is `absent` instead, and read()
    starts it when it can, first after half a second, then less and less often.

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
        self._why: str | None = None  # it was not started yet
        self._pause_s = FIRST_RETRY_S
        self._retry_s = 0.0

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
    def aim(self) -> Aim | None:
        return self._camera.aim

    @aim.setter
    def aim(self, aim: Aim | None) -> None:
        self._camera.aim = aim

    def start(self) -> None:
        """Try to start. Raises Refused if the camera cannot do what its URI asks."""
        try:
            self._camera.start()
        except Unavailable as trouble:
            self._camera.stop()
            self._why = str(trouble)
            self._retry_s = self._clock() + self._pause_s
            self._pause_s = min(2 * self._pause_s, LAST_RETRY_S)
            return
        self._why = None
        self._pause_s = FIRST_RETRY_S

    def read(self, timeout: float) -> Frame | None:
        if self._why is None:
            return self._camera.read(timeout)
        wait_s = self._retry_s - self._clock()
        if wait_s > 0:
            self._sleep(min(wait_s, timeout))
        if wait_s <= timeout:
            self.start()
        return None

    def stop(self) -> None:
        self._camera.stop()
