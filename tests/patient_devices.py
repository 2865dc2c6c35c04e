"""Devices that keep each record until it is acknowledged, as real ones do, but quicker."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType

import msgspec

from tests.fleet_talk import Talker
from tests.load import Wire, publish
from wire import topics
from wire.messages import Ack, Telemetry, to_json

TURN_S = 0.05
AGAIN_S = 2.0  # after which what is not acknowledged is sent again


@dataclass
class Spool:
    """Of one device. records: that are not acknowledged; sent_s: when each was sent last."""

    talker: Talker
    records: dict[int, Telemetry] = field(default_factory=dict)
    sent_s: dict[int, float] = field(default_factory=dict)


class PatientDevices:
    """`with` begins them; each makes a record in every turn until `settle`."""

    def __init__(self, port: int, fleet: str, count: int) -> None:
        self._port = port
        self._fleet = fleet
        self._spools = {
            f"door-{number:03}": Spool(Talker(f"door-{number:03}", frames=5))
            for number in range(count)
        }
        self._lock = threading.Lock()
        self._wire: Wire | None = None
        self._is_making = True
        self._over = threading.Event()
        self._sender = threading.Thread(target=self._send)
        self._hearer = threading.Thread(target=self._hear)

    def __enter__(self) -> PatientDevices:
        self._sender.start()
        self._hearer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._sender.join()  # who else would connect once more
        self._hang_up(self._wire)
        self._hearer.join()

    @property
    def made(self) -> dict[str, int]:
        """Records, by device."""
        with self._lock:
            return {name: spool.talker.seq for name, spool in self._spools.items()}

    @property
    def acked(self) -> int:
        with self._lock:
            return sum(s.talker.seq - len(s.records) for s in self._spools.values())

    def until_acked(self, count: int, patience_s: float = 60.0) -> None:
        until_s = time.monotonic() + patience_s
        while self.acked < count:
            assert time.monotonic() < until_s, f"{self.acked} acknowledged, not {count}"
            time.sleep(0.02)

    def settle(self, patience_s: float = 90.0) -> None:
        """Make no more, and wait until all is acknowledged."""
        self._is_making = False
        time.sleep(2 * TURN_S)
        self.until_acked(sum(self.made.values()), patience_s)

    def _send(self) -> None:
        while not self._over.wait(TURN_S):
            packets = self._turn()
            wire = self._connected()
            if wire is not None and packets:
                try:
                    wire.send(b"".join(packets))
                except OSError:
                    self._hang_up(wire)

    def _turn(self) -> list[bytes]:
        now_s = time.monotonic()
        packets = []
        with self._lock:
            for name, spool in self._spools.items():
                if self._is_making:
                    record = spool.talker.record(time.time())
                    spool.records[record.seq] = record
                if not spool.records:
                    continue
                oldest = min(spool.records)
                due = [s for s in spool.records if now_s - spool.sent_s.get(s, -99.0) > AGAIN_S]
                for seq in due[:20]:
                    spool.sent_s[seq] = now_s
                    told = msgspec.structs.replace(spool.records[seq], oldest=oldest)
                    topic = topics.telemetry(self._fleet, name).encode()
                    packets.append(publish(topic, to_json(told), seq % 65_000 + 1))
        return packets

    def _connected(self) -> Wire | None:
        if self._wire is None:
            with suppress(OSError):
                wire = self._wire = Wire(self._port, "patient")
                wire.subscribe(f"vedette/{self._fleet}/to/+/ack")
        return self._wire

    def _hang_up(self, wire: Wire | None) -> None:
        """That one; the other thread may have the next one already."""
        if wire is not None:
            wire.close()
            if self._wire is wire:
                self._wire = None

    def _hear(self) -> None:
        while not self._over.is_set():
            wire = self._wire
            if wire is None:
                time.sleep(TURN_S)
                continue
            try:
                packets = wire.packets()
            except OSError:
                packets = []
            if not packets:
                self._hang_up(wire)
            for first, body in packets:
                if first & 0xF0 == 0x30:
                    self._acked(body)

    def _acked(self, body: bytes) -> None:
        end = 2 + int.from_bytes(body[:2], "big")
        name = body[2:end].split(b"/")[3].decode()
        ack = msgspec.json.decode(body[end:], type=Ack)
        with self._lock:
            spool = self._spools[name]
            assert ack.seq <= spool.talker.seq
            for seq in [seq for seq in spool.records if seq <= ack.seq]:
                del spool.records[seq]
