"""Bytes from the broker, packet by packet: the messages that come in thousands are taken out here,
and everything else is given to somebody who knows all packets."""

from __future__ import annotations

from collections.abc import Callable

from wire.link import Received
from wire.mqtt.packets import is_bulk, packet_end, plain_publish

LARGEST = 1024 * 1024  # bytes of one packet: no broker may fill our memory
FIRST_BYTES = 8 * 1024  # taken from the socket at once, at first
MANY_BYTES = 256 * 1024  # when much comes: several packets

Take = Callable[[Received], None]


class Inward:
    """Fill it, then `sort` and let the share be taken, in turns, until there is no share."""

    def __init__(self, take: Take) -> None:
        """take: what to do with a message."""
        self.take = take
        self._buffer = bytearray(FIRST_BYTES)
        self._view = memoryview(self._buffer)
        self._begin = 0  # what is before it was used
        self._end = 0
        self._share = 0  # bytes of the next packet that are not ours, come or not
        self._was_full = False  # when it was filled last

    @property
    def left(self) -> int:
        """Bytes that were not used."""
        return self._end - self._begin

    def fill(self, receive_into: Callable[[memoryview], int]) -> int:
        """Receive once. Returns how many bytes came; 0: the other side closed."""
        came = receive_into(self._view[self._end :])
        self._end += came
        self._was_full = self._end == len(self._buffer)
        return came

    def sort(self, has_properties: bool) -> bool:
        """Take out messages up to the next packet that is none. Whether bytes of one are there.

        has_properties: MQTT 5.
        """
        while not self._share and self._begin < self._end:
            ends = packet_end(self._view[self._begin : min(self._end, self._begin + 5)])
            if ends is None:
                break
            body, size = ends
            if size > LARGEST or not is_bulk(self._buffer[self._begin]):
                self._share = size
            elif self._begin + size > self._end:
                break
            else:
                packet = self._view[self._begin + body : self._begin + size]
                message = plain_publish(self._buffer[self._begin], packet, has_properties)
                if message is None:
                    self._share = size
                else:
                    self._begin += size
                    self.take(message)
        if not self._share:
            self._make_room()
        return self._share > 0 and self._begin < self._end

    def give(self, most: int) -> bytes:
        """At most so many bytes of the packet that is not ours. Raises BlockingIOError: there are
        none now."""
        count = min(most, self._share, self._end - self._begin)
        if not count:
            raise BlockingIOError
        given = bytes(self._view[self._begin : self._begin + count])
        self._begin += count
        self._share -= count
        if self._begin == self._end:
            self._begin = self._end = 0
        return given

    def _make_room(self) -> None:
        """For the rest of the packet that has begun to come."""
        rest = self._end - self._begin
        ends = packet_end(self._view[self._begin : min(self._end, self._begin + 5)])
        wanted = min(LARGEST, ends[1]) if ends else 0
        if self._was_full and len(self._buffer) < MANY_BYTES:
            wanted = max(wanted, len(self._buffer) + 1)
            self._was_full = False
        if wanted > len(self._buffer):
            larger = bytearray(max(wanted, 2 * len(self._buffer)))
            larger[:rest] = self._view[self._begin : self._end]
            self._buffer, self._view = larger, memoryview(larger)
        elif self._begin:
            self._view[:rest] = bytes(self._view[self._begin : self._end])
        self._begin, self._end = 0, rest
