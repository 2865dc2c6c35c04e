"""A model's bytes over a real broker, between real processes: cut, killed, restarted, squeezed."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers import Mosquitto, TcpGate
from tests.story.block_steps import COUNTER, counted, digests

SIZE = 20_000_000
HEADS = 9  # bytes of each payload before the block
CONTENT = random.Random(5).randbytes(SIZE)
KEY = hashlib.sha256(CONTENT).hexdigest()
END_S = 60.0


class Ends:
    """A depot and a device, each a process, with a broker between them."""

    def __init__(self, folder: Path, content: bytes = CONTENT) -> None:
        self.key = hashlib.sha256(content).hexdigest()
        self.shelf = folder / "shelf"
        self.here = folder / "device"
        self.shelf.mkdir()
        self.here.mkdir()
        (self.shelf / self.key).write_bytes(content)
        want = COUNTER.pack(len(content)) + digests(content)
        (self.here / f"{self.key}.want").write_bytes(want)
        self._running: list[subprocess.Popen[str]] = []

    def start(self, *words: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.story.block_steps", *map(str, words)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._running.append(process)
        return process

    def serve(self, port: int) -> subprocess.Popen[str]:
        depot = self.start("serve", port, "--folder", self.shelf)
        assert depot.stdout is not None
        assert depot.stdout.readline() == "ready\n"
        return depot

    def fetch(self, port: int, *more: object) -> subprocess.Popen[str]:
        return self.start("fetch", port, "--folder", self.here, "--key", self.key, *more)

    @property
    def received_bytes(self) -> int:
        counter = self.here / "received"
        return counted(counter) if counter.exists() and counter.stat().st_size else 0

    @property
    def got(self) -> bytes:
        return (self.here / "got").read_bytes()

    def wait_received(self, least: int, process: subprocess.Popen[str]) -> None:
        """Until so many bytes came, or the process is done."""
        until = time.monotonic() + END_S
        while self.received_bytes < least and process.poll() is None:
            assert time.monotonic() < until, f"{self.received_bytes} of {least} bytes came"
            time.sleep(0.002)

    def end(self) -> None:
        for process in self._running:
            kill(process)


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def done(process: subprocess.Popen[str]) -> dict[str, object]:
    told, _ = process.communicate(timeout=END_S)
    assert process.returncode == 0, told
    found: dict[str, object] = json.loads(told)
    return found


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[Ends]:
    made = Ends(tmp_path)
    yield made
    made.end()


@pytest.mark.slow
@pytest.mark.parametrize("killed_every", [3, 1])
def test_cut_20_times_it_transfers_little_more_than_its_size(killed_every: int, ends: Ends) -> None:
    """20 MB; the connection is reset at random places, or the process is killed. What counts is
    every block that reached the device, wanted or not."""
    chance = random.Random(11)
    places = sorted(chance.randrange(SIZE // 100, SIZE * 95 // 100) for _ in range(20))
    with Mosquitto() as broker:
        ends.serve(broker.port)
        with TcpGate(broker.port) as gate:
            device = ends.fetch(gate.port, "--kib-per-s", 4096)
            for number, place in enumerate(places):
                ends.wait_received(place, device)
                assert device.poll() is None, "it was done before the last cut"
                if number % killed_every == killed_every - 1:
                    kill(device)
                    device = ends.fetch(gate.port, "--kib-per-s", 4096)
                else:
                    gate.cut()
            done(device)
            connections = gate.connections
    assert ends.got == CONTENT
    assert connections >= 15, "cuts that came while it was away cut nothing"
    blocks = -(-SIZE // 32768)
    print(f"{ends.received_bytes / SIZE:.4f} x size, {connections} connections")
    assert SIZE + HEADS * blocks <= ends.received_bytes <= 1.05 * SIZE


@pytest.mark.slow
def test_a_broker_and_a_depot_that_are_restarted(ends: Ends) -> None:
    with Mosquitto() as broker:
        depot = ends.serve(broker.port)
        device = ends.fetch(broker.port, "--kib-per-s", 8192)
        ends.wait_received(SIZE // 4, device)
        broker.kill()
        broker.start()
        ends.wait_received(SIZE // 2, device)
        kill(depot)
        ends.serve(broker.port)
        done(device)
    assert ends.got == CONTENT
    assert ends.received_bytes <= 1.2 * SIZE


@pytest.mark.slow
def test_a_broker_with_little_room(ends: Ends) -> None:
    lines = ("max_packet_size 70000", "max_queued_messages 10", "max_inflight_messages 5")
    with Mosquitto(lines=lines) as broker:
        ends.serve(broker.port)
        done(ends.fetch(broker.port))
    assert ends.got == CONTENT
    assert ends.received_bytes <= 1.2 * SIZE


@pytest.mark.slow
def test_a_damaged_part_costs_only_the_damaged_blocks(ends: Ends) -> None:
    with Mosquitto() as broker:
        ends.serve(broker.port)
        device = ends.fetch(broker.port, "--kib-per-s", 8192)
        ends.wait_received(SIZE // 2, device)
        kill(device)
        with open(ends.here / "got.part", "r+b") as file:
            for place in (100, 3_000_000, 5_000_000):
                file.seek(place)
                file.write(b"damaged")
        done(ends.fetch(broker.port))
    assert ends.got == CONTENT
    assert ends.received_bytes <= 1.05 * SIZE
