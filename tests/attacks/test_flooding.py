"""Who floods the depot, or rings without end: the others get what they ask for all the same."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from agent.fetch.plan import Get, Plan, Refresh
from fleet.depot import intake
from fleet.depot.inbox import MOST_OF_ONE, ROOM, DepotInbox
from fleet.roles import targets as roles_targets
from tests.brokers import Listener, Mosquitto
from tests.depot_folder import FLEET, Yard, block_digests, make_yard, pack
from tests.story.depot_process import (
    DepotProcess,
    Running,
    device,
    operator,
    rand_model,
    until,
)
from tests.unit.test_block_server import CONTENT, KEY, World
from tests.unit.test_fetch_plan import Clock, bundle, plan_of
from wire import topics
from wire.block.blocks import BLOCK, BlockRequest
from wire.block.client import FetchTerms
from wire.block.part import Part
from wire.block.server import ServeTerms
from wire.link import Received
from wire.offers import candidate_blocks_path, candidate_path

MANY = 4000  # blocks of the file that nobody needs
KIB_PER_S = 1024


class Flooded(World):
    """A server with a cap, and a device that asks for a large file as fast as it can."""

    def __init__(self) -> None:
        super().__init__(ServeTerms(kib_per_s=KIB_PER_S))
        large = bytes(MANY * BLOCK)
        self.large = hashlib.sha256(large).hexdigest()
        self.files[self.large] = large
        self._first = 0

    def pass_time(self, seconds: float) -> None:
        end_s = self.now + seconds
        while self.now < end_s:
            for _ in range(20):
                self.ask("flood", (self._first, self._first + 256), key=self.large)
                self._first = (self._first + 256) % MANY
            self.server.tick()
            self.now += 0.02

    @property
    def came(self) -> int:
        return len({topic for topic, _ in self.published if f"/{KEY}/" in topic})


def test_a_device_that_floods_the_depot_with_requests() -> None:
    """Its blocks alone do not fill the room in which all wait: the others have half of the rate."""
    world = Flooded()
    world.pass_time(6.0)
    world.ask("door", (0, 41))
    before = world.server.published_blocks
    world.pass_time(5.0)
    assert world.came == len(CONTENT) // BLOCK + 1
    assert world.server.published_blocks - before < 5 * KIB_PER_S * 1024 / BLOCK + 10
    assert len(world.server._queue) <= 2 * ServeTerms().pending
    world.server.close()


def test_a_device_that_floods_the_depot_with_messages() -> None:
    """By whatever topics of its own. Others are heard; and it is, again, when it has stopped."""
    inbox: DepotInbox[str] = DepotInbox()
    for number in range(10 * ROOM):
        topic = f"vedette/{FLEET}/device/flood/request/{number % 7}"
        inbox.post(Received(topic, b"{}", False))
    for who in range(20):
        inbox.post(Received(topics.request(FLEET, f"d{who}"), b"{}", False))
    inbox.post(Received(topics.offer(FLEET, "o1", "offer"), b"{}", False))
    came = [event for event in iter(lambda: inbox.take(0), None) if isinstance(event, Received)]
    told = [topics.told(one.topic) for one in came]
    assert len([one for one in told if one is not None and one.device == "flood"]) == MOST_OF_ONE
    assert {f"d{who}" for who in range(20)} < {one.device for one in told if one is not None}
    assert told[-1] is None, "the offer"
    inbox.post(Received(topics.request(FLEET, "flood"), b"{}", False))
    assert isinstance(inbox.take(0), Received)


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    yield make_yard(tmp_path)


def test_a_device_that_floods_a_real_depot(yard: Yard, tmp_path: Path) -> None:
    """One with a cap, at a real broker: another device gets its bundle in about twice the time."""
    size = 500_000
    targets = yard.with_model("7", rand_model(size))
    (file,) = (f for f in roles_targets.targets_of(targets) if f.path.endswith(".zip"))
    digests = yard.files["models/digits/7/tflite.blocks"]
    stop = threading.Event()
    with Mosquitto() as broker, DepotProcess(yard, broker, "--kib-per-s", str(KIB_PER_S)) as depot:
        depot.wait_for("connected")
        with operator(broker) as push:
            push.offer("o1", "release", yard.offered(targets))
            assert push.outcome("o1").phase == "done"

        def flood(hears: Listener) -> None:
            number = 0
            while not stop.is_set():
                for _ in range(50):
                    number += 1
                    key = f"{number:064x}"
                    ranges = ((0, 256), (number % 9 * 100, number % 9 * 100 + 100))
                    wanted = BlockRequest(key if number % 2 else file.digest, ranges)
                    topic = topics.request(FLEET, "flood", number % 5)
                    hears.publish(topic, msgspec.json.encode(wanted), qos=0)
                stop.wait(0.01)

        with Listener(broker.port) as hears, device(broker) as door:
            thread = threading.Thread(target=flood, args=(hears,))
            thread.start()
            try:
                begun_s = time.monotonic()
                part = Part(tmp_path / "part", file.size, file.digest, digests)
                door.files.fetch(file.digest, part, lambda _: None, lambda: False)
                took_s = time.monotonic() - begun_s
            finally:
                stop.set()
                thread.join()
    assert part.finish().stat().st_size == file.size
    assert took_s < 10.0


@pytest.mark.slow
def test_a_candidate_that_drips_keeps_no_release_waiting(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may offer one; a signed release has its turn, and the candidate goes on after it."""
    monkeypatch.setattr(intake, "TURN_S", 1.0)
    content, _ = pack(yard.place, "9", rand_model(2_000_000))
    digest, targets = hashlib.sha256(content).hexdigest(), yard.with_model("7")
    dripping = {
        candidate_path(digest): content,
        candidate_blocks_path(digest): block_digests(content),
    }
    with (
        Mosquitto() as broker,
        Running(yard, broker, FetchTerms(read_s=10.0, patience_s=10.0)),
        operator(broker, "thief", kib_per_s=400) as thief,
        operator(broker) as push,
    ):
        thief.offer("c1", "candidate", dripping)
        until("some of it", lambda: thief.served_bytes > 100_000)
        push.offer("o1", "release", yard.offered(targets))
        assert push.outcome("o1").phase == "done"
        assert all(one.phase == "fetching" for one in thief.answers("c1")), "it still comes"
        assert thief.served_bytes < len(content) * 0.9
        assert thief.outcome("c1").phase == "done"
        assert thief.served_bytes < len(content) * 1.5, "what had come was kept"


def rung_without_end(plan: Plan, clock: Clock, look_s: float, seconds: float) -> float:
    """The share of the time in which a bundle that is wanted could be fetched. look_s: that asking
    for newer metadata takes."""
    ours, end_s, number = 0.0, clock.now_s + seconds, 0
    while clock.now_s < end_s:
        number += 1
        plan.ring(str(number).encode())
        job = plan._due()
        if isinstance(job, Refresh):
            clock.now_s += look_s
            plan.ring(b"during it")
            plan.refreshed(b"the newest")
        elif isinstance(job, Get) and not plan.is_over(job):
            clock.now_s += 0.05
            ours += 0.05
        else:
            clock.now_s += 0.05
    return ours / seconds


@pytest.mark.parametrize("look_s", [0.3, 2.0, 30.0])
def test_a_bell_that_rings_without_end(look_s: float) -> None:
    """A look takes its time on a slow way; what follows is not the next look."""
    clock = Clock()
    plan = plan_of(clock)
    plan.connected()
    plan.want((bundle("a"),), frozenset())
    assert rung_without_end(plan, clock, look_s, 1000.0) > 0.6


def test_a_true_bell_after_false_ones_is_heard() -> None:
    clock = Clock()
    plan = plan_of(clock)
    plan.want((bundle("a"),), frozenset())
    rung_without_end(plan, clock, 2.0, 100.0)
    plan.ring(b"true")
    waited_s = 0.0
    while not isinstance(job := plan._due(), Refresh):
        clock.now_s += 0.1
        waited_s += 0.1
    assert job.bell == b"true" and waited_s < 9.0


def test_a_false_bell_that_is_overruled_in_time_is_not_heard() -> None:
    clock = Clock()
    plan = plan_of(clock)
    for rung in (b"true", b"false", b"true"):
        plan.ring(rung)
        job = plan._due()
        if isinstance(job, Refresh):
            plan.refreshed(job.bell)
    clock.now_s += 10.0
    job = plan._due()
    assert isinstance(job, Refresh) and job.bell == b"true"
