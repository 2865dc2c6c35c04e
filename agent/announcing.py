"""Publishes what Home Assistant should show of this device, and withdraws what is gone."""

from __future__ import annotations

from agent.homeassistant import Discovery, kept, remembered
from agent.keeping import Keeping
from wire.config import Config
from wire.link import Link
from wire.version import VERSION

NOTE = "announced"


class Announcer:
    """Remembers in the spool what was announced, so that it can be withdrawn one day."""

    def __init__(self, config: Config, board_name: str, keeping: Keeping, link: Link) -> None:
        self._discovery = Discovery(config, board_name, VERSION)
        self._keeping = keeping
        self._link = link
        self._before = remembered(keeping.note(NOTE))

    def announce(self) -> None:
        """Call on every new connection."""
        messages = self._discovery.withdrawn(self._before) + self._discovery.messages()
        sent = [self._link.publish(topic, payload, retain=True) for topic, payload in messages]
        if None not in sent and self._before != self._discovery.topics():
            self._before = self._discovery.topics()
            self._keeping.append((), {NOTE: kept(self._before)})
