"""Removes from the broker what it keeps of devices that are no more: presence and state, both
retained. Whoever follows the fleet hears it, and forgets them too."""

from __future__ import annotations

import queue
import secrets
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

from fleet.folder import FleetFolder
from wire import topics
from wire.link import Connected, Disconnected, Link, LinkEvent, Received
from wire.messages import Presence, parse
from wire.troubles import Refused

Outcome = Literal["removed", "nothing", "online", "refused", "unreachable"]
ECHO_S = 3.0  # a broker that forbids says nothing, or says nothing of it
QUIET_S = 1.0  # what a broker keeps comes at once; after so long without any, that was all


@dataclass(frozen=True)
class Left:
    """removed: the broker keeps nothing of it any more. nothing: it kept nothing of it. online: it
    is there, and stays. refused: the broker's rules do not let us, yet. unreachable: no connection
    in time. why: in words. is_kept: whether the broker kept anything of it."""

    outcome: Outcome
    why: str = ""
    is_kept: bool = False


def forget(fleet: FleetFolder, devices: Collection[str], patience_s: float) -> dict[str, Left]:
    """Whatever they say of themselves. patience_s: for the connection."""
    return _forget(fleet, devices, patience_s, devices)


def forget_offline(
    fleet: FleetFolder, devices: Collection[str], patience_s: float
) -> dict[str, Left]:
    """Those that are not online."""
    return _forget(fleet, devices, patience_s, ())


def _forget(
    fleet: FleetFolder, devices: Collection[str], patience_s: float, anyway: Collection[str]
) -> dict[str, Left]:
    """anyway: of these, also those that are online."""
    from wire.mqtt.mqtt import MqttLink

    kept = {name: _topics(fleet, name) for name in devices}
    events: queue.Queue[LinkEvent] = queue.Queue()
    with closing(MqttLink(fleet.broker, f"leave-{secrets.token_hex(8)}", events.put)) as link:
        for topic in (topic for both in kept.values() for topic in both):
            link.subscribe(topic)
        link.open()
        why = _connected(events, time.monotonic() + patience_s)
        if why is not None:
            return dict.fromkeys(devices, Left("unreachable", why))
        there = _kept_now(events)
        online = {name for name, both in kept.items() if _is_online(there.get(both[0], b""))}
        found = {name: Left("online") for name in online - set(anyway)}
        gone = {name: both for name, both in kept.items() if name not in found}
        refused = _remove(link, events, gone)
    for name, both in gone.items():
        is_kept = any(map(there.get, both))
        if name in refused:
            found[name] = Left("refused", refused[name], is_kept)
        else:
            found[name] = Left("removed" if is_kept else "nothing", is_kept=is_kept)
    return found


def _topics(fleet: FleetFolder, name: str) -> tuple[str, str]:
    return topics.presence(fleet.name, name), topics.state(fleet.name, name)


def _remove(
    link: Link, events: queue.Queue[LinkEvent], gone: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Which the broker did not let us remove, and why."""
    waiting = {topic: name for name, both in gone.items() for topic in both}
    for topic in waiting:
        link.publish(topic, b"", retain=True)
    why = "the broker's rules do not allow it yet"
    end_s = time.monotonic() + ECHO_S
    while waiting and (event := _next(events, end_s)) is not None:
        if isinstance(event, Disconnected):
            why = event.why
            break
        if isinstance(event, Received) and not event.payload and event.topic in waiting:
            del waiting[event.topic]  # we hear ourselves: it was let through
            end_s = time.monotonic() + ECHO_S
    return dict.fromkeys(waiting.values(), why)


def _kept_now(events: queue.Queue[LinkEvent]) -> dict[str, bytes]:
    """What the broker keeps, by topic."""
    there = {}
    while (event := _next(events, time.monotonic() + QUIET_S)) is not None:
        if isinstance(event, Received):
            there[event.topic] = event.payload
        if isinstance(event, Disconnected):
            break
    return there


def _is_online(payload: bytes) -> bool:
    try:
        return parse(payload, Presence).online
    except Refused:
        return False


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
