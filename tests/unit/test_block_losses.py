"""Blocks over a carrier that loses, doubles and reorders, on a clock that is set: what it costs."""

from __future__ import annotations

import hashlib
import heapq
import io
import itertools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec
import pytest

from wire.block.asking import Asking
from wire.block.blocks import BLOCK, BlockRequest
from wire.block.bucket import Bucket
from wire.block.part import Part
from wire.block.reading import PartTaking
from wire.block.server import BlockServer, ServeTerms
from wire.block.window import Window
from wire.topics import block_place

CONTENT = random.Random(3).randbytes(300 * BLOCK + 9)
KEY = hashlib.sha256(CONTENT).hexdigest()
DIGESTS = b"".join(
    hashlib.sha256(CONTENT[at : at + BLOCK]).digest() for at in range(0, len(CONTENT), BLOCK)
)


class OneFile:
    def open(self, key: str) -> BinaryIO | None:
        return io.BytesIO(CONTENT) if key == KEY else None


@dataclass
class Faults:
    """Shares of the blocks. delay_s: of each, one way; late_s: on top, for those out of order.
    queue: as a broker's, of blocks that wait for the link; per_s: blocks that the link takes."""

    lost: float = 0.0
    doubled: float = 0.0
    late: float = 0.0
    delay_s: float = 0.02
    late_s: float = 0.03
    queue: float = math.inf
    per_s: float = 2000.0


class Carrier:
    """A world of one depot and several devices, which all hear what is published."""

    def __init__(self, faults: Faults, seed: int) -> None:
        self.now = 100.0
        self.faults = faults
        self.chance = random.Random(seed)
        self.devices: list[Device] = []
        self._order = itertools.count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self.server = BlockServer(self.publish, "yard", OneFile(), ServeTerms(), self.clock)
        self.is_cut = False

    def clock(self) -> float:
        return self.now

    def at(self, time_s: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._events, (time_s, next(self._order), call))

    def run(self, until: Callable[[], bool], most_s: float = 600.0) -> float:
        """Seconds that it took."""
        begun = self.now
        self.at(self.now, self._serve)
        while not until():
            self.now, _, call = heapq.heappop(self._events)
            assert self.now - begun < most_s, "it does not come to an end"
            call()
        return self.now - begun

    def ask(self, who: str, payload: bytes) -> None:
        def arrive() -> None:
            self.server.asked(who, payload)
            self._serve()

        if self.chance.random() >= self.faults.lost and not self.is_cut:
            self.at(self.now + self.faults.delay_s, arrive)

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> int:
        for device in self.devices:
            if device.is_listening:
                device.carry(topic, payload)
        return 0

    def _serve(self) -> None:
        while (wait_s := self.server.tick()) == 0.0:
            pass
        if wait_s < 5.0:
            self.at(self.now + wait_s, self._serve)


class Device:
    """The asking end. came_bytes: of blocks that reached it, doubles too."""

    def __init__(self, carrier: Carrier, folder: Path, name: str, rate: float = math.inf) -> None:
        self.carrier = carrier
        self.came_bytes = 0
        self.is_listening = False
        self.name = name
        self.part = Part(folder / name, len(CONTENT), KEY, DIGESTS)
        self._taking = PartTaking(self.part)
        bucket = Bucket(rate, max(BLOCK, rate / 2), carrier.clock)
        self.window = Window(32, 128)
        self.asking = Asking(
            self._taking, self.window, bucket, carrier.clock, carrier.chance.random
        )
        self._free_s = 0.0
        carrier.devices.append(self)

    def tick(self) -> None:
        self.is_listening = True

        def send(ranges: tuple[tuple[int, int], ...]) -> bool:
            self.carrier.ask(self.name, msgspec.json.encode(BlockRequest(KEY, ranges)))
            return True

        wait_s = self.asking.tick(send)
        self.carrier.at(self.carrier.now + max(0.001, wait_s), self.tick)

    def carry(self, topic: str, payload: bytes) -> None:
        faults, carrier = self.carrier.faults, self.carrier
        copies = 1 + (carrier.chance.random() < faults.doubled)
        for _ in range(copies):
            waiting = (self._free_s - carrier.now) * faults.per_s
            if carrier.is_cut or carrier.chance.random() < faults.lost or waiting > faults.queue:
                continue
            self._free_s = max(self._free_s, carrier.now) + 1 / faults.per_s
            late_s = faults.late_s if carrier.chance.random() < faults.late else 0.0
            carrier.at(self._free_s + faults.delay_s + late_s, lambda: self._hear(topic, payload))

    def _hear(self, topic: str, payload: bytes) -> None:
        place = block_place(topic)
        assert place is not None
        self.came_bytes += len(payload)
        if self._taking.take(place.number, payload):
            self.asking.arrived(place.number)
        self.tick_once()

    def tick_once(self) -> None:
        def send(ranges: tuple[tuple[int, int], ...]) -> bool:
            self.carrier.ask(self.name, msgspec.json.encode(BlockRequest(KEY, ranges)))
            return True

        self.asking.tick(send)


def test_a_good_carrier_costs_nothing(tmp_path: Path) -> None:
    carrier = Carrier(Faults(), 1)
    device = Device(carrier, tmp_path, "door")
    device.tick()
    carrier.run(lambda: device.part.is_whole)
    assert device.part.finish().read_bytes() == CONTENT
    assert device.came_bytes < 1.001 * len(CONTENT)


@pytest.mark.parametrize("seed", range(5))
def test_5_percent_lost_doubled_and_late(seed: int, tmp_path: Path) -> None:
    carrier = Carrier(Faults(lost=0.05, doubled=0.05, late=0.05), seed)
    device = Device(carrier, tmp_path, "door")
    device.tick()
    took_s = carrier.run(lambda: device.part.is_whole)
    assert device.part.finish().read_bytes() == CONTENT
    assert device.came_bytes <= 1.15 * len(CONTENT)
    assert carrier.server.published_bytes <= 1.15 * len(CONTENT)
    assert took_s < 60


@pytest.mark.parametrize("seed", range(3))
def test_only_doubles_never_make_it_ask(seed: int, tmp_path: Path) -> None:
    carrier = Carrier(Faults(doubled=1.0, late=0.5), seed)
    device = Device(carrier, tmp_path, "door")
    device.tick()
    carrier.run(lambda: device.part.is_whole)
    assert carrier.server.published_blocks == 301


def test_a_short_queue_makes_the_window_small(tmp_path: Path) -> None:
    """As max_queued_messages 10 of a broker, on a slow line."""
    carrier = Carrier(Faults(queue=10, per_s=100), 1)
    device = Device(carrier, tmp_path, "door")
    device.tick()
    took_s = carrier.run(lambda: device.part.is_whole)
    assert device.window.size <= 24
    assert carrier.server.published_bytes <= 1.6 * len(CONTENT)
    assert took_s < 60


def test_a_slow_line_is_not_filled_for_seconds(tmp_path: Path) -> None:
    """What waits in the broker delays all else: answers stay within seconds."""
    carrier = Carrier(Faults(per_s=10), 1)  # 320 KiB/s
    device = Device(carrier, tmp_path, "door")
    device.tick()
    carrier.run(lambda: device.part.is_whole)
    assert device.window.size <= 16
    assert device.came_bytes <= 1.02 * len(CONTENT)


def test_many_devices_cost_about_one_file(tmp_path: Path) -> None:
    carrier = Carrier(Faults(), 1)
    devices = [Device(carrier, tmp_path, f"d{n}") for n in range(20)]
    for place, device in enumerate(devices):
        carrier.at(carrier.now + 0.002 * place, device.tick)
    carrier.run(lambda: all(device.part.is_whole for device in devices))
    assert carrier.server.published_bytes < 1.3 * len(CONTENT)


def test_latecomers_pay_for_what_they_missed_only(tmp_path: Path) -> None:
    carrier = Carrier(Faults(per_s=100), 1)
    first, second = (Device(carrier, tmp_path, name) for name in ("a", "b"))
    first.tick()
    carrier.at(carrier.now + 0.6, second.tick)  # when the first has about a half
    carrier.run(lambda: first.part.is_whole and second.part.is_whole)
    assert carrier.server.published_bytes < 1.6 * len(CONTENT)


@pytest.mark.parametrize("per_s", [2000.0, 100.0, 30.0])
def test_devices_that_begin_one_after_the_other_share(per_s: float, tmp_path: Path) -> None:
    """20 of them within two seconds, on lines that need 0.15, 3 and 10 s for the file alone."""
    carrier = Carrier(Faults(per_s=per_s), 1)
    devices = [Device(carrier, tmp_path, f"d{n}") for n in range(20)]
    for place, device in enumerate(devices):
        carrier.at(carrier.now + 0.1 * place, device.tick)
    took_s = carrier.run(lambda: all(device.part.is_whole for device in devices))
    assert carrier.server.published_bytes < 2.5 * len(CONTENT)
    assert took_s < 4 + 2 * 301 / per_s


def test_a_herd_on_bad_lines(tmp_path: Path) -> None:
    """Each of 20 loses 5 % of what comes and of what it asks for: most blocks are lost by some."""
    carrier = Carrier(Faults(lost=0.05, per_s=100.0), 1)
    for number in range(20):
        carrier.server.asked(f"d{number}", msgspec.json.encode(BlockRequest("0" * 64, ((0, 1),))))
    devices = [Device(carrier, tmp_path, f"d{n}") for n in range(20)]
    for place, device in enumerate(devices):
        carrier.at(carrier.now + 0.1 * place, device.tick)
    took_s = carrier.run(lambda: all(device.part.is_whole for device in devices))
    assert took_s < 29
    assert carrier.server.published_bytes < 1.9 * len(CONTENT)


def test_a_speed_cap_holds(tmp_path: Path) -> None:
    carrier = Carrier(Faults(), 1)
    rate = 1024 * 1024.0
    device = Device(carrier, tmp_path, "door", rate)
    device.tick()
    took_s = carrier.run(lambda: device.part.is_whole)
    assert took_s >= (len(CONTENT) - rate / 2) / rate
    assert took_s <= 1.2 * len(CONTENT) / rate
    assert device.came_bytes < 1.01 * len(CONTENT)


def test_silence_is_met_with_ever_fewer_requests(tmp_path: Path) -> None:
    carrier = Carrier(Faults(), 1)
    device = Device(carrier, tmp_path, "door")
    asked: list[float] = []
    carrier.is_cut = True
    plain = carrier.ask

    def ask(who: str, payload: bytes) -> None:
        asked.append(carrier.now)
        plain(who, payload)

    carrier.ask = ask  # type: ignore[method-assign]
    device.tick()
    carrier.run(lambda: carrier.now > 160)
    assert 6 <= len(asked) <= 14
    carrier.is_cut = False
    device.asking.begin_again()
    carrier.run(lambda: device.part.is_whole)
    assert carrier.server.published_bytes < 1.01 * len(CONTENT)


def test_what_a_silent_line_keeps_for_later_is_little(tmp_path: Path) -> None:
    """A line that stands still loses nothing: all requests arrive when it goes on."""
    now, asked = 100.0, 0
    part = Part(tmp_path / "door", len(CONTENT), KEY, DIGESTS)
    asking = Asking(
        PartTaking(part), Window(32, 128), Bucket(math.inf, 0.0, lambda: now), lambda: now
    )

    def send(ranges: tuple[tuple[int, int], ...]) -> bool:
        nonlocal asked
        asked += sum(behind - first for first, behind in ranges)
        return True

    while now < 104.0:
        asking.tick(send)
        now += 0.02
    assert 32 < asked <= 32 + 8, "again, but not the whole window"
