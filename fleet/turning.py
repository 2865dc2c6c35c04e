"""How a service turns: it is stepped until a signal or its time ends it, and says how it is."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Protocol

from wire.systemd import Notifier

STATUS_S = 5.0


class Signals:
    """Whether to end. wake: lets who waits look at once; it may be set later. A second signal
    leaves at once."""

    def __init__(self, seconds: float | None) -> None:
        """seconds: after which to end without being asked. For the main thread."""
        self.wake: Callable[[], None] = lambda: None
        self._stop = False
        self._end_s = None if seconds is None else time.monotonic() + seconds
        signal.signal(signal.SIGTERM, self._hear)
        signal.signal(signal.SIGINT, self._hear)

    def is_over(self) -> bool:
        return self._stop or (self._end_s is not None and time.monotonic() >= self._end_s)

    def _hear(self, number: int, _: object) -> None:
        if self._stop:
            os._exit(128 + number)
        self._stop = True
        self.wake()


class Turning(Protocol):
    """step: waits 1 s at most. status: one line for systemctl status."""

    def step(self) -> None: ...

    def status(self) -> str: ...


def turn(service: Turning, signals: Signals, notifier: Notifier) -> None:
    """Until it is to end. It works already: systemd is told so."""
    notifier.ready(service.status())
    said_s = time.monotonic()
    while not signals.is_over():
        service.step()
        now_s = time.monotonic()
        if notifier.due(now_s):
            notifier.watchdog()
        if now_s - said_s > STATUS_S:
            notifier.status(service.status())
            said_s = now_s
    notifier.stopping("saying goodbye")
