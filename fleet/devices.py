"""What is known of each device of a fleet, from what arrives: pure, no broker, no terminal.

Records come twice, late and out of order, and a device's clock may be off by years. So a record is
known by (spool, seq), the newest is the one with the highest seq of its spool, of several spools
the one of this boot, and moments are worked out on the watcher's clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from msgspec import Struct

from fleet.moments import Moments
from fleet.seen import Seen
from wire import topics
from wire.histogram import Counts, merge
from wire.link import Received
from wire.messages import (
    Event,
    Presence,
    Reply,
    State,
    Telemetry,
    Window,
    parse,
    to_json,
)
from wire.results import Result
from wire.troubles import Refused

# a broker that lets anybody in may be told any number of names, and texts of any size
MOST_DEVICES = 20_000
MOST_BYTES = 256 * 1024 * 1024  # of all payloads that are known now
MOST_SPOOLS = 8  # of one device: every death of its agent may begin one
MOST_RECORDS = 4  # that together say how a device is: one, unless it has many pipelines
MOST_RESULTS = 16  # pipelines of one device
MOST_EVENTS = 100
LONGEST = 300  # characters of why something cannot be read
STALE_WINDOWS = 3  # a pipeline that is in none of so many windows is gone

KINDS: dict[str, type[Struct]] = {
    "presence": Presence,
    "state": State,
    "telemetry": Telemetry,
    "event": Event,
    "result": Result,
    "reply": Reply,
}
RETAINED = ("presence", "state")


@dataclass(frozen=True)
class News:
    """One thing that was not known before. message: None if garbage says why it cannot be read,
    or if the retained message was taken away. text: the message as JSON."""

    device: str
    kind: str
    part: str
    retained: bool
    message: Struct | None
    text: bytes = b"null"
    garbage: str | None = None


@dataclass(frozen=True)
class Happened:
    """An event, and when it was on the watcher's clock (Unix time, as well as can be told)."""

    at_s: float
    device: str
    event: Event


@dataclass
class Device:
    """What is known of one device. What was not heard yet is None.

    online_s: when its presence changed, on the watcher's clock, if that was while we watched.
    records: that say how its pipelines are, the newest first. windows: the newest of each pipeline
    that is still there. reached_s: when the newest record was made, on the watcher's clock;
    clock_off_s: how far the device's clock then was ahead. garbage: payloads that could not be
    read. version: grows with everything that is heard. sizes: bytes that are known, by kind.
    """

    name: str
    presence: Presence | None = None
    online_s: float | None = None
    state: State | None = None
    records: list[Telemetry] = field(default_factory=list)
    windows: dict[str, Window] = field(default_factory=dict)
    reached_s: float | None = None
    clock_off_s: float = 0.0
    results: dict[str, Result] = field(default_factory=dict)
    garbage: int = 0
    garbled: str | None = None
    version: int = 0
    spools: dict[str, Seen] = field(default_factory=dict)
    moments: Moments = field(default_factory=Moments)
    payloads: dict[str, bytes] = field(default_factory=dict)  # of what is retained
    sizes: dict[str, int] = field(default_factory=dict)

    @property
    def newest(self) -> Telemetry | None:
        return self.records[0] if self.records else None

    @property
    def backlog(self) -> int:
        """Records that the device still holds beside the newest that it sent."""
        return 0 if self.newest is None else max(0, self.newest.seq - self.newest.oldest)

    def take(self, record: Telemetry, at_s: float) -> bool:
        """Put a record, which was made at `at_s`, into what is known. Whether it is the newest."""
        newest = self.newest
        if newest is not None and record.spool != newest.spool:
            if not self._is_newer(record, newest, at_s):
                return False
            self.records = []
        ranked = sorted([record, *self.records], key=lambda each: -each.seq)
        self.records = _telling(ranked)
        windows = {n: w for each in reversed(self.records) for n, w in each.pipelines.items()}
        self.windows = dict(sorted(windows.items()))
        return ranked[0] is record

    def _is_newer(self, record: Telemetry, newest: Telemetry, at_s: float) -> bool:
        """Of two records of different spools, whose numbers say nothing."""
        if record.boot == newest.boot:
            return record.uptime_s > newest.uptime_s
        if self.presence is not None and self.presence.boot in (record.boot, newest.boot):
            return record.boot == self.presence.boot
        return self.reached_s is None or at_s > self.reached_s


def _telling(ranked: list[Telemetry]) -> list[Telemetry]:
    """Those of the records, the newest first, that say something which no newer one says: a device
    of many pipelines cuts its telemetry into several records."""
    newest = ranked[0]
    patience_s = STALE_WINDOWS * max(newest.window_s, 10.0)
    telling, told = [newest], set(newest.pipelines)
    for record in ranked[1:]:
        is_there = record.boot == newest.boot and newest.uptime_s - record.uptime_s <= patience_s
        if is_there and not told.issuperset(record.pipelines) and len(telling) < MOST_RECORDS:
            telling.append(record)
            told.update(record.pipelines)
    return telling


class Fleet:
    """Every device that was heard. now_s: Unix time by the watcher's clock."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.devices: dict[str, Device] = {}
        self.events: list[Happened] = []  # the newest last
        self.records = 0
        self.duplicates = 0
        self.garbage = 0
        self.beyond = 0  # messages of devices for which there was no room
        self.bytes = 0  # of what is known
        self.version = 0

    def hear(self, message: Received, now_s: float) -> News | None:
        """Take in a message. None: it says nothing new. Never raises, whatever the payload is."""
        self.version += 1
        told = topics.told(message.topic)
        if told is None or told.kind not in KINDS:
            self.garbage += 1
            why = "no device writes to such a topic"
            return News("", "unknown", message.topic[:LONGEST], message.retained, None, garbage=why)
        device = self._device(told.device, told.kind, message.payload)
        if device is None:
            return None
        device.version += 1
        if told.kind in RETAINED:
            if device.payloads.get(told.kind) == message.payload:
                return None  # sent again on a new connection
            if not message.payload:
                self._clear(device, told.kind)
                return News(device.name, told.kind, "", message.retained, None)
        try:
            heard, text = _read(message.payload, KINDS[told.kind])
        except Refused as refused:
            why = str(refused)[:LONGEST]
            self.garbage += 1
            device.garbage += 1
            device.garbled = f"{told.kind}: {why}"
            return News(device.name, told.kind, told.part, message.retained, None, garbage=why)
        if told.kind in RETAINED:
            device.payloads[told.kind] = message.payload
        if not self._take(device, heard, message, now_s):
            self.duplicates += 1
            return None
        return News(device.name, told.kind, told.part, message.retained, heard, text)

    def _device(self, name: str, kind: str, payload: bytes) -> Device | None:
        """Whom a message is about. None: it says nothing, or there is no room to keep it."""
        device = self.devices.get(name)
        if device is None:
            if kind in RETAINED and not payload:
                return None
            if len(self.devices) >= MOST_DEVICES:
                self.beyond += 1
                return None
            device = self.devices[name] = Device(name)
        if len(payload) > device.sizes.get(kind, 0) and self.bytes + len(payload) > MOST_BYTES:
            self.beyond += 1
            return None
        return device

    def _take(self, device: Device, heard: Struct, message: Received, now_s: float) -> bool:
        """Put what a device said into what is known of it. False: it was known already."""
        size = len(message.payload)
        if isinstance(heard, Presence):
            before = device.presence
            if before is None or before.online != heard.online:
                device.online_s = None if message.retained else now_s
            device.presence = heard
            self._weigh(device, "presence", size)
        elif isinstance(heard, State):
            device.state = heard
            self._weigh(device, "state", size)
        elif isinstance(heard, Result):
            if heard.pipeline in device.results or len(device.results) < MOST_RESULTS:
                device.results[heard.pipeline] = heard
                self._weigh(device, f"result {heard.pipeline}", size)
        elif isinstance(heard, Telemetry | Event):
            return self._record(device, heard, size, now_s)
        return True

    def _record(self, device: Device, record: Telemetry | Event, size: int, now_s: float) -> bool:
        seen = device.spools.pop(record.spool, None) or Seen()
        device.spools[record.spool] = seen  # the last one now
        if len(device.spools) > MOST_SPOOLS:
            del device.spools[next(iter(device.spools))]
        if not seen.add(record.seq):
            return False
        self.records += 1
        moment = device.moments.place(record, now_s)
        if isinstance(record, Event):
            self._happened(Happened(moment.at_s, device.name, record))
            return True
        if device.take(record, moment.at_s):
            device.reached_s, device.clock_off_s = moment.at_s, moment.clock_off_s
        # each of them as large as the largest was, which is no less than the truth
        largest = max(size, device.sizes.get("largest", 0))
        device.sizes["largest"] = largest
        self._weigh(device, "telemetry", largest * len(device.records))
        return True

    def _weigh(self, device: Device, kind: str, size: int) -> None:
        self.bytes += size - device.sizes.get(kind, 0)
        device.sizes[kind] = size

    def _happened(self, happened: Happened) -> None:
        place = len(self.events)
        while place and self.events[place - 1].at_s > happened.at_s:
            place -= 1
        self.events.insert(place, happened)
        del self.events[:-MOST_EVENTS]

    def _clear(self, device: Device, kind: str) -> None:
        """A retained message was taken away: an operator removed the device."""
        device.payloads.pop(kind, None)
        self._weigh(device, kind, 0)
        if kind == "state":
            device.state = None
        else:
            for each in device.sizes.keys() - {"largest"}:
                self._weigh(device, each, 0)
            del self.devices[device.name]

    def latency(self, stage: str) -> Counts:
        """One histogram of one stage over the newest windows of all pipelines and devices."""
        return merged(
            getattr(window.stages, stage)
            for device in self.devices.values()
            for window in device.windows.values()
        )


def merged(many: Iterable[Counts]) -> Counts:
    """All counts in one; those that contradict themselves do not count."""
    return merge(c for c in many if c.minimum_us is not None and c.maximum_us is not None)


def _read(payload: bytes, kind: type[Struct]) -> tuple[Struct, bytes]:
    """A message, and its JSON written anew. Raises Refused."""
    heard = parse(payload, kind)
    try:
        return heard, to_json(heard)
    except (OverflowError, RecursionError):  # whole numbers of hundreds of digits
        raise Refused(f"not a {kind.__name__}: a number is out of all range") from None
