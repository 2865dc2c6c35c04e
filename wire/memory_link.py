"""A broker in a dict and links to it: the twin of MQTT for tests that are not about MQTT."""

from __future__ import annotations

import itertools
import secrets
import threading

from wire.link import (
    Connected,
    Delivered,
    Disconnected,
    LinkEvent,
    MakeWill,
    Post,
    Received,
    Unsubscribe,
    Will,
)
from wire.subscriptions import Subscriptions
from wire.topics import matches


class MemoryBroker:
    """Carries messages between links of one process, at once and on the caller's thread."""

    def __init__(self, most_bytes: int | None = None) -> None:
        self.most_bytes = most_bytes
        self.sent: list[tuple[str, bytes]] = []
        self._retained: dict[str, bytes] = {}
        self._links: dict[str, MemoryLink] = {}

    def link(self, client_id: str, post: Post, will: MakeWill | None = None) -> MemoryLink:
        """A link that is not opened yet."""
        return MemoryLink(self, client_id, post, will)

    def cut(self, client_id: str) -> None:
        """Break one connection as a network does: its will is published."""
        if link := self._links.pop(client_id, None):
            link.lose("the connection was cut", taken_over=False)

    def stop(self) -> None:
        """Refuse everybody until `start`; wills are not sent, retained messages are kept."""
        links, self._links = list(self._links.values()), {}
        for link in links:
            link.lose("the broker stopped", taken_over=False, with_will=False)

    def join(self, client_id: str, link: MemoryLink) -> None:
        before = self._links.pop(client_id, None)
        self._links[client_id] = link
        if before is not None:
            before.lose("another connection came under the same client id", taken_over=True)

    def leave(self, client_id: str, link: MemoryLink) -> None:
        if self._links.get(client_id) is link:
            del self._links[client_id]

    def carry(self, topic: str, payload: bytes, retain: bool) -> None:
        self.sent.append((topic, payload))
        if retain:
            self._retained[topic] = payload
            if not payload:
                del self._retained[topic]
        for link in list(self._links.values()):
            link.hear(Received(topic, payload, retained=False))

    def kept(self, pattern: str) -> list[Received]:
        return [
            Received(topic, payload, retained=True)
            for topic, payload in self._retained.items()
            if matches(pattern, topic)
        ]


class MemoryLink:
    """A Link to a MemoryBroker. It connects when it is opened, or when `open` is called again."""

    def __init__(
        self, broker: MemoryBroker, client_id: str, post: Post, will: MakeWill | None
    ) -> None:
        self._broker = broker
        self._client_id = client_id
        self._post = post
        self._make_will = will
        self._will: Will | None = None
        self._patterns: list[str] = []
        self._subscriptions = Subscriptions(self._patterns, threading.RLock(), lambda: None)
        self._numbers = itertools.count(1)
        self._connected = False

    def open(self) -> None:
        session = secrets.token_hex(8)
        self._will = self._make_will(session) if self._make_will else None
        self._broker.join(self._client_id, self)
        self._connected = True
        self._tell(Connected("memory", session, self._broker.most_bytes))
        for pattern in tuple(self._patterns):
            self._catch_up(pattern)

    def subscribe(self, pattern: str) -> Unsubscribe:
        is_new = pattern not in self._patterns
        unsubscribe = self._subscriptions.add(pattern)
        if is_new and self._connected:
            self._catch_up(pattern)
        return unsubscribe

    def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False
    ) -> int | None:
        most = self._broker.most_bytes
        if not self._connected or (most is not None and len(topic) + len(payload) + 16 > most):
            return None
        self._broker.carry(topic, payload, retain)
        if qos == 0:
            return 0
        number = next(self._numbers)
        self._tell(Delivered(number))
        return number

    def close(self) -> None:
        self._connected = False
        self._broker.leave(self._client_id, self)

    def hear(self, message: Received) -> None:
        if any(matches(pattern, message.topic) for pattern in tuple(self._patterns)):
            self._tell(message)

    def lose(self, why: str, taken_over: bool, with_will: bool = True) -> None:
        self._connected = False
        will = self._will
        self._tell(Disconnected(why, 0.0, taken_over))
        if will is not None and with_will:
            self._broker.carry(will.topic, will.payload, retain=True)

    def _catch_up(self, pattern: str) -> None:
        for message in self._broker.kept(pattern):
            self._tell(message)

    def _tell(self, event: LinkEvent) -> None:
        self._post(event)
