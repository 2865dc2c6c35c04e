"""The way to the broker as the agent sees it: there or not, why not, and since when."""

from __future__ import annotations

import logging

from agent.clock import Clock
from wire.link import Connected, Disconnected

TOLD_S = 60.0  # an outage that lasted for so long explains why records came late

log = logging.getLogger("vedette.agent")


class Way:
    """wrong: why there is no connection, in words for `systemctl status`; None while there is."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._url = url
        self._clock = clock
        self._since_s: float | None = clock.uptime_s()
        self._why = "it was not tried"
        self.wrong: str | None = "connecting"

    def came(self, event: Connected) -> str | None:
        """The connection is there: a sentence, if there was none for a while."""
        log.info("connected to %s by %s", self._url, event.protocol)
        now_s = self._clock.uptime_s()
        out_s = 0.0 if self._since_s is None else now_s - self._since_s
        self.wrong = self._since_s = None
        if out_s < TOLD_S:
            return None
        return f"there was no way to the broker for {out_s:.0f} s: {self._why}"

    def went(self, event: Disconnected) -> None:
        """The connection went, or could not be made."""
        said = f"not connected: {event.why}"
        if said != self.wrong:
            log.warning("%s", said)
        self.wrong, self._why = said, event.why
        if self._since_s is None:
            self._since_s = self._clock.uptime_s()
