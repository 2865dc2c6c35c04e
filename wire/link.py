"""The connection to the broker as all but `wire/mqtt` know it, and its twin in memory.

A link delivers what happens as events to one `post`, on its own thread: the receiver puts them
into its inbox and decides later. It keeps nothing: what was not delivered when the connection
went is forgotten, and whoever needs it delivered keeps it (the spool) and sends it again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Connected:
    """The broker took us in, and every subscription is made.

    protocol: "MQTT 5" or "MQTT 3.1.1". session: the random id of this connection, which the will
    carries too. most_bytes: the largest packet that the broker said it takes, None if it did not.
    """

    protocol: str
    session: str
    most_bytes: int | None


@dataclass(frozen=True)
class Disconnected:
    """The connection went, or could not be made. Published messages without Delivered are lost.

    why: a sentence for a person, with what to do where that is known. again_s: seconds until the
    next attempt. taken_over: another connection came under our client id, as far as is known.
    refused: the broker, or a file that we were given, says no: waiting alone will not help.
    """

    why: str
    again_s: float
    taken_over: bool = False
    refused: bool = False


@dataclass(frozen=True)
class Received:
    """A message on a subscribed topic. retained: it is from before we subscribed."""

    topic: str
    payload: bytes
    retained: bool


@dataclass(frozen=True)
class Delivered:
    """The broker took the message with this number (PUBACK)."""

    number: int


LinkEvent = Connected | Disconnected | Received | Delivered
Post = Callable[[LinkEvent], None]
Unsubscribe = Callable[[], None]  # any thread; again: nothing happens


@dataclass(frozen=True)
class Will:
    """What the broker publishes, retained, QoS 1, when the connection breaks."""

    topic: str
    payload: bytes


MakeWill = Callable[[str], Will]  # session -> will; called before each attempt to connect


class Link(Protocol):
    """One connection, made again whenever it breaks."""

    def open(self) -> None:
        """Begin to connect, and return at once."""

    def subscribe(self, pattern: str) -> Unsubscribe:
        """Receive what comes on these topics, on this and every later connection. QoS 1.

        Until what is returned was called by everybody who asked for this pattern; what was on its
        way then may still come.
        """

    def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False
    ) -> int | None:
        """Send now. The number that Delivered will name (QoS 1), 0 (QoS 0), or None if there is
        no connection or the message is larger than the broker takes. Never blocks. Any thread."""

    def close(self) -> None:
        """Say goodbye in order (the broker sends no will) and end the link's threads."""
