"""RTP payloads of H.264 (RFC 6184) and H.265 (RFC 7798) into pictures with start codes."""

from __future__ import annotations

from runtime.cameras.network_backlog import Unit
from runtime.cameras.rtp import Broken

START = b"\0\0\0\1"


class H264:
    """Single NAL units, STAP-A and FU-A: what packetization modes 0 and 1 have."""

    HEADER = 1
    AGGREGATE, FRAGMENT = 24, 28
    KEYS = frozenset((5, 7))  # IDR; a sequence parameter set comes before each refresh

    def kind(self, header: memoryview) -> int:
        return header[0] & 31

    def is_unit(self, kind: int) -> bool:
        return 1 <= kind <= 23

    def rebuilt(self, header: memoryview, kind: int) -> bytes:
        return bytes((header[0] & 0xE0 | kind,))

    def fragment_kind(self, mark: int) -> int:
        return mark & 31


class H265:
    """Single NAL units, aggregation packets and fragmentation units, without DONL."""

    HEADER = 2
    AGGREGATE, FRAGMENT = 48, 49
    KEYS = frozenset((16, 17, 18, 19, 20, 21, 32, 33))  # IRAP; VPS and SPS

    def kind(self, header: memoryview) -> int:
        return header[0] >> 1 & 63

    def is_unit(self, kind: int) -> bool:
        return kind < 48

    def rebuilt(self, header: memoryview, kind: int) -> bytes:
        return bytes((header[0] & 0x81 | kind << 1, header[1]))

    def fragment_kind(self, mark: int) -> int:
        return mark & 63


class VideoDepacketizer:
    """Appends NAL units, each after a start code, and knows key frames."""

    def __init__(self, codec: H264 | H265) -> None:
        self._codec = codec
        self._is_key = False
        self._is_inside = False  # of a unit that comes in fragments

    def add(self, payload: memoryview, unit: Unit) -> None:
        codec = self._codec
        if len(payload) <= codec.HEADER:
            raise Broken
        kind = codec.kind(payload)
        if codec.is_unit(kind):
            self._is_inside = False
            self._append(unit, kind, payload)
        elif kind == codec.AGGREGATE:
            self._is_inside = False
            self._split(payload[codec.HEADER :], unit)
        elif kind == codec.FRAGMENT:
            self._go_on(payload, unit)
        else:
            raise Broken

    def finish(self, unit: Unit) -> None:
        unit.is_key, self._is_key = self._is_key, False
        if self._is_inside:
            self._is_inside = False
            raise Broken

    def _append(self, unit: Unit, kind: int, *parts: memoryview | bytes) -> None:
        self._is_key |= kind in self._codec.KEYS
        for part in (START, *parts):
            if not unit.add(part):
                raise Broken

    def _split(self, rest: memoryview, unit: Unit) -> None:
        while rest:
            size = int.from_bytes(rest[:2], "big")
            one, rest = rest[2 : 2 + size], rest[2 + size :]
            if size < self._codec.HEADER or len(one) < size:
                raise Broken
            self._append(unit, self._codec.kind(one), one)

    def _go_on(self, payload: memoryview, unit: Unit) -> None:
        codec = self._codec
        mark, content = payload[codec.HEADER], payload[codec.HEADER + 1 :]
        if mark & 0x80:
            kind = codec.fragment_kind(mark)
            self._append(unit, kind, codec.rebuilt(payload, kind), content)
        elif not self._is_inside or not unit.add(content):
            raise Broken
        self._is_inside = not mark & 0x40
