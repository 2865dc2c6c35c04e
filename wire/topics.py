"""Every MQTT topic: built here, taken apart here, and nowhere else. docs/wire.md lists them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wire.names import NAME_PATTERN
from wire.troubles import Refused

ROOT = "vedette"
KINDS = ("presence", "state", "telemetry", "event", "result", "snapshot", "reply", "request")
_NAME = re.compile(NAME_PATTERN)


def _device(fleet: str, device: str, *rest: str) -> str:
    return "/".join((ROOT, checked(fleet), "device", checked(device), *rest))


def presence(fleet: str, device: str) -> str:
    return _device(fleet, device, "presence")


def state(fleet: str, device: str) -> str:
    return _device(fleet, device, "state")


def telemetry(fleet: str, device: str) -> str:
    return _device(fleet, device, "telemetry")


def event(fleet: str, device: str) -> str:
    return _device(fleet, device, "event")


def result(fleet: str, device: str, pipeline: str) -> str:
    return _device(fleet, device, "result", checked(pipeline))


def snapshot(fleet: str, device: str, identity: str) -> str:
    return _device(fleet, device, "snapshot", checked(identity))


def reply(fleet: str, device: str) -> str:
    return _device(fleet, device, "reply")


def command(fleet: str, device: str) -> str:
    return "/".join((ROOT, checked(fleet), "to", checked(device), "command"))


def ack(fleet: str, device: str) -> str:
    return "/".join((ROOT, checked(fleet), "to", checked(device), "ack"))


def from_devices(fleet: str, kind: str, device: str | None = None) -> str:
    """The pattern of what devices write of one kind; device: only this one."""
    deep = ("+",) if kind in ("result", "snapshot", "request") else ()
    who = "+" if device is None else checked(device)
    return "/".join((ROOT, checked(fleet), "device", who, kind, *deep))


@dataclass(frozen=True)
class Told:
    """What a topic under `device/` says: who wrote what. part: pipeline or snapshot id, else ""."""

    fleet: str
    device: str
    kind: str
    part: str


def told(topic: str) -> Told | None:
    """Take apart a topic that a device wrote; None for every other topic."""
    words = topic.split("/")
    if len(words) not in (5, 6) or words[0] != ROOT or words[2] != "device":
        return None
    names = (words[1], words[3], *words[5:])
    if words[4] not in KINDS or not all(_NAME.match(name) for name in names):
        return None
    return Told(words[1], words[3], words[4], words[5] if len(words) == 6 else "")


def matches(pattern: str, topic: str) -> bool:
    """Whether an MQTT topic filter (with + and #) takes a topic."""
    wanted, words = pattern.split("/"), topic.split("/")
    if wanted[-1] == "#":
        wanted = wanted[:-1]
        words = words[: len(wanted)]
    return len(wanted) == len(words) and all(
        want in ("+", word) for want, word in zip(wanted, words, strict=True)
    )


def checked(name: str) -> str:
    """A name that may stand in a topic. Raises Refused for every other text."""
    if not _NAME.match(name):
        raise Refused(f"{name!r} is no name: 1 to 64 letters, digits, '_' and '-'")
    return name
