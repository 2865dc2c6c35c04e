"""RTP packets (RFC 3550) into whole compressed pictures, in order, losses noticed."""

from __future__ import annotations

import struct
import time
from typing import Protocol

from runtime.cameras.network_backlog import Backlog, Stream, Unit

CLOCK_HZ = 90_000  # of every video payload
DRIFT = 0.001  # more than any two clocks differ by: what a delay that stays is forgiven at
OLD_NS = 300_000_000
FORGIVE_NS = 3_000_000_000
HEADER = struct.Struct(">BBHII")
NEWER = 1 << 15  # numbers of 16 bits: half of them are newer, half are older


class Broken(Exception):
    """A packet that does not fit the one before it, or says nonsense."""


class SenderClock:
    """When a picture left the camera, on our clock, but for the delay of the quickest.

    Cameras stamp pictures at an even pace. One that comes later than that pace has waited on its
    way, behind a network that stood still: it is as much older. A camera whose stamps make no
    sense is believed again after three seconds of pictures that all seem old.
    """

    def __init__(self) -> None:
        self._offset_ns: float | None = None
        self._stamp = 0
        self._sent_ns = 0.0
        self._last_ns = 0
        self._old_since_ns: int | None = None

    def captured_ns(self, stamp: int, now_ns: int) -> int:
        """stamp: of the RTP header, 32 bits. now_ns: when the picture was there."""
        ticks = (stamp - self._stamp) % (1 << 32)
        ticks -= (1 << 32) if ticks >= 1 << 31 else 0
        self._stamp, self._sent_ns = stamp, self._sent_ns + ticks * 1e9 / CLOCK_HZ
        offset_ns = now_ns - self._sent_ns
        if self._offset_ns is None or self._is_senseless(now_ns):
            self._offset_ns, self._last_ns = offset_ns, now_ns
        creeping_ns = self._offset_ns + DRIFT * (now_ns - self._last_ns)
        self._offset_ns = min(offset_ns, creeping_ns)
        self._last_ns = now_ns
        late_ns = round(offset_ns - self._offset_ns)
        if late_ns <= OLD_NS:
            self._old_since_ns = None
        elif self._old_since_ns is None:
            self._old_since_ns = now_ns
        return now_ns - late_ns

    def _is_senseless(self, now_ns: int) -> bool:
        since_ns = self._old_since_ns
        return since_ns is not None and now_ns - since_ns > FORGIVE_NS


class Depacketizer(Protocol):
    """Puts the payloads of one picture together, as the codec's RFC has it."""

    def add(self, payload: memoryview, unit: Unit) -> None:
        """Append what this packet brings. Raises Broken."""

    def finish(self, unit: Unit) -> None:
        """The picture is complete: set unit.is_key. Raises Broken."""


class Receiver:
    """Takes the packets of one stream. payload_type: other packets are not for us."""

    def __init__(
        self, depacketizer: Depacketizer, payload_type: int, stream: Stream, backlog: Backlog
    ) -> None:
        self._depacketizer = depacketizer
        self._stream = stream
        self._payload_type = payload_type
        self._backlog = backlog
        self._unit = backlog.fresh()
        self._next: int | None = None
        self._stamp: int | None = None  # of the picture in hand, by the camera's clock
        self._source: int | None = None
        self._is_whole = True
        self._clock = SenderClock()

    def take(self, packet: memoryview) -> None:
        """One packet. A picture is handed on with its last one."""
        if len(packet) < HEADER.size:
            return
        flags, kind, number, stamp, source = HEADER.unpack_from(packet)
        if flags >> 6 != 2 or kind & 0x7F != self._payload_type:
            return
        if self._source is not None and source != self._source:  # the camera began anew
            self._next = None
            self._clock = SenderClock()
        self._source = source
        if self._next is not None and number != self._next:
            if (number - self._next) % (2 * NEWER) >= NEWER:
                return  # an older one that was overtaken, or comes twice
            self._is_whole = False
        self._next = (number + 1) % (2 * NEWER)
        if self._stamp is not None and stamp != self._stamp:
            self._hand_on()  # the packet that ended it was lost, or is not marked
        self._stamp = stamp
        try:
            self._depacketizer.add(_payload(packet, flags), self._unit)
        except Broken:
            self._is_whole = False
        if kind & 0x80:
            self._hand_on()

    def _hand_on(self) -> None:
        unit, stamp, self._stamp = self._unit, self._stamp or 0, None
        unit.captured_ns = self._clock.captured_ns(stamp, time.monotonic_ns())
        unit.stream = self._stream
        try:
            self._depacketizer.finish(unit)
        except Broken:
            self._is_whole = False
        if self._is_whole and unit.size:
            self._backlog.put(unit)
            self._unit = self._backlog.fresh()
        else:
            if not self._is_whole:
                self._backlog.lost()
            unit.begin()
        self._is_whole = True


def _payload(packet: memoryview, flags: int) -> memoryview:
    start, end = HEADER.size + 4 * (flags & 15), len(packet)
    if flags & 0x10:  # an extension of the header
        if start + 4 > end:
            raise Broken
        start += 4 + 4 * int.from_bytes(packet[start + 2 : start + 4], "big")
    if flags & 0x20:  # padding says its own length at the end
        end -= packet[end - 1]
    if start >= end:
        raise Broken
    return packet[start:end]
