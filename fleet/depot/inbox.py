"""Everything that happens to the depot, in one queue, decided on one thread."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from wire import offers
from wire.link import LinkEvent, Received

ROOM = 2_000  # messages of strangers; who gets no answer asks again
MOST_OF_ONE = 250  # of one device, and of all others together: nobody keeps the rest out
LONGEST = offers.LARGEST + 1  # bytes: no payload that we take is longer
LEAST_WAIT_S = 0.01
MOST_BYTES = 32 * 1024 * 1024  # of payloads that wait

Own = TypeVar("Own")


@dataclass
class _Count:
    """What waits, of strangers. Only near enough: two threads count without a lock."""

    posted: int = 0
    posted_bytes: int = 0
    taken: int = 0
    taken_bytes: int = 0


class _Shares:
    """How many messages wait of each one who sent some."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, int] = {}

    def enter(self, topic: str) -> bool:
        """Whether one more may wait."""
        sender = _sender(topic)
        with self._lock:
            count = self._waiting.get(sender, 0)
            if count < MOST_OF_ONE:
                self._waiting[sender] = count + 1
        return count < MOST_OF_ONE

    def leave(self, topic: str) -> None:
        sender = _sender(topic)
        with self._lock:
            self._waiting[sender] -= 1
            if not self._waiting[sender]:
                del self._waiting[sender]


class DepotInbox(Generic[Own]):
    """Any thread posts, one takes. Own: what our own threads post, which is never dropped.

    dropped: messages of others that found no room.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._count = _Count()
        self._shares = _Shares()
        self._queue: queue.SimpleQueue[LinkEvent | Own | None] = queue.SimpleQueue()

    def post(self, event: LinkEvent) -> None:
        """For the link's thread."""
        if isinstance(event, Received):
            count = self._count
            waiting = count.posted - count.taken
            waiting_bytes = count.posted_bytes - count.taken_bytes
            is_full = waiting >= ROOM or waiting_bytes > MOST_BYTES
            if is_full or not self._shares.enter(event.topic):
                self.dropped += 1
                return
            if len(event.payload) > LONGEST:
                event = replace(event, payload=event.payload[:LONGEST])
            count.posted += 1
            count.posted_bytes += len(event.payload)
        self._queue.put(event)

    def tell(self, own: Own) -> None:
        """For our own threads."""
        self._queue.put(own)

    def wake(self) -> None:
        """Let `take` return at once."""
        self._queue.put(None)

    def take(self, timeout_s: float) -> LinkEvent | Own | None:
        """The next one, or None if none comes in time."""
        try:
            # a timeout of 0 may wait for ever, by a bug of Python 3.10; a depot that waited for
            # some nanoseconds was seen to stand still until the next message, too
            if timeout_s <= 0:
                event = self._queue.get_nowait()
            else:
                event = self._queue.get(timeout=max(LEAST_WAIT_S, timeout_s))
        except queue.Empty:
            return None
        if isinstance(event, Received):
            self._count.taken += 1
            self._count.taken_bytes += len(event.payload)
            self._shares.leave(event.topic)
        return event


def _sender(topic: str) -> str:
    """`vedette/FLEET/device/NAME`: whose it is as the broker's rules say; `vedette/FLEET/offer` of
    all operators, who choose the rest themselves."""
    words = topic.split("/", 4)
    return "/".join(words[: 4 if words[2:3] == ["device"] else 3])
