"""Simulated devices by themselves: what they are like, what they count, and what they keep."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from typing import Literal

import msgspec
import pytest

from fleet.simulate.character import FRAIL, HOT, OLD, SLOW, character_of
from fleet.simulate.faring import ILL_WINDOWS, WELL_WINDOWS
from fleet.simulate.records import MOST_KEPT, MOST_RETRY_S, PER_S, RETRY_S, Records
from fleet.simulate.running import made_up
from fleet.simulate.shapes import spread
from fleet.simulate.telling import Teller
from wire.health import Health
from wire.messages import (
    Ack,
    Event,
    Presence,
    State,
    Telemetry,
    body_of,
    enveloped,
    parse,
    to_json,
)

NAMES = [f"simulated-{number:04}" for number in range(1, 2001)]


def teller(name: str = NAMES[0]) -> Teller:
    made = Teller(name, "lane", 10.0)
    made.runs = made_up(made.character)
    return made


def test_a_device_is_the_same_every_time_and_no_two_are_alike() -> None:
    assert [character_of(name) for name in NAMES] == [character_of(name) for name in NAMES]
    assert len({character_of(name).place for name in NAMES}) == len(NAMES)


def test_a_fleet_has_a_few_of_each_trouble() -> None:
    fleet = [character_of(name) for name in NAMES]
    shares = {
        HOT: sum(one.kind.idle_c + one.warmth_c > one.kind.hot_c - 15 for one in fleet),
        SLOW: sum(one.slowness > 2 for one in fleet),
        FRAIL: sum(one.is_frail for one in fleet),
        OLD: sum(not one.runs_newest for one in fleet),
    }
    for share, count in shares.items():
        assert 0.6 * share < count / len(fleet) < 1.5 * share
    assert len({one.kind.board for one in fleet}) == 5
    assert len({one.groups for one in fleet}) == 4


@pytest.mark.parametrize("count", [0, 1, 2, 299, 18_000])
@pytest.mark.parametrize("median_us", [0.5, 45.0, 24_000.0, 1e12])
def test_a_histogram_counts_what_it_says(count: int, median_us: float) -> None:
    made = spread(count, median_us, 0.12)
    assert sum(made.counts) == made.count == count
    assert msgspec.json.decode(msgspec.json.encode(made), type=type(made)) == made
    if count > 100 and 1 < median_us < 1e6:
        found = made.percentile(0.5)
        assert found is not None
        assert math.isclose(found, median_us, rel_tol=0.05)
        assert math.isclose(made.sum_us / count, median_us, rel_tol=0.06)


def sent(record: Telemetry | Event) -> bytes:
    return enveloped(body_of(record), "s", 1, 1)


@pytest.mark.parametrize("place", range(20))
def test_what_it_says_can_be_read_and_adds_up(place: int) -> None:
    one = teller(NAMES[place])
    for _ in range(ILL_WINDOWS + WELL_WINDOWS):
        one.turned()
        record = one.telemetry()
        window = parse(sent(record), Telemetry).pipelines["lane"]
        assert window.frames == window.stages.inference.count == window.stages.end_to_end.count
        if window.phase == "serving":
            assert window.frames + window.losses.skipped == int(one.character.kind.fps * 10)
        state = parse(to_json(one.state("registry")), State)
        assert state.pipelines["lane"].phase == window.phase
        assert state.acknowledged_by == "registry"
        assert record.health != Health()
    assert parse(to_json(one.presence("s", "p", online=True)), Presence).online


def test_a_hot_one_is_slowed_down_and_says_why() -> None:
    name = next(name for name in NAMES if character_of(name).warmth_c > 25)
    records = [teller(name).telemetry() for _ in range(3)]
    for record in records:
        throttle, window = record.health.throttle, record.pipelines["lane"]
        assert throttle is not None
        assert (window.throttled != ()) == (throttle.now != ())


def test_a_frail_one_tells_of_each_fault_once_and_of_its_end() -> None:
    name = next(name for name in NAMES if character_of(name).is_frail)
    one, said, faults = teller(name), Counter[str](), set[str]()
    for _ in range(2 * (ILL_WINDOWS + WELL_WINDOWS)):
        one.telemetry()
        if (saying := one.turned()) is not None:
            said[saying.kind] += 1
            assert parse(sent(one.said(saying)), Event).subject == saying.subject
        faults.update(one.state("broker").faults)
    assert said["fault"] in (2, 3)
    assert abs(said["fault"] - said["recovered"]) <= 1
    assert len(faults) == said["fault"]


class Kept:
    """Records, and what went out. is_full: the link takes nothing."""

    def __init__(self, by_registry: bool) -> None:
        self.sent: list[Telemetry] = []
        self.is_full = False
        self.number = 0
        self.records = Records(self._publish, by_registry)
        self._teller = teller()

    def _publish(self, kind: Literal["telemetry", "event"], payload: bytes) -> int | None:
        if self.is_full:
            return None
        assert kind == "telemetry"
        self.sent.append(parse(payload, Telemetry))
        self.number += 1
        return self.number

    def add(self, count: int, now_s: float) -> None:
        for _ in range(count):
            self.records.add(self._teller.telemetry(), now_s)

    def ack(self, seq: int, now_s: float = 0.0) -> None:
        self.records.acked(Ack(self.records.spool, seq), now_s)

    @property
    def numbers(self) -> list[int]:
        return [record.seq for record in self.sent]


def test_the_brokers_word_lets_them_go() -> None:
    kept = Kept(by_registry=False)
    kept.records.connected()
    kept.add(3, 0.0)
    kept.ack(3)
    assert kept.records.waiting == 3
    for number in (1, 2, 3):
        kept.records.delivered(number)
    assert (kept.numbers, kept.records.waiting) == ([1, 2, 3], 0)


def test_the_registrys_word_lets_them_go_and_no_other() -> None:
    kept = Kept(by_registry=True)
    kept.records.connected()
    kept.add(3, 0.0)
    kept.records.delivered(1)
    kept.records.acked(Ack("another", 3), 0.0)
    kept.ack(99)
    assert kept.records.waiting == 3
    kept.ack(2)
    kept.ack(2)
    assert kept.records.waiting == 1
    kept.add(1, 1.0)
    assert kept.sent[-1].oldest == 3


def test_what_was_kept_follows_a_new_connection_at_a_pace() -> None:
    kept = Kept(by_registry=True)
    kept.add(50, 0.0)
    assert kept.numbers == []
    kept.records.connected()
    kept.add(1, 1.0)
    assert kept.numbers == [51], "the newest never waits"
    for second in range(2, 12):
        before = len(kept.sent)
        kept.records.tick(float(second))
        assert len(kept.sent) - before <= PER_S
        for number in range(before + 1, len(kept.sent) + 1):
            kept.records.delivered(number)
    assert sorted(kept.numbers) == list(range(1, 52))
    assert kept.numbers[1:] == list(range(1, 51))


def test_a_silent_registry_is_asked_with_one_record_ever_more_rarely() -> None:
    kept = Kept(by_registry=True)
    kept.records.connected()
    kept.add(5, 0.0)
    asked = []
    for second in range(3000):
        before = len(kept.sent)
        kept.records.tick(float(second))
        for number in range(before + 1, len(kept.sent) + 1):
            kept.records.delivered(number)
        if len(kept.sent) > before:
            asked.append(second)
            assert kept.numbers[before:] == [1]
    assert asked[0] == RETRY_S
    gaps = [later - earlier for earlier, later in pairwise(asked)]
    assert gaps == sorted(gaps)
    assert gaps[-1] == MOST_RETRY_S
    kept.ack(1)
    kept.records.tick(3001.0)
    assert kept.numbers[-4:] == [2, 3, 4, 5], "it is there again"


def test_a_registry_that_lacks_the_oldest_gets_it() -> None:
    """It was away for long when that came, and now acknowledges only what was before."""
    kept = Kept(by_registry=True)
    kept.records.connected()
    kept.add(3, 0.0)
    kept.ack(1)
    for second in range(400):
        kept.records.tick(float(second))
    before = len(kept.sent)
    assert before == 3 + 3, "after 30, 90 and 210 s"
    kept.ack(1, 400.0)
    kept.records.tick(400.0 + RETRY_S - 0.1)
    assert len(kept.sent) == before
    kept.records.tick(400.0 + RETRY_S)
    assert kept.numbers[before:] == [2]
    kept.ack(3)
    assert kept.records.waiting == 0


def test_what_finds_no_room_is_counted_as_lost() -> None:
    kept = Kept(by_registry=True)
    kept.add(MOST_KEPT + 7, 0.0)
    assert (kept.records.waiting, kept.records.lost) == (MOST_KEPT, 7)
    kept.records.connected()
    kept.records.tick(1.0)
    assert kept.sent[0].oldest == kept.sent[0].seq == 8


def test_a_link_that_takes_nothing_loses_nothing() -> None:
    kept = Kept(by_registry=True)
    kept.records.connected()
    kept.is_full = True
    kept.add(3, 0.0)
    kept.records.tick(1.0)
    kept.is_full = False
    kept.records.tick(2.0)
    assert kept.numbers == [1, 2, 3]
