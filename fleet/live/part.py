"""The live view as a part of the server: kept up on a thread of its own."""

from __future__ import annotations

import threading

from fleet.live.following import Following, Source
from fleet.live.view import LiveView
from fleet.wording import plural


class LivePart:
    """`step` until it is closed. It opens nothing, so there is nothing to close."""

    def __init__(self, source: Source, view: LiveView) -> None:
        self._following = Following(source, view)
        self._view = view
        self._ended = threading.Event()

    def step(self) -> None:
        """Take what is new, then wait for a second at most."""
        self._ended.wait(self._following.step())

    def status(self) -> str:
        summary = self._view.sight.summary
        return f"{plural(summary.devices, 'device')}, {summary.online:,} online"

    def trouble(self) -> str | None:
        return self._view.sight.trouble

    def close(self) -> None:
        self._ended.set()
