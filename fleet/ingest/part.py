"""Ingest and keeper together, as a service or a part of one: stepped until it is closed."""

from __future__ import annotations

import secrets

from fleet.ingest.ingest import Counts, Ingest, MakeLink, Sharing
from fleet.ingest.keeper import Keeper
from fleet.registry.registry import TERMS, Registry
from fleet.registry.words import Terms
from wire.config import Broker
from wire.link import Link, Post
from wire.mqtt.mqtt import MqttLink


class IngestPart:
    """Works from when it is made. The registry is opened and closed by the caller."""

    def __init__(
        self,
        fleet: str,
        broker: Broker,
        registry: Registry,
        terms: Terms = TERMS,
        sharing: Sharing = "shared",
    ) -> None:
        """terms: what is kept, while this process is the keeper."""
        holder = secrets.token_hex(6)
        self._ingest = Ingest(fleet, registry, _link_to(broker), holder, sharing)
        self._keeper = Keeper(registry, holder, self._ingest, terms)
        self._ingest.open()
        self._keeper.open()

    def step(self) -> None:
        """Waits 1 s at most, and for the database."""
        self._keeper.check()
        self._ingest.step()

    def status(self) -> str:
        trouble = self._keeper.trouble
        kept = "" if trouble is None else f"; the registry is not kept in order: {trouble}"
        return f"{self._ingest.status()}{kept}"

    def trouble(self) -> str | None:
        return self._ingest.trouble

    def counted(self) -> Counts:
        return self._ingest.counted()

    def close(self) -> None:
        self._keeper.close()
        self._ingest.close()


def _link_to(broker: Broker) -> MakeLink:
    def make(client_id: str, post: Post) -> Link:
        return MqttLink(broker, client_id, post)

    return make
