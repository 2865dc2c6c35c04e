"""Links over MQTT for tests of what goes wrong: quick to come back, and closed at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.inbox import Inbox
from wire.backoff import Backoff
from wire.config import Broker
from wire.link import MakeWill, Will
from wire.mqtt.mqtt import MqttLink

ID = "door"


@contextmanager
def linked(
    broker: Broker | str,
    *patterns: str,
    client_id: str = ID,
    will: MakeWill | None = None,
    again_s: float = 0.3,
) -> Iterator[tuple[MqttLink, Inbox]]:
    """An open link, connected or not yet. again_s: it waits at most so long between attempts."""
    inbox = Inbox()
    config = Broker(broker) if isinstance(broker, str) else broker
    link = MqttLink(config, client_id, inbox.post, will, Backoff(again_s, again_s))
    for pattern in patterns:
        link.subscribe(pattern)
    link.open()
    try:
        yield link, inbox
    finally:
        link.close()


def presence(session: str) -> Will:
    return Will("a/presence", session.encode())


def secret(folder: Path, text: str) -> Path:
    """A file with a password."""
    path = folder / "secret"
    path.write_text(f"{text}\n", encoding="utf-8")
    return path
