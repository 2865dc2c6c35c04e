"""Collects what a link posts, for tests to wait for."""

from __future__ import annotations

import threading
from typing import TypeVar

from wire.link import Connected, Delivered, Disconnected, LinkEvent, Received

Kind = TypeVar("Kind", Connected, Delivered, Disconnected, Received)


class Inbox:
    """`post` is what a link is given."""

    def __init__(self) -> None:
        self._events: list[LinkEvent] = []
        self._changed = threading.Condition()

    def post(self, event: LinkEvent) -> None:
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    @property
    def events(self) -> list[LinkEvent]:
        with self._changed:
            return list(self._events)

    def all_of(self, kind: type[Kind]) -> list[Kind]:
        return [event for event in self.events if isinstance(event, kind)]

    def wait(self, kind: type[Kind], count: int = 1, timeout_s: float = 30.0) -> Kind:
        """The event number `count` of a kind, as soon as it is there. Raises AssertionError."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.all_of(kind)) >= count, timeout_s)
            found = self.all_of(kind)
            assert len(found) >= count, f"no {kind.__name__} {count} in {self._events[-20:]}"
            return found[count - 1]

    def wait_delivered(self, number: int | None, timeout_s: float = 30.0) -> None:
        """Until the broker took the message with this number."""
        with self._changed:
            there = self._changed.wait_for(
                lambda: Delivered(number or 0) in self._events, timeout_s
            )
            assert there, f"{number} was not delivered: {self._events[-20:]}"
