"""How much is on its way to the broker, so that a broker that stalls cannot fill our memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

OVERHEAD = 512  # bytes that a message costs in memory beside its own


@dataclass(frozen=True)
class Sent:
    """One message on its way. number: as publish gave it, 0 for QoS 0. is_taken: by the broker,
    or for QoS 0 by the socket."""

    number: int
    topic: str
    size: int
    is_taken: Callable[[], bool]


class Waiting:
    """What was published and not yet taken. Not thread-safe: its user has a lock."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._sent: dict[tuple[int, bool], Sent] = {}

    def __len__(self) -> int:
        return len(self._sent)

    def has_room(self, size: int, beside: int = 0) -> bool:
        """One alone always fits. beside: bytes that wait elsewhere."""
        bytes_ = self._bytes + beside
        return not bytes_ or bytes_ + size + OVERHEAD <= self._most_bytes

    def add(self, mid: int, sent: Sent) -> None:
        """mid: what MQTT calls the message; QoS 0 and 1 may use the same at one time."""
        self._sent[mid, sent.number > 0] = sent
        self._bytes += sent.size + OVERHEAD

    def take(self, mid: int) -> Sent | None:
        """One with this mid was taken: which one; None if it is not ours."""
        for key in ((mid, True), (mid, False)):
            sent = self._sent.get(key)
            if sent is not None and sent.is_taken():
                del self._sent[key]
                self._bytes -= sent.size + OVERHEAD
                return sent
        return None

    def largest(self) -> int:
        """Bytes of the largest message that waits, 0 if none does."""
        return max((sent.size for sent in self._sent.values()), default=0)


def packet_bytes(topic: str, payload: bytes) -> int:
    """Of the PUBLISH that carries it, at most: header 5, topic's length 2, id 2, properties 1."""
    return 10 + len(topic.encode()) + len(payload)
