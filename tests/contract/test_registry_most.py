"""Latency of most devices is told by all together less the others: as if each had been added up."""

from __future__ import annotations

import random

import pytest

from fleet.registry import most, reading
from fleet.registry.registry import Registry
from fleet.registry.words import Heard, Scope, Span, Terms
from tests.fleet_talk import NOW_S, Talker
from tests.registries import STAGES, Open, roll
from wire.histogram import Counts
from wire.messages import StageCounts

DEVICES = 24
LATER_S = 4 * 3600
WHOLE = Span(NOW_S - 86_400, NOW_S + 86_400)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each answer came by most of all; of few devices, too."""
    monkeypatch.setattr(reading, "EXACT_DEVICES", 0)
    answers: list[bool] = []

    def latency_of_most(*asked: object) -> StageCounts | None:
        found = most.latency_of_most(*asked)  # type: ignore[arg-type]
        answers.append(found is not None)
        return found

    monkeypatch.setattr(reading, "latency_of_most", latency_of_most)
    return answers


def by_each(registry: Registry, span: Span, scope: Scope) -> StageCounts:
    """The same without it."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(reading, "latency_of_most", lambda *_: None)
        return registry.latency(span, scope)


def agree(found: StageCounts, wanted: StageCounts) -> None:
    """All buckets are the same; least and most are of the same bucket."""
    for stage in STAGES:
        got: Counts = getattr(found, stage)
        want: Counts = getattr(wanted, stage)
        assert (got.count, got.offset, got.counts) == (want.count, want.offset, want.counts)
        if not want.count:
            continue
        assert got.sum_us == pytest.approx(want.sum_us, rel=1e-5)
        assert got.minimum_us == pytest.approx(want.minimum_us, rel=0.045)
        assert got.maximum_us == pytest.approx(want.maximum_us, rel=0.045)


def fill(registry: Registry, chance: random.Random) -> list[Heard]:
    """Four hours of several models and pipelines. Returns records that come late."""
    talkers = [
        Talker(
            f"d{number}", frames=3, chance=chance, version=chance.choice("123"),
            pipelines=chance.choice((("lane",), ("gate",), ("lane", "gate"))),
        )
        for number in range(DEVICES)
    ]  # fmt: skip
    late: list[Heard] = []
    for start_s in range(0, LATER_S, 300):
        batch = [each.telemetry(NOW_S + start_s + chance.random() * 200) for each in talkers]
        late += [batch.pop(chance.randrange(len(batch))) for _ in range(2)]
        registry.write(batch)
    return late


def check(registry: Registry, chance: random.Random, told: list[bool]) -> int:
    """Random subsets, spans and scopes. Returns how many were told by most of all."""
    told.clear()
    for _ in range(12):
        count = chance.choice((DEVICES, DEVICES - 1, chance.randint(1, DEVICES)))
        names = chance.sample([f"d{number}" for number in range(DEVICES)], count)
        begin_s = NOW_S + chance.uniform(-4000, LATER_S)
        span = Span(begin_s, begin_s + chance.choice((600, 3600, 7200, 5 * 86_400)))
        scope = Scope(
            devices=names,
            pipeline=chance.choice((None, None, "lane", "gate")),
            version=chance.choice((None, None, "2")),
        )
        agree(registry.latency(span, scope), by_each(registry, span, scope))
    return sum(told)


def test_it_is_the_same_whatever_is_named_and_whatever_comes(again: Open, told: list[bool]) -> None:
    chance = random.Random(8)
    registry, other = again(), again()
    late = fill(registry, chance)
    assert check(registry, chance, told) >= 4, "nothing is rolled up yet"
    while registry.roll_up(NOW_S + 2 * 3600):
        pass
    other.write(late[: len(late) // 2])
    assert check(other, chance, told) >= 4, "hours, ten minutes, and what came late"
    roll(registry, NOW_S + LATER_S + 4000)
    other.write(late)
    assert check(registry, chance, told) >= 4
    roll(other, NOW_S + 40 * 86_400)  # all together are whole hours by now
    check(registry, chance, told)
    everyone = Scope(devices=[f"d{number}" for number in range(DEVICES)])
    hours = Span(NOW_S, NOW_S + 5 * 86_400)
    told.clear()
    agree(registry.latency(hours, everyone), by_each(registry, hours, everyone))
    assert told == [True]
    crooked = Span(NOW_S + 600, NOW_S + 4200)
    agree(registry.latency(crooked, everyone), by_each(registry, crooked, everyone))
    assert told == [True, False], "an hour cannot be cut"


def test_it_is_the_same_after_one_was_forgotten(again: Open, told: list[bool]) -> None:
    chance = random.Random(9)
    registry = again()
    fill(registry, chance)
    roll(registry, NOW_S + 2 * 3600)
    registry.forget("d3")
    assert check(registry, chance, told) == 0
    back = Talker("d3", spool="5b002", frames=3)
    at_s = NOW_S + LATER_S + 7200
    registry.write([back.telemetry(at_s), Talker("d4", "5b003", frames=3).telemetry(at_s)])
    told.clear()
    everyone = Scope(devices=[f"d{number}" for number in range(DEVICES)])
    span = Span(at_s - 600, at_s + 600)
    agree(registry.latency(span, everyone), by_each(registry, span, everyone))
    assert told == [True], "what came later is whole"


def test_it_is_the_same_when_much_has_expired(again: Open, told: list[bool]) -> None:
    chance = random.Random(10)
    registry = again()
    late = fill(registry, chance)
    roll(registry)
    terms = Terms(fine_s=0.0, tens_s=86_400.0 - 2 * 3600, hours_s=10 * 86_400.0)
    while not registry.expire(NOW_S + 86_400, terms).is_done:
        pass
    assert check(registry, chance, told) >= 2
    registry.write(late)  # also of what is gone by now
    check(registry, chance, told)
    roll(registry)
    check(registry, chance, told)
