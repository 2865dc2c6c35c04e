"""What every registry keeps and what it lets go, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import threading

from fleet.registry.registry import Registry
from fleet.registry.words import EventQuery, Scope, Span, Terms
from tests.fleet_talk import NOW_S, Talker
from tests.registries import HOUR, Open, roll, same, windows_of


def test_what_is_too_old_goes_and_longer_stretches_stay(registry: Registry) -> None:
    door = Talker("door")
    heard = [door.telemetry(NOW_S + 60 * turn) for turn in range(120)]
    registry.write([*heard, door.event(NOW_S, "the camera went away")])
    day = 86_400.0
    terms = Terms(fine_s=2 * day, tens_s=10 * day, hours_s=20 * day, events_s=5 * day)
    span = Span(NOW_S - 5, NOW_S + 7200)

    def rows(table: str) -> int:
        return next(each.rows for each in registry.sizes().tables if each.name == table)

    def expire(at_s: float) -> None:
        while not registry.expire(at_s, terms).is_done:
            pass

    expire(NOW_S + 3 * day)
    assert rows("fine") == 120  # nothing else has it yet
    roll(registry)
    expire(NOW_S + 3 * day)
    assert (rows("fine"), rows("vital"), rows("tens"), rows("event")) == (0, 0, 12, 1)
    same(registry.latency(span, Scope(devices=["door"])), windows_of(heard))
    expire(NOW_S + 11 * day)
    assert (rows("tens"), rows("hour"), rows("event")) == (0, 2, 0)
    same(registry.latency(span, Scope(devices=["door"])), windows_of(heard))
    assert sum(each.frames for each in registry.windows("door", "lane", span)) == 120 * 30
    expire(NOW_S + 21 * day)
    assert (rows("hour"), rows("together"), rows("vital_hour")) == (0, 0, 0)
    assert registry.write([heard[3]]).duplicates == 1
    assert registry.device("door") is not None


def test_nothing_goes_before_longer_stretches_have_it(registry: Registry) -> None:
    door = Talker("door")
    heard = [door.telemetry(NOW_S + 60 * turn) for turn in range(30)]
    registry.write(heard)
    roll(registry, NOW_S + 1900)  # into ten minutes; their hour has not ended
    soon = Terms(fine_s=0.0, tens_s=0.0, hours_s=86_400.0)
    while not registry.expire(NOW_S + 7200, soon).is_done:
        pass
    span = Span(NOW_S - 5, NOW_S + 3600)
    same(registry.latency(span, Scope(devices=["door"])), windows_of(heard))
    roll(registry)
    while not registry.expire(NOW_S + 7200, soon).is_done:
        pass
    assert {each.name: each.rows for each in registry.sizes().tables}["tens"] == 0
    same(registry.latency(span, Scope(devices=["door"])), windows_of(heard))


def test_a_device_can_be_forgotten(again: Open) -> None:
    registry, other = again(), again()
    door, gate = Talker("door"), Talker("gate")
    registry.write([door.telemetry(NOW_S), door.event(NOW_S, "so"), gate.telemetry(NOW_S)])
    roll(registry)
    mark = registry.changed(0).mark
    registry.forget("door")
    registry.forget("nobody")
    (known,) = registry.changed(mark).devices
    assert known.name == "door" and known.is_removed and known.telemetry is None
    assert registry.windows("door", "lane", HOUR) == ()
    assert [row.device for row in registry.events(EventQuery()).events] == []
    assert len(registry.windows("gate", "lane", HOUR)) == 1
    assert other.write([door.telemetry(NOW_S + 20)]).stored == 1
    assert len(registry.windows("door", "lane", HOUR)) == 1


def test_one_of_all_has_a_lease(again: Open) -> None:
    one, other = again(), again()
    assert one.take_lease("keeper", "one", 100.0, 30.0)
    assert not other.take_lease("keeper", "other", 110.0, 30.0)
    assert one.take_lease("keeper", "one", 120.0, 30.0)
    assert not other.take_lease("keeper", "other", 149.0, 30.0)
    assert other.take_lease("keeper", "other", 151.0, 30.0)
    assert not one.take_lease("keeper", "one", 152.0, 30.0)
    other.give_lease_back("keeper", "other")
    assert one.take_lease("keeper", "one", 153.0, 30.0)


def test_a_lease_has_one_holder_also_when_all_ask_at_once(again: Open) -> None:
    several = [again() for _ in range(4)]
    for turn in range(10):
        together = threading.Barrier(len(several))
        took: list[int] = []

        def ask(number: int, turn: int = turn, together: threading.Barrier = together,
                took: list[int] = took) -> None:  # fmt: skip
            together.wait()
            if several[number].take_lease(f"job {turn}", str(number), 100.0, 30.0):
                took.append(number)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(several))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(took) == 1


def test_a_registry_is_the_same_when_it_is_opened_again(again: Open) -> None:
    door = Talker("door")
    heard = [door.telemetry(NOW_S + 10 * turn) for turn in range(5)]
    first = again()
    first.write(heard)
    before = first.changed(0)
    first.close()
    second = again()
    assert second.changed(0) == before
    assert second.write(heard).duplicates == 5
