"""A camera that is gone is tried again in time, not all the time."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from runtime.cameras.retry import Retry
from tests.by_hand import HandClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HandClock:
    clock = HandClock()
    by_hand = SimpleNamespace(monotonic=clock, sleep=clock.sleep)
    monkeypatch.setattr("runtime.cameras.retry.time", by_hand)
    return clock


def pauses(retry: Retry, clock: HandClock, count: int) -> list[float]:
    """Between attempts in vain."""
    found = []
    for _ in range(count):
        retry.postpone()
        began_s = clock()
        assert retry.wait(began_s + 60)
        found.append(clock() - began_s)
    return found


def test_the_first_attempt_is_at_once(clock: HandClock) -> None:
    began_s = clock()
    assert Retry().wait(began_s) and clock() == began_s


def test_pauses_are_as_long_as_said(clock: HandClock) -> None:
    assert pauses(Retry(), clock, 3) == [0.5, 0.5, 0.5]
    rare = Retry(last_s=3.0)
    assert pauses(rare, clock, 5) == [0.5, 1.0, 2.0, 3.0, 3.0]
    rare.reset()
    assert pauses(rare, clock, 2) == [0.5, 1.0]


def test_nobody_waits_longer_than_told(clock: HandClock) -> None:
    retry = Retry()
    retry.postpone()
    began_s = clock()
    assert not retry.wait(began_s + 0.2) and clock() == began_s + 0.2
    assert not retry.wait(began_s) and clock() == began_s + 0.2
    assert retry.wait(began_s + 0.5) and clock() == pytest.approx(began_s + 0.5)
