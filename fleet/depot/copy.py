"""A depot that only serves, from a copy of the folder: a share of the requests, or as a standby.

It signs nothing, rings no bell and takes nothing from operators: one depot of a fleet does that.
"""

from __future__ import annotations

import logging
import secrets
import time
from dataclasses import asdict
from pathlib import Path

from fleet.depot.copied import CopiedLibrary
from fleet.depot.counts import CopyCounts
from fleet.depot.depot import TURN_S, MakeLink
from fleet.depot.inbox import DepotInbox
from fleet.depot.share import Share
from wire import topics
from wire.block.server import BlockServer, ServeTerms
from wire.block.standing_by import StandingBy
from wire.link import Connected, Disconnected, LinkEvent, Received
from wire.troubles import Refused

PATIENCE_S = 2.0  # of a standby, with another depot that is silent
LACKING_S = 5.0  # what lacks so long is told

log = logging.getLogger("vedette.depot")


class CopyDepot:
    """Between the broker and a copy of one fleet's folder."""

    def __init__(
        self,
        fleet: str,
        folder: Path,
        make_link: MakeLink,
        terms: ServeTerms,
        share: Share,
        standing_by: StandingBy | None,
    ) -> None:
        """folder: as the depot's. Raises Refused if it is none."""
        if not (folder / "metadata").is_dir():
            raise Refused(f"{folder}: has no metadata/: copy the depot's folder there first")
        self.counts = CopyCounts()
        self.inbox: DepotInbox[LinkEvent] = DepotInbox()
        self._fleet = fleet
        self._share = share
        self._library = CopiedLibrary(folder, time.monotonic)
        self._link = make_link(f"depot-{secrets.token_hex(4)}-{fleet}"[:64], self._post)
        self._standing_by = standing_by
        self._server = BlockServer(
            self._link.publish, fleet, self._library, terms, standing_by=standing_by
        )
        self._broker: str | None = "connecting"  # what is wrong with the connection
        self._led = False
        self._lacks: str | None = None  # that was told
        self._lacking_s: float | None = None  # since when there is something else to tell

    def open(self) -> None:
        """Begin to serve."""
        patterns = [*self._share.patterns(self._fleet), topics.bell(self._fleet)]
        if self._standing_by is not None:
            patterns.append(topics.blocks(self._fleet))
        for pattern in patterns:
            self._link.subscribe(pattern)
        self._link.open()

    def close(self) -> None:
        self._link.close()
        self._server.close()

    def step(self, timeout_s: float = TURN_S) -> None:
        """Wait for one event, take it, and do what is due."""
        wait_s = min(timeout_s, TURN_S, self._server.tick())
        self._tell_who_leads()
        self._tell_what_lacks()
        event = self.inbox.take(max(0.0, wait_s))
        if isinstance(event, Received):
            self._receive(event)
        elif isinstance(event, Connected):
            self._broker = None
            log.info("connected to the broker, %s", event.protocol)
        elif isinstance(event, Disconnected):
            if self._broker != event.why:
                log.warning("%s", event.why)
            self._broker = event.why

    def status(self) -> str:
        """One line for systemctl status."""
        words = [self._broker or "connected"]
        if not self._share.is_all:
            words.append(f"share {self._share}")
        if self._standing_by is not None:
            words.append("answers" if self._standing_by.leads else "stands by")
        if self._lacks is not None:
            words.append("its folder is not complete")
        return f"{', '.join(words)}; {self._server.published_bytes >> 20} MiB served"

    @property
    def published_bytes(self) -> int:
        """Of blocks, so far."""
        return self._server.published_bytes

    @property
    def versions(self) -> None:
        """It verifies nothing, so it knows none."""
        return None

    def wake(self) -> None:
        """Let `step` return at once. Any thread."""
        self.inbox.wake()

    def counted(self) -> dict[str, int]:
        return asdict(self.counts)

    def _post(self, event: LinkEvent) -> None:
        """For the link's thread."""
        place = topics.block_place(event.topic) if isinstance(event, Received) else None
        if place is None:
            self.inbox.post(event)
        elif self._standing_by is not None and isinstance(event, Received):
            self._standing_by.hear(place.key, place.number, event.payload)

    def _receive(self, message: Received) -> None:
        if message.topic == topics.bell(self._fleet):
            self._library.bell = message.payload
            return
        told = topics.told(message.topic)
        if told is not None and told.kind == "request":
            self.counts.requests += 1
            self._server.asked(told.device, message.payload)

    def _tell_what_lacks(self) -> None:
        """Once. What lags for a moment only is not worth a word."""
        now_s, lacks = time.monotonic(), self._library.lacks
        if lacks == self._lacks:
            self._lacking_s = None
        elif lacks is None:
            log.info("the folder is complete")
            self._lacks = None
        elif self._lacking_s is None:
            self._lacking_s = now_s
        elif now_s - self._lacking_s >= LACKING_S:
            log.warning("%s", lacks)
            self._lacks = lacks

    def _tell_who_leads(self) -> None:
        standing_by = self._standing_by
        if standing_by is None:
            return
        self.counts.took_over = standing_by.took_over
        if standing_by.leads != self._led:
            self._led = standing_by.leads
            if self._led:
                log.warning("no other depot answers devices: this one does now")
            else:
                log.info("another depot answers again: this one stands by")
