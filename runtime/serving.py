"""The loop as systemd sees it: ready, alive while frames come out, and what it does just now."""

from __future__ import annotations

import time
from collections.abc import Callable

from runtime.cameras import Camera, Ended, Sparse
from runtime.loop import HELD, NO_MODEL, Loop
from runtime.reporting import Reporter
from wire.systemd import Notifier

STATUS_S = 10.0
HELD_S = 180.0  # how long a model may take to come in the place of another
USUAL = ("serving", None)


class Service:
    """One pipeline under supervision.

    It is ready, and the watchdog is petted, when a frame came out, while the camera is reported
    absent and is being reopened, or waits for what somebody sends, while there is no model to run,
    and for a while when one is loaded in the place of another. Not otherwise: an engine that hangs
    is for systemd to end.
    title: model and camera, for people. clock: seconds, monotonic. is_ready: systemd was told so.
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
        self.is_ready = False
        self._held_s: float | None = None  # since when there is no model because the next is loaded
        self._said: tuple[str, str | None] | None = None
        self._said_s = clock()
        self._frames = 0  # when the status was said

    def start(self) -> None:
        """Begin to capture, if there is a model for the frames."""
        if self._loop.model is not NO_MODEL:
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
        if not self.is_ready or self._notifier.due(now_s):
            self._say_alive(came or self._may_be_without(now_s))
        reporter.tick()
        if now_s - self._said_s >= STATUS_S or (
            (not came or self._said != USUAL) and self._now() != self._said
        ):
            self._say_status(now_s)
        return not reporter.is_leaving

    def end(self) -> None:
        """Say that the service goes down."""
        self._notifier.stopping(f"ending after {self._reporter.frames} results")

    def _may_be_without(self, now_s: float) -> bool:
        """Whether it is right that no frame comes out."""
        if self._loop.model is HELD:
            self._held_s = now_s if self._held_s is None else self._held_s
            return now_s - self._held_s < HELD_S
        self._held_s = None
        if isinstance(self._camera, Sparse) and self._camera.is_waiting:
            return True
        return self._camera.absent is not None or self._loop.model is NO_MODEL

    def _say_alive(self, is_well: bool) -> None:
        if not is_well:
            return
        if not self.is_ready:
            self.is_ready = True
            self._notifier.ready(self._title())
        self._notifier.watchdog()

    def _now(self) -> tuple[str, str | None]:
        return self._reporter.phase, self._camera.absent

    def _say_status(self, now_s: float) -> None:
        seconds = now_s - self._said_s
        frames = self._reporter.frames - self._frames
        phase, absent = self._said = self._now()
        if phase == "no_model":
            self._notifier.status("no model: waiting until one is deployed")
        elif absent is not None:
            self._notifier.status(f"no camera, trying again: {absent}")
        elif phase == "serving" and seconds >= STATUS_S:
            self._notifier.status(f"{self._title()}: {frames / seconds:.3g} results/s")
        else:
            self._notifier.status(f"{phase}: {self._title()}")
        self._frames, self._said_s = self._reporter.frames, now_s
