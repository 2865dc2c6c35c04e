"""The serving end: one publish for many askers, bounds, garbage, a link that takes nothing."""

from __future__ import annotations

import hashlib
import io
import random
from typing import BinaryIO

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire import topics
from wire.block.blocks import BLOCK, BlockRequest, path_key, unpacked
from wire.block.server import BlockServer, ServeTerms

CONTENT = random.Random(2).randbytes(40 * BLOCK + 3)
KEY = hashlib.sha256(CONTENT).hexdigest()
OTHER_KEY = "0" * 63 + "1"


class World:
    """A server on a set clock. opened: how often the library was asked."""

    def __init__(self, terms: ServeTerms | None = None) -> None:
        self.now = 50.0
        self.files = {KEY: CONTENT}
        self.opened = 0
        self.published: list[tuple[str, bytes]] = []
        self.is_full = False
        self.server = BlockServer(
            self.publish, "yard", self, terms or ServeTerms(), lambda: self.now
        )

    def open(self, key: str) -> BinaryIO | None:
        self.opened += 1
        return io.BytesIO(self.files[key]) if key in self.files else None

    def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False
    ) -> int | None:
        assert (qos, retain) == (0, False)
        if self.is_full:
            return None
        self.published.append((topic, payload))
        return 0

    def ask(self, who: str, *ranges: tuple[int, int], key: str = KEY) -> None:
        self.server.asked(who, msgspec.json.encode(BlockRequest(key, ranges)))

    def serve(self) -> float:
        """Tick while there is more to do at once."""
        while (wait_s := self.server.tick()) == 0.0:
            pass
        return wait_s

    @property
    def numbers(self) -> list[int]:
        return [int(topic.rpartition("/")[2]) for topic, _ in self.published]


def test_blocks_are_published_as_they_are_asked_for() -> None:
    world = World()
    world.ask("a", (3, 5), (39, 41))
    assert world.serve() > 1.0
    assert world.numbers == [3, 4, 39, 40]
    for (topic, payload), number in zip(world.published, world.numbers, strict=True):
        assert topic == topics.block("yard", KEY, number)
        block = unpacked(payload, number)
        assert block.size == len(CONTENT)
        assert block.content == CONTENT[number * BLOCK : (number + 1) * BLOCK]
    assert world.opened == 1
    world.server.close()


def test_many_askers_are_one_publish() -> None:
    world = World()
    for who in range(100):
        world.ask(f"d{who}", (0, 41))
    world.serve()
    assert sorted(world.numbers) == list(range(41))
    for who in range(1, 100):  # what crossed the blocks on its way
        world.ask(f"d{who}", (1, 41))
    world.now += 0.1
    world.serve()
    assert len(world.published) == 41
    world.now += 1.0
    world.ask("late", (7, 8))  # did not listen when it was published, and has it with others
    world.ask("later", (7, 9))
    world.serve()
    assert len(world.published) == 41
    world.now += 1.9
    world.serve()
    assert sorted(world.numbers[41:]) == [7, 8]


def test_who_asks_for_the_same_twice_has_lost_it() -> None:
    """A device that reconnected asks at once, and need not wait for a timer of its own."""
    world = World()
    world.ask("a", (5, 8))
    world.serve()
    for _ in range(10):
        world.ask("a", (5, 7))
    world.ask("b", (7, 8))  # comes late: it has that in a moment
    assert 0.0 < world.serve() <= 0.25
    assert world.numbers == [5, 6, 7]
    world.now += 0.25
    world.serve()
    assert sorted(world.numbers[3:]) == [5, 6]
    world.ask("b", (7, 8))  # had it not: it comes to all together who were late
    world.ask("c", (7, 8))
    world.ask("c", (7, 8))
    world.serve()
    assert world.numbers[5:] == []
    world.now += 2.75
    world.serve()
    assert world.numbers[5:] == [7]


def test_a_herd_is_waited_for() -> None:
    """Devices wake within two seconds, and the first would have a file before the second asks."""
    world = World()
    world.files |= {OTHER_KEY: b"metadata"}
    for second in range(8):
        world.ask(f"d{second}", (0, 1), key=OTHER_KEY)
        world.serve()
        world.now += 0.25
    count = len(world.published)
    assert count >= 4, "small files do not wait"
    for second in range(11):
        world.ask(f"d{second}", (0, 41))
        world.serve()
        world.now += 0.25
    assert set(world.numbers[count:]) == {0}
    world.now += 0.3
    world.serve()
    assert sorted(n for n in world.numbers[count:] if n) == list(range(1, 41))


def test_a_herd_that_still_grows_is_waited_for_longer_but_not_for_ever() -> None:
    world = World()
    world.files |= {OTHER_KEY: b"metadata"}
    for who in range(8):
        world.ask(f"d{who}", (0, 1), key=OTHER_KEY)
    world.serve()
    count, begun = len(world.published), world.now
    for place in range(200):  # on a busy machine: some new ones each second
        world.ask(f"d{place}", (1, 41))
        world.serve()
        if len(world.published) > count:
            break
        world.now += 0.4
    assert 14.5 <= world.now - begun <= 16.0
    assert len(world.published) == count + 40


def herd(world: World, count: int = 8) -> None:
    """So many devices have the whole file, but what each has lost."""
    for who in range(count):
        world.ask(f"d{who}", (0, 41))
    world.serve()
    assert sorted(world.numbers) == list(range(41))


def test_in_a_herd_who_asks_once_more_is_late_and_twice_has_lost_it() -> None:
    """Its request may have crossed the block, also the one that the block was published for."""
    world = World()
    herd(world)
    world.now += 0.5
    world.ask("d0", (5, 7))
    world.serve()
    assert len(world.published) == 41
    world.ask("d0", (5, 7))
    world.serve()
    assert len(world.published) == 41
    world.now += 0.5
    world.serve()
    assert sorted(world.numbers[41:]) == [5, 6]


def test_who_comes_late_to_a_herd_waits_for_others_ever_longer() -> None:
    world = World()
    herd(world)
    begun, rounds = world.now, []
    for place in range(300):  # somebody new every 0.1 s
        world.ask(f"late{place}", (0, 16))
        before = len(world.published)
        world.serve()
        if len(world.published) > before + 8:
            rounds.append(round(world.now - begun))
        world.now += 0.1
    assert rounds == [3, 9, 21]


def test_two_or_three_wait_a_second_for_each_other() -> None:
    world = World()
    world.ask("a", (0, 41))
    world.serve()
    world.now += 0.1
    world.ask("b", (0, 41))
    assert 0.8 < world.serve() < 1.0
    world.now += 0.9
    world.serve()
    assert sorted(set(world.numbers[41:])) == list(range(41))


def test_a_herd_is_one_as_long_as_its_file_is_asked_for() -> None:
    world = World()
    herd(world)
    for _ in range(10):
        world.now += 30.0
        world.ask("d0", (0, 1))
        world.serve()
    count = len(world.published)
    world.ask("late", (8, 9))
    world.serve()
    assert len(world.published) == count + 1, "long ago is nothing to wait for"
    world.now += 0.1
    world.ask("later", (8, 9))
    world.now += 5.8
    world.serve()
    assert len(world.published) == count + 1
    world.now += 0.2
    world.serve()
    assert len(world.published) == count + 2


def test_a_flood_of_names_does_not_have_a_herd_wait_for_ever() -> None:
    world = World()
    for who in range(8):
        world.ask(f"d{who}", (0, 1), key=OTHER_KEY)
    for second in range(5):
        for number in range(300):
            world.ask("flood", (0, 1), key=f"{second * 300 + number:064x}")
        for who in range(8):
            world.ask(f"d{who}", (0, 41))
        world.serve()
        world.now += 1.0
    assert set(range(41)) <= {
        int(topic.rpartition("/")[2]) for topic, _ in world.published if f"/{KEY}/" in topic
    }


def test_a_lone_device_waits_for_nobody() -> None:
    world = World()
    for _ in range(20):
        world.ask("a", (0, 1), key=OTHER_KEY)
    world.ask("a", (0, 41))
    world.serve()
    assert sorted(set(world.numbers)) == list(range(41))


def test_who_was_seen_long_ago_is_no_herd() -> None:
    world = World()
    for who in range(8):
        world.ask(f"d{who}", (0, 1), key=OTHER_KEY)
    world.serve()
    world.now += 10.1
    world.ask("a", (1, 41))
    world.serve()
    assert sorted(world.numbers[-40:]) == list(range(1, 41))


def test_a_lagging_device_is_sent_nothing_twice() -> None:
    """What it asks for waits for it in the broker, as it listened all the time."""
    world = World()
    world.ask("quick", (0, 8))
    world.ask("slow", (0, 1))
    world.serve()
    world.ask("quick", (8, 41))
    world.serve()
    for _ in range(10):
        world.now += 1.0
        world.serve()
    world.ask("slow", (8, 24))
    world.serve()
    world.now += 4.0
    world.serve()
    assert len(world.published) == 41
    world.ask("slow", (8, 24))  # again: they were lost
    world.serve()
    assert sorted(world.numbers[41:]) == list(range(8, 24))


def test_a_small_file_is_repeated_a_little_later() -> None:
    world = World()
    world.files |= {KEY: b"metadata"}
    world.ask("a", (0, 1))
    world.serve()
    world.ask("b", (0, 1))
    wait_s = world.serve()
    assert 0.2 <= wait_s <= 0.25
    world.now += wait_s
    world.serve()
    assert world.numbers == [0, 0]


def test_one_block_is_not_repeated_without_end() -> None:
    world = World()
    for _ in range(600):  # a minute long
        world.ask("a", (5, 6))
        world.serve()
        world.now += 0.1
    assert len(world.published) <= 8 + 60 / 2 + 1


def test_one_asker_has_a_bucket_and_others_their_turn() -> None:
    terms = ServeTerms(asker_kib_per_s=32, asker_burst_kib=320)
    world = World(terms)
    world.ask("greedy", (0, 41))
    world.ask("modest", (30, 33))
    world.serve()
    assert world.numbers == [0, 30, 1, 31, 2, 32, 3, 4, 5, 6, 7, 8, 9]
    world.now += 2.0
    world.ask("greedy", (10, 30))
    world.serve()
    assert world.numbers[13:] == [10, 11]


def test_a_total_cap() -> None:
    world = World(ServeTerms(kib_per_s=320))
    world.ask("a", (0, 41))
    begun = world.now
    while len(world.published) < 41:
        world.now += max(0.001, world.server.tick())
    assert 3.0 < world.now - begun < 5.0


def test_a_link_that_takes_nothing_loses_nothing_and_fills_nothing() -> None:
    world = World()
    world.is_full = True
    world.ask("a", (0, 41))
    for _ in range(50):
        world.now += world.server.tick()
        world.ask("a", (0, 41))
    assert world.published == []
    world.is_full = False
    world.serve()
    assert sorted(world.numbers) == list(range(41))


def test_nobody_waits_for_ever() -> None:
    world = World()
    world.is_full = True
    world.ask("a", (0, 41))
    world.server.tick()
    world.now += 60.0
    world.is_full = False
    assert world.serve() > 1.0
    assert world.published == []


def test_there_is_no_such_file_and_then_there_is() -> None:
    world = World()
    key = path_key("metadata/2.root.json")
    world.ask("a", (0, 1), key=key)
    world.serve()
    assert unpacked(world.published[0][1], 0).size is None
    world.files[key] = b"{}"
    world.now += 1.0
    world.ask("a", (0, 1), key=key)
    world.serve()
    world.files[key] = b"{ }"
    world.now += 1.0
    world.ask("a", (0, 1), key=key)
    world.serve()
    assert [unpacked(payload, 0).content for _, payload in world.published[1:]] == [b"{}", b"{ }"]


def test_floods_cost_little() -> None:
    world = World()
    world.ask("a", (41, 1 << 17), (10**9, 10**15), (5, 3), (0, 1))
    world.serve()
    assert set(world.numbers) <= {0}
    for number in range(2000):
        world.ask(f"a{number}", (0, 10**12), key=f"{number:064x}")
    assert len(world.server._queue) <= 16384
    for _ in range(400):
        world.server.tick()
    assert world.opened <= 400 * 64 + 1


def test_a_library_that_cannot_be_read() -> None:
    world = World()

    def broken(_key: str) -> BinaryIO | None:
        raise OSError("gone")

    world.open = broken  # type: ignore[method-assign]
    world.ask("a", (0, 3))
    assert world.serve() > 1.0
    assert world.published == []


@given(st.binary(max_size=300) | st.sampled_from([
    b"{}", b"[]", b'{"file":"../x","ranges":[[0,1]]}', b'{"file":"' + b"0" * 64 + b'","ranges":[]}',
    b'{"file":"' + b"0" * 64 + b'","ranges":[[-1,5]]}', b"[" * 4000, bytes(100_000),
    b'{"file":"' + b"0" * 64 + b'","ranges":[[0,1e9]]}',
]))  # fmt: skip
def test_no_request_is_an_exception(payload: bytes) -> None:
    world = World()
    world.server.asked("a", payload)
    world.serve()
    assert len(world.published) <= 256


@pytest.mark.parametrize("who", ["", "x" * 10_000, "\0", "../.."])
def test_no_asker_is_an_exception(who: str) -> None:
    world = World()
    world.ask(who, (0, 1))
    world.serve()
    assert world.numbers == [0]


def test_what_had_to_wait_goes_in_order() -> None:
    world = World(ServeTerms(kib_per_s=320))
    for who in range(4):
        world.ask(f"d{who}", (0, 1), key=OTHER_KEY)
    world.serve()
    count = len(world.published)
    world.ask("a", (0, 41))
    for _ in range(80):
        world.now += max(world.serve(), 0.01)
    assert world.numbers[count:] == list(range(41))
