"""The order of the fetch thread's work."""

from __future__ import annotations

import threading

import pytest

from agent.fetch.plan import BELL_S, GAP_S, HOUR_S, MOST_AGAIN_S, Examine, Get, Plan, Refresh, Sweep
from wire.release import Variant
from wire.trust.trust import Bundle


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def plan_of(clock: Clock, spread_s: float = 0.0, chance: float = 0.5) -> Plan:
    return Plan(spread_s, clock, lambda: chance)


def bundle(digit: str) -> Bundle:
    path = f"models/digits/{digit}/tflite.zip"
    return Bundle(path, digit * 64, 1000, Variant("digits", digit, "tflite"))


def due(plan: Plan) -> object:
    """The job that is due now, or None."""
    return plan._due()


def test_nothing_is_swept_before_it_is_known_what_is_wanted(clock: Clock) -> None:
    plan = plan_of(clock)
    plan.sweep()
    assert due(plan) is None
    plan.want((), frozenset())
    assert due(plan) == Sweep(frozenset(), frozenset())


def test_what_is_fetched_waits_for_a_model_that_may_be_damaged(clock: Clock) -> None:
    plan = plan_of(clock)
    plan.want((bundle("1"),), frozenset())
    assert isinstance(due(plan), Sweep)
    get = due(plan)
    assert isinstance(get, Get) and not plan.is_over(get)
    for _ in range(2):
        plan.examine("a" * 64)
    assert plan.is_over(get), "it takes hours, and goes on where it was"
    assert due(plan) == Examine("a" * 64)
    assert due(plan) == get, "once"


def test_looks_soon_when_what_was_refused_may_be_right(clock: Clock) -> None:
    plan = plan_of(clock)
    plan.connected()
    clock.now_s += BELL_S
    for _ in range(9):
        assert due(plan) == Refresh(None)
        plan.not_refreshed()
        clock.now_s += MOST_AGAIN_S + 1.0
    assert due(plan) == Refresh(None)
    plan.not_refreshed()
    clock.now_s += GAP_S
    assert due(plan) is None
    plan.look()
    assert due(plan) == Refresh(None)


def test_looks_when_it_is_connected_and_every_hour(clock: Clock) -> None:
    plan = plan_of(clock)
    assert due(plan) is None
    plan.connected()
    assert due(plan) is None, "the bell may come with the connection"
    clock.now_s += BELL_S
    assert due(plan) == Refresh(None)
    assert due(plan) is None
    plan.refreshed(None)
    clock.now_s += HOUR_S * 1.11
    assert due(plan) == Refresh(None)


def test_the_bell_gives_what_it_says_and_the_same_twice_is_no_news(clock: Clock) -> None:
    plan = plan_of(clock)
    plan.ring(b"1")
    assert due(plan) == Refresh(b"1")
    plan.refreshed(None)
    clock.now_s += GAP_S
    plan.ring(b"1")
    assert due(plan) is None
    plan.ring(b"2")
    assert due(plan) == Refresh(b"2")


def test_a_bell_that_says_what_was_found_is_no_news(clock: Clock) -> None:
    plan = plan_of(clock)
    plan.connected()
    clock.now_s += BELL_S
    assert due(plan) == Refresh(None)
    plan.ring(b"1")  # while we look
    plan.refreshed(b"1")
    clock.now_s += GAP_S
    assert due(plan) is None
    plan.ring(b"1")
    clock.now_s += GAP_S
    assert due(plan) is None


def test_a_flood_of_bells_costs_little(clock: Clock) -> None:
    plan = plan_of(clock)
    looks = 0
    for number in range(1000):
        plan.ring(str(number).encode())
        clock.now_s += 0.01
        if due(plan) is not None:
            looks += 1
            plan.refreshed(None)
    assert looks <= 11


def test_devices_wake_apart(clock: Clock) -> None:
    plan = plan_of(clock, spread_s=10.0, chance=0.7)
    plan.ring(b"1")
    clock.now_s += 6.9
    assert due(plan) is None
    clock.now_s += 0.2
    assert due(plan) == Refresh(b"1")


def test_a_failure_is_followed_by_another_try_later_and_later(clock: Clock) -> None:
    plan = plan_of(clock)
    plan.ring(b"1")
    waits = []
    for _ in range(12):
        assert due(plan) is not None
        plan.not_refreshed()
        begin_s = clock.now_s
        while plan._refresh_s > clock.now_s:
            clock.now_s = plan._refresh_s
        waits.append(clock.now_s - begin_s)
    assert max(waits) <= MOST_AGAIN_S + 1
    assert min(waits) >= 1.0, "nobody is asked without pause"
    plan.ring(b"1")  # the depot rings again what we could not use
    assert due(plan) is not None


def test_metadata_comes_before_bundles_and_ends_one_that_is_fetched(clock: Clock) -> None:
    plan = plan_of(clock)
    plan.want((bundle("1"), bundle("2")), frozenset())
    assert isinstance(due(plan), Sweep)
    get = due(plan)
    assert get == Get(bundle("1"), frozenset())
    assert isinstance(get, Get)
    assert not plan.is_over(get)
    plan.ring(b"1")
    assert plan.is_over(get)
    assert due(plan) == Refresh(b"1")
    assert not plan.is_over(get)
    assert due(plan) == get, "it goes on afterwards"
    plan.want((bundle("2"),), frozenset())
    assert plan.is_over(get), "nobody wants it any more"


def test_what_cannot_be_had_lets_others_pass(clock: Clock) -> None:
    plan = plan_of(clock)
    plan.want((bundle("1"), bundle("2")), frozenset())
    due(plan)
    plan.pause(bundle("1").digest)
    assert due(plan) == Get(bundle("2"), frozenset())
    plan.done(bundle("2").digest)
    assert due(plan) is None
    clock.now_s += 12
    assert due(plan) == Get(bundle("1"), frozenset())
    plan.pause(bundle("1").digest)
    plan.sweep()  # there may be room now
    assert isinstance(due(plan), Sweep)
    assert due(plan) == Get(bundle("1"), frozenset())


def test_who_waits_is_woken(clock: Clock) -> None:
    plan = plan_of(clock)
    taken: list[object] = []
    thread = threading.Thread(target=lambda: taken.append(plan.take()))
    thread.start()
    plan.ring(b"1")
    thread.join(10)
    assert taken == [Refresh(b"1")]
    thread = threading.Thread(target=lambda: taken.append(plan.take()))
    thread.start()
    plan.end()
    thread.join(10)
    assert taken == [Refresh(b"1"), None]
