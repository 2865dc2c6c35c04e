"""Removes from the broker what it keeps of a device that left: presence and state, retained."""

from __future__ import annotations

import queue
import secrets
import time
from contextlib import closing
from typing import Literal

from fleet.folder import FleetFolder
from wire import topics
from wire.link import Connected, Disconnected, LinkEvent, Received

Outcome = Literal["removed", "refused", "unreachable"]
ECHO_S = 3.0  # a broker that forbids says nothing, or says nothing of it


def forget(fleet: FleetFolder, device: str, patience_s: float) -> tuple[Outcome, str]:
    """removed: the broker keeps nothing of it. refused: its rules do not let us, yet. unreachable:
    no connection within patience_s. With the outcome: why, in words."""
    from wire.mqtt.mqtt import MqttLink

    kept = {topics.presence(fleet.name, device), topics.state(fleet.name, device)}
    events: queue.Queue[LinkEvent] = queue.Queue()
    with closing(MqttLink(fleet.broker, f"leave-{secrets.token_hex(8)}", events.put)) as link:
        for topic in kept:
            link.subscribe(topic)
        link.open()
        why = _connected(events, time.monotonic() + patience_s)
        if why is not None:
            return "unreachable", why
        for topic in kept:
            link.publish(topic, b"", retain=True)
        end_s = time.monotonic() + ECHO_S
        while kept:
            event = _next(events, end_s)
            if event is None:
                return "refused", "the broker's rules are those of before"
            if isinstance(event, Disconnected):
                return "refused", event.why
            if isinstance(event, Received) and not event.payload:
                kept.discard(event.topic)  # we hear ourselves: it was let through
    return "removed", ""


def _connected(events: queue.Queue[LinkEvent], end_s: float) -> str | None:
    """None once there is a connection, else why there is none."""
    why = "no answer"
    while True:
        event = _next(events, end_s)
        if event is None:
            return why
        if isinstance(event, Connected):
            return None
        if isinstance(event, Disconnected):
            why = event.why
            if event.refused:
                return why


def _next(events: queue.Queue[LinkEvent], end_s: float) -> LinkEvent | None:
    try:
        return events.get(timeout=max(0.0, end_s - time.monotonic()))
    except queue.Empty:
        return None
