"""The parts of the server that run beside the web, as the crew steps them."""

from __future__ import annotations

import threading
import time

from fleet.depot.depot import Depot, MakeLink
from fleet.folder import FleetFolder
from fleet.ingest.ingest import Sharing
from fleet.ingest.part import IngestPart
from fleet.registry.registry import Registry
from fleet.registry.words import Service, Terms
from fleet.signer.signer import Signer
from fleet.wording import plural, stretch
from wire.block.server import ServeTerms
from wire.link import Link, Post
from wire.mqtt.mqtt import MqttLink

STEP_S = 1.0
ASK_S = 5.0  # the database how services of other processes are
SILENT_S = 30.0  # who has said nothing for so long is not there


class DepotPart:
    """`vedette fleet depot` in this process."""

    def __init__(self, fleet: FleetFolder) -> None:
        """Raises Unavailable where another process has the depot, or there is none here."""
        self._signer = Signer(fleet.depot)
        try:
            self._depot = Depot(fleet.name, self._signer, self._link_to(fleet), ServeTerms())
            self._depot.open()
        except BaseException:
            self._signer.close()
            raise

    def step(self) -> None:
        self._depot.step()

    def status(self) -> str:
        return self._depot.status()

    def trouble(self) -> str | None:
        return self._depot.trouble

    def close(self) -> None:
        self._depot.close()
        self._signer.close()

    @staticmethod
    def _link_to(fleet: FleetFolder) -> MakeLink:
        def make(client_id: str, post: Post) -> Link:
            return MqttLink(fleet.broker, client_id, post)

        return make


class IngestElsewhere:
    """`vedette fleet ingest` in other processes, as they say in the database how they are."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._asked_s = float("-inf")  # by time.monotonic
        self._found: tuple[Service, ...] = ()
        self._said: dict[str, tuple[float, float]] = {}  # what each said last, and when we saw it
        self._ended = threading.Event()

    def step(self) -> None:
        """Raises Unavailable."""
        if time.monotonic() - self._asked_s >= ASK_S:
            services = self._registry.services()
            self._found = tuple(each for each in services if each.name == "ingest")
            self._asked_s = time.monotonic()
            self._note(self._asked_s)
        self._ended.wait(STEP_S)

    def status(self) -> str:
        return f"{plural(len(self._alive()), 'service')} elsewhere"

    def trouble(self) -> str | None:
        alive = self._alive()
        if not alive:
            newest_s = max((each.at_s for each in self._found), default=None)
            since = "" if newest_s is None else f" for {stretch(max(0.0, time.time() - newest_s))}"
            return f"no vedette fleet ingest has been at work{since}: start one"
        return next((each.trouble for each in alive if each.trouble is not None), None)

    def close(self) -> None:
        self._ended.set()

    def _note(self, now_s: float) -> None:
        """Who is there says something new again and again: the clocks of others may be wrong."""
        before = self._said
        self._said = {}
        for each in self._found:
            said_s, seen_s = before.get(each.holder, (None, None))
            if seen_s is None:  # seen for the first time: by its own clock, as far as that can be
                seen_s = now_s - max(0.0, time.time() - each.at_s)
            elif said_s != each.at_s:
                seen_s = now_s
            self._said[each.holder] = (each.at_s, seen_s)

    def _alive(self) -> list[Service]:
        since_s = time.monotonic() - SILENT_S
        return [each for each in self._found if self._said[each.holder][1] > since_s]


def ingest_of(fleet: FleetFolder, registry: Registry, terms: Terms, sharing: Sharing) -> IngestPart:
    """`vedette fleet ingest` in this process, the only one or one of several."""
    return IngestPart(fleet.name, fleet.broker, registry, terms, sharing)
