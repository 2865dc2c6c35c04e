"""Brings what the link delivers to the screen, on one thread."""

from __future__ import annotations

import time
from collections.abc import Callable

from fleet.devices import Fleet
from fleet.inbox import MOST, Inbox
from fleet.screens import CONNECTING, Screen, Standing
from wire.link import Connected, Disconnected, LinkEvent, Received

MOST_WAITING = MOST  # events; then the link waits for us, and the broker for the link
MOST_AT_ONCE = 1000  # between two looks at the screen
DRAW_S = 0.25


class Watching:
    """`post` is for the link's thread, `step` for ours."""

    def __init__(
        self, fleet: Fleet, screen: Screen, where: str, now_s: Callable[[], float] = time.time
    ) -> None:
        """where: the broker's URL. now_s: gives Unix time."""
        self.was_connected = False
        self._fleet = fleet
        self._screen = screen
        self._now_s = now_s
        self._standing = Standing(where, CONNECTING)
        self._inbox = Inbox(MOST_WAITING)
        self._drawn_s = -DRAW_S
        self._is_wanted = True

    def post(self, event: LinkEvent) -> None:
        """Take in what the link says. Waits while more than enough waits already."""
        self._inbox.post(event)

    def step(self, timeout_s: float) -> bool:
        """Show what arrives within the time, at most so much at once. False: nobody looks."""
        event = self._inbox.take(timeout_s)
        for _ in range(MOST_AT_ONCE):
            if event is None:
                break
            self._take(event)
            event = self._inbox.take(0.0)
        if event is not None:
            self._take(event)
        if time.monotonic() - self._drawn_s >= DRAW_S:
            self._draw()
        return self._is_wanted

    def close(self) -> None:
        """Nothing more is taken in."""
        self._inbox.close()

    def _take(self, event: LinkEvent) -> None:
        if isinstance(event, Connected):
            self.was_connected = True
            self._stand(None)
        elif isinstance(event, Disconnected):
            self._stand(event.why)
        elif isinstance(event, Received):
            now_s = self._now_s()
            news = self._fleet.hear(event, now_s)
            if news is not None:
                self._screen.tell(news, now_s)

    def _stand(self, why: str | None) -> None:
        """Show at once how it stands with the broker: the next word may come soon."""
        self._standing = Standing(self._standing.where, why)
        self._draw()

    def _draw(self) -> None:
        self._drawn_s = time.monotonic()
        self._is_wanted &= self._screen.draw(self._fleet, self._standing, self._now_s())
