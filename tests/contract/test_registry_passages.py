"""What zones and lines counted, in a registry: each crossing once, hour by hour, within bounds."""

from __future__ import annotations

import random

from fleet.registry.passages import MOST_COUNT, MOST_IN_ROW
from fleet.registry.registry import Registry
from fleet.registry.words import PassedInHour, Scope, Span, Terms
from tests.fleet_talk import NOW_S, Talker
from tests.registries import Open
from wire.happenings import MOST_PASSAGES, Passage, Places

DAY = Span(NOW_S, NOW_S + 86_400)


def passing(way: str, count: int, label: str = "person", where: str = "gate") -> Passage:
    return Passage("line", where, way, count, label)


def counts(
    registry: Registry, span: Span = DAY, scope: Scope | None = None
) -> list[tuple[float, str, str, int]]:
    found = registry.passed(span, scope or Scope())
    return [((each.start_s - NOW_S) / 3600, each.device, each.way, each.count) for each in found]


def test_each_crossing_is_in_one_hour_once(again: Open) -> None:
    """In any order, twice, by two writers, with other rows in between."""
    registry, other = again(), again()
    door, gate = Talker("door"), Talker("gate", places=Places({}, (passing("in", 7),)))
    heard = []
    for minute in range(120):
        door.places = Places({"porch": 1}, (passing("in", 2), passing("out", 1))[: minute % 3])
        heard.append(door.telemetry(NOW_S + 30 + 60 * minute))
    chance = random.Random(3)
    mixed = [*heard, *heard, gate.telemetry(NOW_S + 40)]
    chance.shuffle(mixed)
    for start in range(0, len(mixed), 50):
        chance.choice((registry, other)).write(mixed[start : start + 50])
    wanted = [
        (hour, "door", way, count)
        for hour in (0.0, 1.0)
        for way, count in (("in", 80), ("out", 20))
    ]
    assert sorted(counts(other)) == sorted([*wanted, (0.0, "gate", "in", 7)])


def test_they_are_told_of_whom_and_when_one_asks(registry: Registry) -> None:
    door = Talker("door", places=Places({}, (passing("in", 1, "dog"),)), pipelines=("a", "b"))
    gate = Talker("gate", places=Places({}, (passing("out", 1, ""),)))
    for hour in range(3):
        registry.write([each.telemetry(NOW_S + 3600 * hour + 9) for each in (door, gate)])
    assert registry.passed(Span(NOW_S + 4000, NOW_S + 4001), Scope(["gate"])) == (
        PassedInHour(NOW_S + 3600, "gate", "lane", "line", "gate", "out", "", 1),
    )
    assert len(counts(registry, scope=Scope(["door"]))) == 6
    assert len(counts(registry, scope=Scope(["door"], "b"))) == 3
    assert len(counts(registry, scope=Scope(["door", "gate", *map(str, range(1100))]))) == 9
    assert counts(registry, Span(NOW_S - 7200, NOW_S)) == []
    assert (
        counts(registry, scope=Scope(pipeline="nobody")) == counts(registry, scope=Scope([])) == []
    )


def test_names_and_numbers_without_end_have_an_end(registry: Registry) -> None:
    door = Talker("door")
    for turn in range(4):
        many = (passing("in", 2**63 - 1, "\0" * 100, f"g{turn}-{k}") for k in range(MOST_PASSAGES))
        door.places = Places({}, tuple(many))
        assert registry.write([door.telemetry(NOW_S + turn)]).stored == 1
    for turn in range(4, 30):
        door.places = Places({}, (passing("in", 2**63 - 1, "\0" * 100, "g0-0"),) * MOST_PASSAGES)
        registry.write([door.telemetry(NOW_S + turn)])
    found = registry.passed(DAY)
    assert len(found) == MOST_IN_ROW
    assert max(each.count for each in found) <= MOST_COUNT


def test_they_go_when_they_are_old_or_their_device_goes(registry: Registry) -> None:
    door = Talker("door", places=Places({}, (passing("in", 1),)))
    gate = Talker("gate", places=Places({}, (passing("in", 1),)))
    registry.write([door.telemetry(NOW_S), gate.telemetry(NOW_S + 7200)])
    assert next(each for each in registry.sizes().tables if each.name == "passed").rows == 2
    while not registry.expire(NOW_S + 7300, Terms(hours_s=3600)).is_done:
        pass
    assert counts(registry) == [(2.0, "gate", "in", 1)]
    registry.forget("gate")
    assert counts(registry) == []


def test_where_room_is_short_the_oldest_go_and_a_day_stays(registry: Registry) -> None:
    door = Talker("door", places=Places({}, (passing("in", 1),)))
    for day in range(3):
        registry.write([door.telemetry(NOW_S + 86_400 * day)])
    while not registry.expire(NOW_S + 2.5 * 86_400, Terms(keep_bytes=1)).is_done:
        pass
    assert [each[0] for each in counts(registry, Span(NOW_S, NOW_S + 1e6))] == [48.0]
