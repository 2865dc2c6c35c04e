"""Every number counts once, in whatever order numbers come, and acks never say too much."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.registry.spools import MOST_BEYOND, Spool, from_row, new_spool, to_row
from wire.troubles import Refused


def stored_again(spool: Spool) -> Spool:
    """As it comes back from the database."""
    return from_row(*to_row(spool))


@given(st.lists(st.integers(0, 60), min_size=1, max_size=200))
def test_each_number_is_new_once(numbers: list[int]) -> None:
    spool = new_spool(0, 0.0)
    seen: set[int] = set()
    for number in numbers:
        spool = stored_again(spool)
        assert spool.take(number, 0, 1.0) == (number not in seen)
        seen.add(number)
        below = next(n for n in range(100) if n not in seen) - 1
        assert spool.floor == below
        assert spool.lost == 0


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=100))
def test_whatever_a_device_says_of_its_oldest(told: list[tuple[int, int]]) -> None:
    """The floor never falls, never leaves out what can still come, and what is lost is counted."""
    spool = new_spool(min(told[0]), 0.0)
    seen: set[int] = set()
    floor = spool.floor
    highest_oldest = min(told[0])
    for seq, oldest in told:
        spool = stored_again(spool)
        assert spool.take(seq, oldest, 1.0) == (seq not in seen)
        seen.add(seq)
        highest_oldest = max(highest_oldest, min(seq, oldest))
        assert spool.floor >= floor
        floor = spool.floor
        assert all(n in seen or n < highest_oldest for n in range(floor + 1))
        assert floor + 1 not in seen
        missing = [n for n in range(spool.began, floor + 1) if n not in seen]
        assert spool.lost == len(missing)


def test_gaps_without_end_are_refused_and_then_filled() -> None:
    spool = new_spool(1, 0.0)
    for number in range(MOST_BEYOND):
        assert spool.take(3 + 2 * number, 1, 0.0)
    with pytest.raises(Refused, match="too many gaps"):
        spool.take(10_000, 1, 0.0)
    assert spool.floor == 0
    assert spool.take(1, 1, 0.0) and spool.take(2, 1, 0.0)
    assert spool.floor == 3
    assert spool.take(10_000, 1, 0.0)


def test_the_largest_numbers_that_there_are() -> None:
    spool = new_spool(2**63 - 1, 0.0)
    assert spool.take(2**63 - 1, 2**63 - 1, 0.0)
    assert stored_again(spool).floor == 2**63 - 1
