"""The loop as systemd sees it: ready, alive while frames come out, and what it does just now."""

from __future__ import annotations

import time
from collections.abc import Callable

from runtime.cameras import Camera, Ended
from runtime.loop import Loop
from runtime.reporting import Reporter
from wire.systemd import Notifier

STATUS_S = 10.0


class Service:
    """One pipeline under supervision.

    The watchdog is petted when a frame came out, or while the camera is reported absent and is
    being reopened. Not otherwise: a camera that gives nothing and an engine that hangs are for
    systemd to end. title: model and camera, for people. clock: seconds, monotonic.
    """

    def __init__(
        self,
        loop: Loop,
        camera: Camera,
        reporter: Reporter,
        notifier: Notifier,
        title: Callable[[], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loop = loop
        self._camera = camera
        self._reporter = reporter
        self._notifier = notifier
        self._title = title
        self._clock = clock
        self._said: tuple[str, str | None] | None = None
        self._status_s = 0.0
        self._frames = 0  # when the status was said

    def start(self) -> None:
        """Say that the service is up, then start the camera: it may be missing for hours.

        Raises Refused if the camera cannot do what its URI asks.
        """
        self._notifier.ready(f"starting: {self._title()}")
        self._camera.start()

    def step(self, timeout: float) -> bool:
        """Carry one frame, tell systemd and the agent. False if this was the end."""
        reporter = self._reporter
        try:
            came = self._loop.step(timeout)
        except Ended:
            reporter.has_ended = True
            return False
        now_s = self._clock()
        if self._notifier.due(now_s) and (came or self._camera.absent is not None):
            self._notifier.watchdog()
        reporter.tick()
        if now_s >= self._status_s or (not came and self._now() != self._said):
            self._say_status(now_s)
        return not reporter.is_leaving

    def end(self) -> None:
        """Say that the service goes down."""
        self._notifier.stopping(f"ending after {self._reporter.frames} results")

    def _now(self) -> tuple[str, str | None]:
        return self._reporter.phase, self._camera.absent

    def _say_status(self, now_s: float) -> None:
        seconds = now_s - self._status_s + STATUS_S
        rate = (self._reporter.frames - self._frames) / seconds
        phase, absent = self._said = self._now()
        if absent is not None:
            self._notifier.status(f"no camera, trying again: {absent}")
        elif phase == "serving" and self._status_s:
            self._notifier.status(f"{self._title()}: {rate:.3g} results/s")
        else:
            self._notifier.status(f"{phase}: {self._title()}")
        self._frames = self._reporter.frames
        self._status_s = now_s + STATUS_S
