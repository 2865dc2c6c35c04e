"""The bell: the signed timestamp, retained at the broker. It is kept as timestamp.json is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from fleet.roles import roles
from fleet.signer.signer import Signer
from wire.link import Received
from wire.troubles import Refused

AGAIN_S = 30.0  # between two times that a stranger is overruled, at least
OWN_RINGS = 16  # that may still be on their way back to us


class Bell:
    """publish: retained. clock: seconds, monotonic."""

    def __init__(
        self, publish: Callable[[bytes], object], signer: Signer, clock: Callable[[], float]
    ) -> None:
        self._publish = publish
        self._signer = signer
        self._clock = clock
        self._rung: deque[bytes] = deque(maxlen=OWN_RINGS)
        self._overruled_s: float | None = None
        self._is_owed = False  # the last word was a stranger's

    def ring(self) -> None:
        """Say what is in force."""
        self._is_owed = False
        timestamp = self._signer.timestamp
        if timestamp not in self._rung:
            self._rung.append(timestamp)
        self._publish(timestamp)

    def tick(self) -> None:
        """Overrule who rang again right after he was overruled."""
        if self._is_owed and not self._is_early():
            self._overruled_s = self._clock()
            self.ring()

    def hear(self, message: Received) -> str | None:
        """Overrule who rings another bell, now and then. What to tell a person about it."""
        is_echo = message.payload in self._rung and not message.retained
        if is_echo or message.payload == self._signer.timestamp:
            return None
        if self._is_early():
            self._is_owed = True
            return None
        newer = self._newer(message.payload)
        if newer is None and message.retained:  # what it was before we came
            return None
        self._overruled_s = self._clock()
        self.ring()
        if newer is not None:
            return (
                f"the fleet has seen timestamp {newer}, and this folder is at "
                f"{self._signer.versions.timestamp}: put back its newest backup, or end the other "
                "depot: devices do not go back. Where there is none: docs/updates.md, set back"
            )
        return (
            "somebody else rings this fleet's bell: end the other depot, or mend the broker's ACL"
        )

    def _is_early(self) -> bool:
        since_s = self._overruled_s
        return since_s is not None and self._clock() - since_s < AGAIN_S

    def _newer(self, payload: bytes) -> int | None:
        """The version of a timestamp that our key has signed and this folder does not know."""
        try:
            version = roles.version_of(payload)
            is_ours = not roles.lacking(payload, self._signer.held.root, "timestamp").count
        except Refused:
            return None
        return version if is_ours and version > self._signer.versions.timestamp else None
