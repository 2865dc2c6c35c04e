"""Waiting between attempts: longer each time, scattered, and anew after a good connection."""

from __future__ import annotations

import random

from wire.backoff import Backoff


def test_limits_double_up_to_the_last() -> None:
    backoff = Backoff(chance=lambda: 1.0)
    assert [backoff.next_s() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_connection_that_lasted_begins_anew() -> None:
    backoff = Backoff(steady_s=10, chance=lambda: 1.0)
    for _ in range(5):
        backoff.next_s()
    assert backoff.next_s(9.9) == 32
    assert backoff.next_s(10.0) == 1
    assert backoff.next_s(0.0) == 2


def test_a_fleet_does_not_come_back_at_one_moment() -> None:
    chance = random.Random(1)
    fleet = [Backoff(first_s=32, chance=chance.random) for _ in range(1000)]
    waits = [backoff.next_s() for backoff in fleet]
    per_second = [sum(1 for wait in waits if int(wait) == second) for second in range(32)]
    assert sum(per_second) == 1000
    assert max(per_second) < 60  # 31 on average
