"""The parts of the server that run beside the web, as the crew steps them."""

from __future__ import annotations

from fleet.depot.depot import Depot, MakeLink
from fleet.folder import FleetFolder
from fleet.signer.signer import Signer
from wire.block.server import ServeTerms
from wire.link import Link, Post
from wire.mqtt.mqtt import MqttLink


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
        status = self._depot.status()
        return None if status.startswith("connected") else status

    def close(self) -> None:
        self._depot.close()
        self._signer.close()

    @staticmethod
    def _link_to(fleet: FleetFolder) -> MakeLink:
        def make(client_id: str, post: Post) -> Link:
            return MqttLink(fleet.broker, client_id, post)

        return make
