"""What devices find just now: heard from the broker for as long as somebody looks at their page.

Results are kept nowhere, so there is nothing to read in the registry. There is one connection for
all who look, and none while nobody does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from wire import topics
from wire.link import Link, LinkEvent, Post, Received, Unsubscribe
from wire.messages import parse
from wire.results import Result
from wire.troubles import Refused

MOST_PIPELINES = 16  # of one device
LARGEST = 64 * 1024  # bytes of a result that is shown

MakeLink = Callable[[Post], Link]


@dataclass
class Look:
    """One device that somebody looks at. results: the newest of each pipeline. readers: how many
    look."""

    device: str
    unsubscribe: Unsubscribe
    readers: int = 0
    results: dict[str, Result] = field(default_factory=dict)


class Hearing:
    """`look` and `leave` on any thread."""

    def __init__(self, fleet: str, make_link: MakeLink) -> None:
        self._fleet = fleet
        self._make_link = make_link
        self._lock = threading.Lock()
        self._link: Link | None = None
        self._looks: dict[str, Look] = {}

    def look(self, device: str) -> Look:
        """Begin to hear a device. `leave` afterwards."""
        with self._lock:
            if self._link is None:
                self._link = self._make_link(self._post)
                self._link.open()
            look = self._looks.get(device)
            if look is None:
                pattern = topics.from_devices(self._fleet, "result", device)
                look = self._looks[device] = Look(device, self._link.subscribe(pattern))
            look.readers += 1
            return look

    def leave(self, look: Look) -> None:
        """Who looked looks no more. The last one closes the connection, which may take a second."""
        with self._lock:
            look.readers -= 1
            if look.readers:
                return
            look.unsubscribe()
            del self._looks[look.device]
            link, self._link = (None, self._link) if self._looks else (self._link, None)
        if link is not None:
            link.close()

    def _post(self, event: LinkEvent) -> None:
        """For the link's thread."""
        if not isinstance(event, Received) or len(event.payload) > LARGEST:
            return
        told = topics.told(event.topic)
        if told is None or told.kind != "result":
            return
        look = self._looks.get(told.device)
        if look is None:
            return
        try:
            result = parse(event.payload, Result)
        except Refused:
            return  # the state of the device says that it cannot be understood
        if result.pipeline in look.results or len(look.results) < MOST_PIPELINES:
            look.results[result.pipeline] = result
