"""Very many devices in one cheap process: two connections, messages made beforehand.

Each device sends its records in order and keeps none: what is not acknowledged in the end is lost.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import socket
import struct
import sys
import threading
import time
from dataclasses import dataclass, field

import msgspec

from tests.fleet_talk import Talker, stages
from wire import topics
from wire.messages import Ack, StageCounts, Telemetry, body_of

SHAPES = 200  # different histograms
AHEAD = 4000  # messages that the broker has not taken yet
_TIME, _UPTIME = 123456789.25, 987654321.75  # found and replaced in what is made beforehand


@dataclass
class Device:
    """Of which only numbers change."""

    name: str
    topic: bytes
    before: bytes
    between: bytes
    after: bytes
    seq: int = 0
    acked: int = 0
    sent_s: dict[int, float] = field(default_factory=dict)

    def payload(self, now_s: float) -> bytes:
        self.seq += 1
        head = b'{"spool":"load-%b","seq":%d,"oldest":%d,' % (
            self.name.encode(), self.seq, self.acked + 1,
        )  # fmt: skip
        middle = b"%.3f%b%.3f" % (now_s, self.between, now_s - 1e9)
        return head + self.before + middle + self.after


def make(fleet: str, count: int, frames: int, seconds: float, prefix: str) -> list[Device]:
    chance = random.Random(5)
    shapes = [stages(chance, frames) for _ in range(SHAPES)]
    bodies = [_body(shape, frames, seconds) for shape in shapes]
    found = []
    for number in range(count):
        name = f"{prefix}-{number:05}"
        topic = topics.telemetry(fleet, name).encode()
        found.append(Device(name, topic, *bodies[number % SHAPES]))
    return found


def _body(shape: StageCounts, frames: int, seconds: float) -> tuple[bytes, bytes, bytes]:
    record: Telemetry = Talker("x", spool="", seq=-1, frames=1, seconds=seconds).record(_TIME, 0)
    lane = msgspec.structs.replace(record.pipelines["lane"], stages=shape, frames=frames)
    body = body_of(msgspec.structs.replace(record, uptime_s=_UPTIME, pipelines={"lane": lane}))
    before, rest = body[1:].split(b"%.2f" % _TIME)
    between, after = rest.split(b"%.2f" % _UPTIME)
    return before, between, after


class Wire:
    """MQTT 3.1.1, as little of it as is needed."""

    def __init__(self, port: int, client_id: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        name = client_id.encode()
        body = b"\0\4MQTT\4\2\0\0" + struct.pack(">H", len(name)) + name
        self._left = b""
        try:
            self._socket.sendall(bytes((0x10, len(body))) + body)
            answer = self.packets()
            if not answer:
                raise ConnectionError("the broker hung up")
        except OSError:
            self.close()
            raise
        assert answer[0][0] == 0x20

    def subscribe(self, pattern: str) -> None:
        text = pattern.encode()
        body = b"\0\1" + struct.pack(">H", len(text)) + text + b"\0"
        self._socket.sendall(bytes((0x82, len(body))) + body)

    def send(self, packets: bytes) -> None:
        self._socket.sendall(packets)

    def packets(self) -> list[tuple[int, bytes]]:
        """The next ones: their first bytes, and what follows the length. Empty: it is closed."""
        while True:
            came = self._socket.recv(1 << 18)
            if not came:
                return []
            found, place, buffer = [], 0, self._left + came
            while True:
                size, at, shift = 0, place + 1, 0
                while at < len(buffer):
                    size |= (buffer[at] & 127) << shift
                    shift += 7
                    at += 1
                    if buffer[at - 1] < 128:
                        break
                else:
                    break
                if at + size > len(buffer):
                    break
                found.append((buffer[place], buffer[at : at + size]))
                place = at + size
            self._left = buffer[place:]
            if found:
                return found

    def close(self) -> None:
        with contextlib.suppress(OSError):  # the broker was first
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def publish(topic: bytes, payload: bytes, mid: int) -> bytes:
    """QoS 1."""
    size = 4 + len(topic) + len(payload)
    head = bytearray((0x32,))
    while size > 127:
        head.append(size & 127 | 128)
        size >>= 7
    head.append(size)
    return b"".join((head, struct.pack(">H", len(topic)), topic, struct.pack(">H", mid), payload))


class Load:
    """Sends at a steady rate."""

    def __init__(self, port: int, fleet: str, devices: list[Device], tag: str) -> None:
        self._devices = devices
        self._by_name = {device.name: device for device in devices}
        self._fleet = fleet
        self._out = Wire(port, f"load-{tag}")
        self._acks = Wire(port, f"acks-{tag}")
        self._acks.subscribe(f"vedette/{fleet}/to/+/ack")
        self._taken = self.sent = 0
        self.delays_s: list[float] = []
        self._threads = [
            threading.Thread(target=self._hear_broker, daemon=True),
            threading.Thread(target=self._hear_acks, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def run(self, rate: float, seconds: float) -> float:
        """Returns how long it took."""
        began_s = time.monotonic()
        while (passed_s := time.monotonic() - began_s) < seconds:
            due = int(min(rate * passed_s, self._taken + AHEAD))
            batch = []
            wall_s = time.time()
            while self.sent < due:
                device = self._devices[self.sent % len(self._devices)]
                batch.append(publish(device.topic, device.payload(wall_s), self.sent % 65_000 + 1))
                device.sent_s[device.seq] = wall_s
                self.sent += 1
            if batch:
                self._out.send(b"".join(batch))
            time.sleep(0.01)
        return time.monotonic() - began_s

    def wait(self, patience_s: float) -> int:
        """Until everything is acknowledged. Returns how many records are not."""
        until_s = time.monotonic() + patience_s
        while self.missing() and time.monotonic() < until_s:
            time.sleep(0.05)
        return self.missing()

    def missing(self) -> int:
        return sum(device.seq - device.acked for device in self._devices)

    def close(self) -> None:
        self._out.close()
        self._acks.close()
        for thread in self._threads:
            thread.join()

    def _hear_broker(self) -> None:
        try:
            while packets := self._out.packets():
                self._taken += sum(first == 0x40 for first, _ in packets)
        except OSError:
            return

    def _hear_acks(self) -> None:
        try:
            while packets := self._acks.packets():
                now_s = time.time()
                for first, body in packets:
                    if first & 0xF0 == 0x30:
                        self._acked(body, now_s)
        except OSError:
            return

    def _acked(self, body: bytes, now_s: float) -> None:
        length = struct.unpack_from(">H", body)[0]
        device = self._by_name.get(body[2 : 2 + length].split(b"/")[3].decode())
        if device is None:
            return
        ack = msgspec.json.decode(body[2 + length :], type=Ack)
        for seq in range(device.acked + 1, ack.seq + 1):
            self.delays_s.append(now_s - device.sent_s.pop(seq))
        device.acked = max(device.acked, ack.seq)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--fleet", default="yard")
    parser.add_argument("--devices", type=int, default=20_000)
    parser.add_argument("--rate", type=float, default=2000.0, help="messages a second")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--frames", type=int, default=300, help="in a record")
    parser.add_argument("--period", type=float, default=10.0, help="that a record covers")
    parser.add_argument("--prefix", default="load")
    parser.add_argument("--patience", type=float, default=30.0)
    words = parser.parse_args()
    devices = make(words.fleet, words.devices, words.frames, words.period, words.prefix)
    load = Load(words.port, words.fleet, devices, words.prefix)
    cpu_s = time.process_time()
    took_s = load.run(words.rate, words.seconds)
    cpu_s = time.process_time() - cpu_s
    missing = load.wait(words.patience)
    load.close()
    delays = sorted(load.delays_s) or [float("nan")]
    report = {
        "sent": load.sent, "per_s": load.sent / took_s, "missing": missing,
        "ack_s": [delays[len(delays) // 2], delays[len(delays) * 99 // 100], delays[-1]],
        "cpu": cpu_s / took_s,
    }  # fmt: skip
    print(json.dumps(report), flush=True)
    return 0 if missing == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
