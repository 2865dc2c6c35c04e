"""Says that the device is there, corrects an old will that says it is not, and notices another
device under the same name.

A connection that breaks without a word leaves its will with the broker, which may publish it long
after the next connection was made. So the agent listens to its own presence.
"""

from __future__ import annotations

from wire import topics
from wire.link import Received, Will
from wire.messages import Presence, parse, to_json
from wire.troubles import Refused

GAP_S = 1.0  # between two corrections: two devices of one name must not flood the broker
SUSPICION_S = 600.0  # how long after its last sign a second device is believed to be there


class Doorplate:
    """The presence of one device. publish at once what a method returns."""

    def __init__(self, fleet: str, device: str, boot: str, identity: str) -> None:
        """identity: tells this device from another of the same name; it outlives restarts."""
        self.topic = topics.presence(fleet, device)
        self._device = device
        self._boot = boot
        self._identity = identity
        self._session = ""
        self._said_s = -GAP_S
        self._seen_s: float | None = None
        self._is_sure = False  # of the rival: we have heard it, not only felt it
        self._is_wrong = False

    def will(self, session: str) -> Will:
        return Will(self.topic, to_json(self._word(session, online=False)))

    def connected(self, session: str, now_s: float) -> bytes:
        """What to publish, retained, on a new connection."""
        self._session = session
        return self._say(now_s)

    def heard(self, message: Received, now_s: float) -> None:
        """Take in what was received on our topic; ask `correction` afterwards."""
        try:
            presence = parse(message.payload, Presence)
        except Refused:
            self._is_wrong = True
            return
        if presence.online and presence.spool != self._identity and not message.retained:
            self._seen_s, self._is_sure = now_s, True
        self._is_wrong = not presence.online or presence.session != self._session

    def correction(self, now_s: float) -> bytes | None:
        """What to publish, retained, if what was heard is wrong and we did not just speak."""
        return self._say(now_s) if self._is_wrong and now_s - self._said_s >= GAP_S else None

    def goodbye(self) -> bytes:
        """What to publish, retained, before an orderly end: the broker sends no will then."""
        return to_json(self._word(self._session, online=False))

    def taken_over(self, now_s: float) -> None:
        """Another connection came under our name, as far as the link can tell."""
        if self._seen_s is None or now_s - self._seen_s > SUSPICION_S:
            self._is_sure = False
        self._seen_s = now_s

    def rival(self, now_s: float) -> str | None:
        """What is wrong if another device uses our name, else None."""
        if self._seen_s is None or now_s - self._seen_s > SUSPICION_S:
            return None
        who = f"another device connects as {self._device!r}"
        if not self._is_sure:
            who = f"the broker ends our connections soon after they are made, as if {who}"
        return f"{who}: give one of them another name (device in vedette.toml)"

    def _say(self, now_s: float) -> bytes:
        self._said_s = now_s
        self._is_wrong = False
        return to_json(self._word(self._session, online=True))

    def _word(self, session: str, online: bool) -> Presence:
        return Presence(online, self._boot, session, self._identity)
