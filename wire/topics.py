"""Every MQTT topic: built here, taken apart here, and nowhere else. docs/wire.md lists them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from wire.names import NAME_PATTERN
from wire.troubles import Refused

ROOT = "vedette"
SHARDS = 16  # of requests: depots can share these out, and devices need not know
KINDS = ("presence", "state", "telemetry", "event", "result", "snapshot", "reply", "request")
# ask: which blocks the operator's command lacks; want: which the depot lacks; answer: of the depot
OfferPart = Literal["ask", "offer", "want", "answer", "deploy"]
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


def request(fleet: str, device: str, shard: int = 0) -> str:
    """Which blocks a device lacks. shard: below SHARDS, of the file that is asked for."""
    return _device(fleet, device, "request", str(shard))


def requests(fleet: str, shard: int) -> str:
    """The pattern of what all devices ask for of the files of one shard."""
    return from_devices(fleet, "request").removesuffix("+") + str(shard)


def shard_of(key: str) -> int:
    """Of the file with this key (64 hex digits): the key modulo SHARDS."""
    return int(key[-1], SHARDS)


def sharded(topic: str, key: str) -> str:
    """Where to ask for blocks of a file. topic: of a device's requests, of any shard; one on which
    an operator or a depot asks is the same for all files."""
    place = told(topic)
    if place is None or place.kind != "request":
        return topic
    return request(place.fleet, place.device, shard_of(key))


def bell(fleet: str) -> str:
    """Retained: the signed timestamp metadata. Whoever hears it looks what is new."""
    return "/".join((ROOT, checked(fleet), "release", "timestamp"))


def block(fleet: str, key: str, number: int) -> str:
    """One block of a file. key: 64 hex digits, see wire/block/blocks.py."""
    return "/".join((ROOT, checked(fleet), "block", checked(key), str(number)))


def blocks(fleet: str) -> str:
    """The pattern of all blocks of all files."""
    return "/".join((ROOT, checked(fleet), "block", "+", "+"))


def blocks_of(fleet: str, key: str) -> str:
    """The pattern of all blocks of a file."""
    return "/".join((ROOT, checked(fleet), "block", checked(key), "+"))


def offer(fleet: str, identity: str, part: OfferPart) -> str:
    """What an operator's command and the depot say to each other."""
    return "/".join((ROOT, checked(fleet), "offer", checked(identity), part))


def offers(fleet: str, part: OfferPart) -> str:
    """The pattern of one part of all offers."""
    return "/".join((ROOT, checked(fleet), "offer", "+", part))


def from_devices(fleet: str, kind: str, device: str | None = None) -> str:
    """The pattern of what devices write of one kind; device: only this one."""
    deep = ("+",) if kind in ("result", "snapshot", "request") else ()
    who = "+" if device is None else checked(device)
    return "/".join((ROOT, checked(fleet), "device", who, kind, *deep))


def shared(group: str, pattern: str) -> str:
    """What the subscribers of a group take turns with: each message goes to one of them. The
    broker's rules see the pattern alone."""
    return "/".join(("$share", checked(group), pattern))


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


@dataclass(frozen=True)
class BlockPlace:
    """Which block of which file a topic is about."""

    key: str
    number: int


def block_place(topic: str) -> BlockPlace | None:
    """Take apart the topic of a block; None for every other topic."""
    words = topic.split("/")
    if len(words) != 5 or words[0] != ROOT or words[2] != "block" or not _NAME.match(words[3]):
        return None
    number = words[4]
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        return None
    return BlockPlace(words[3], int(number))


@dataclass(frozen=True)
class Offered:
    """Which part of which offer a topic is about."""

    id: str
    part: OfferPart


def offered(topic: str) -> Offered | None:
    """Take apart a topic of an offer; None for every other topic."""
    words = topic.split("/")
    if len(words) != 5 or words[0] != ROOT or words[2] != "offer" or not _NAME.match(words[3]):
        return None
    part = next((part for part in get_args(OfferPart) if part == words[4]), None)
    return None if part is None else Offered(words[3], part)


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
        raise Refused(f"{name!r} is no name: 1 to 64 of a-z A-Z 0-9 _ -")
    return name
