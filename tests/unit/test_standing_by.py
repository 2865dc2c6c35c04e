"""A standby answers what the depot leaves unanswered, and nothing else."""

from __future__ import annotations

import hashlib
import io
from typing import BinaryIO

import msgspec

from wire import topics
from wire.block.blocks import BLOCK, BlockRequest
from wire.block.server import BlockServer
from wire.block.standing_by import StandingBy

CONTENT = bytes(range(256)) * (40 * BLOCK // 256)
KEY = hashlib.sha256(CONTENT).hexdigest()
PATIENCE_S = 2.0


class Pair:
    """A depot and its standby on one broker in memory, and one clock. sent: who, and which."""

    def __init__(self) -> None:
        self.now = 100.0
        self.lives = True
        self.sent: list[tuple[str, int]] = []
        self.standing_by = StandingBy(PATIENCE_S, self.clock)
        self.depot = self._server("depot", None)
        self.standby = self._server("standby", self.standing_by)

    def clock(self) -> float:
        return self.now

    def _server(self, name: str, standing_by: StandingBy | None) -> BlockServer:
        def publish(topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> int:
            place = topics.block_place(topic)
            assert place is not None
            self.sent.append((name, place.number))
            self.standing_by.hear(place.key, place.number, payload)
            return 0

        return BlockServer(publish, "yard", self, clock=self.clock, standing_by=standing_by)

    def open(self, key: str) -> BinaryIO | None:
        if key != KEY:
            raise FileNotFoundError(key)
        return io.BytesIO(CONTENT)

    def ask(self, who: str, first: int, behind: int, key: str = KEY) -> None:
        payload = msgspec.json.encode(BlockRequest(key, ((first, behind),)))
        for server in (self.depot, self.standby) if self.lives else (self.standby,):
            server.asked(who, payload)

    def run(self, seconds: float) -> None:
        """Both do what is due, ten times a second."""
        for _ in range(round(seconds * 10)):
            for server in (self.standby, self.depot) if self.lives else (self.standby,):
                while server.tick() == 0.0:
                    pass
            self.now += 0.1

    def of(self, name: str) -> list[int]:
        return [number for who, number in self.sent if who == name]


def test_it_is_silent_while_the_depot_answers() -> None:
    pair = Pair()
    for first in range(0, 40, 8):
        pair.ask("a", first, first + 8)
        pair.run(1.0)
    pair.run(10.0)
    assert pair.of("depot") == list(range(40))
    assert pair.of("standby") == []


def test_it_takes_over_and_gives_back() -> None:
    pair = Pair()
    pair.ask("a", 0, 8)
    pair.run(1.0)
    pair.lives = False
    pair.ask("a", 8, 24)
    pair.run(1.5)
    assert pair.of("standby") == []
    pair.run(1.0)
    assert sorted(pair.of("standby")) == list(range(8, 24))
    pair.ask("a", 24, 30)
    pair.run(0.2)  # it leads: nobody waits any more
    assert sorted(pair.of("standby")) == list(range(8, 30))
    pair.lives = True
    pair.depot.asked("b", msgspec.json.encode(BlockRequest(KEY, ((39, 40),))))
    pair.run(0.2)
    assert pair.of("depot")[-1] == 39
    assert not pair.standing_by.leads
    pair.ask("a", 30, 39)
    pair.run(5.0)
    assert sorted(pair.of("depot")[-9:]) == list(range(30, 39))
    assert pair.standing_by.took_over == 1


def test_what_nobody_can_answer_makes_nobody_lead() -> None:
    """A hostile device asks for what there is not."""
    pair = Pair()
    pair.ask("a", 1000, 1010)
    pair.ask("a", 0, 5, key="1" * 64)
    pair.run(10.0)
    assert pair.sent == []
    assert not pair.standing_by.leads
