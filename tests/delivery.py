"""A courier with a clock by hand, a spool, and a broker that takes what the test says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from agent.courier import Courier
from agent.keeping import Keeping
from agent.spool.change import Limits, Record
from agent.spool.spool import Spool
from wire.config import Broker, Config, TelemetryTable
from wire.link import Connected
from wire.messages import Ack

PREFIX = "vedette/home/device/door"
Key = tuple[str, int]
By = Literal["broker", "registry"]


class HandClock:
    """Time goes on when the test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def uptime_s(self) -> float:
        return self.now_s

    def wall_s(self) -> float:
        return 1.8e9 + self.now_s


class Envelope(msgspec.Struct, frozen=True):
    """What the tests read of a sent record. n: written into its body by the test."""

    spool: str
    seq: int
    oldest: int
    n: int = 0


@dataclass(frozen=True)
class Sent:
    at_s: float
    number: int
    topic: str
    record: Envelope

    @property
    def key(self) -> Key:
        return self.record.spool, self.record.seq


@dataclass
class Wire:
    """The link as the courier sees it. room: messages it still takes; None: without end."""

    clock: HandClock
    is_up: bool = False
    room: int | None = None
    sent: list[Sent] = field(default_factory=list)
    waiting: dict[int, Sent] = field(default_factory=dict)  # without PUBACK, in order

    def publish(self, topic: str, payload: bytes) -> int | None:
        if not self.is_up or self.room == 0:
            return None
        if self.room is not None:
            self.room -= 1
        record = msgspec.json.decode(payload, type=Envelope)
        sent = Sent(self.clock.now_s, len(self.sent) + 1, topic, record)
        self.sent.append(sent)
        self.waiting[sent.number] = sent
        return sent.number


@dataclass
class FarEnd:
    """A registry in memory: knows what came, and up to where nothing that can come is missing."""

    floors: dict[str, int] = field(default_factory=dict)
    keys: set[Key] = field(default_factory=set)

    def take(self, record: Envelope) -> Ack:
        self.keys.add((record.spool, record.seq))
        floor = max(self.floors.get(record.spool, 0), record.oldest - 1)
        while (record.spool, floor + 1) in self.keys:
            floor += 1
        self.floors[record.spool] = floor
        return Ack(record.spool, floor)


class Reading(Spool):
    """A spool in memory that counts how much is read. rotten: these cannot be read."""

    rotten: frozenset[int] | set[int] = frozenset()
    reads = 0
    most_read = 0

    def __init__(self, clock: HandClock) -> None:
        self.given_up: set[Key] = set()
        super().__init__(None, Limits(64 << 20, 30 * 86400.0), clock.uptime_s, "boot", "me")

    def discard(self, spool: str, seq: int) -> None:
        lost = self.lost
        super().discard(spool, seq)
        if self.lost > lost:
            self.given_up.add((spool, seq))

    def after(self, spool: str, seq: int, limit: int) -> list[Record]:
        self.reads += 1
        records = super().after(spool, seq, limit)
        self.most_read = max(self.most_read, len(records))
        for record in records:
            if record.seq in self.rotten:
                self.discard(spool, record.seq)
        return [record for record in records if record.seq not in self.rotten]


class Delivery:
    """The whole bench. far: the registry, None: nobody is there."""

    def __init__(
        self,
        spool: Reading | Keeping,
        clock: HandClock,
        by: By,
        chance: float = 0.0,
    ) -> None:
        config = Config(
            broker=Broker(url="mqtt://localhost"),
            device="door",
            telemetry=TelemetryTable(acknowledged_by=by),
        )
        self.clock = clock
        self.spool = spool
        self.wire = Wire(clock)
        self.far: FarEnd | None = FarEnd()
        self.by_registry = by == "registry"
        self.courier = Courier(spool, self.wire.publish, config, clock, lambda: chance)
        self.made: list[Key] = []

    @property
    def seqs(self) -> list[int]:
        """Of all that was sent, in order."""
        return [sent.record.seq for sent in self.wire.sent]

    @property
    def keys(self) -> list[Key]:
        return [sent.key for sent in self.wire.sent]

    def append(self, count: int = 1, kind: Literal["telemetry", "event"] = "telemetry") -> None:
        """New records, one after the other, each announced."""
        for _ in range(count):
            self.append_bodies([b'{"n":%d}' % (len(self.made) + 1)], kind)

    def append_bodies(
        self, bodies: Sequence[bytes], kind: Literal["telemetry", "event"] = "telemetry"
    ) -> None:
        records = self.spool.append([(kind, body) for body in bodies], {})
        self.made += [(record.spool, record.seq) for record in records]
        self.courier.fresh()

    def connect(self, most_bytes: int | None = None) -> None:
        self.wire.is_up = True
        self.wire.waiting.clear()
        self.courier.connected(Connected("MQTT 5", "s", most_bytes))
        self.courier.tick()

    def disconnect(self) -> None:
        self.wire.is_up = False
        self.courier.disconnected()
        self.courier.tick()

    def puback(self, numbers: Iterable[int] | None = None) -> None:
        """The broker takes some, or all, of what waits, and the registry acknowledges it."""
        for number in list(self.wire.waiting) if numbers is None else numbers:
            sent = self.wire.waiting.pop(number)
            self.courier.delivered(number)
            self.courier.tick()
            if self.far is not None and self.by_registry:
                self.courier.acked(self.far.take(sent.record))
                self.courier.tick()

    def run(self, seconds: float, step_s: float = 0.05) -> None:
        """Let time go on; the broker takes everything at once."""
        end_s = self.clock.now_s + seconds
        while self.clock.now_s < end_s:
            while self.wire.waiting:
                self.puback()
            self.wait(min(step_s, end_s - self.clock.now_s + 1e-9))

    def wait(self, seconds: float) -> None:
        """Let time go on in one step; the broker takes nothing."""
        self.clock.now_s += seconds
        self.courier.tick()


Bench = Callable[[By], Delivery]


@contextmanager
def benches() -> Iterator[Bench]:
    """Makes benches with spools of their own."""
    with ExitStack() as stack:

        def make(by: By) -> Delivery:
            clock = HandClock()
            spool = Reading(clock)
            stack.callback(spool.close)
            return Delivery(spool, clock, by)

        yield make


def most_in_a_second(times_s: Sequence[float]) -> int:
    """The most events in any stretch of one second."""
    most = first = 0
    for index, at_s in enumerate(times_s):
        while at_s - times_s[first] >= 1.0:
            first += 1
        most = max(most, index - first + 1)
    return most
