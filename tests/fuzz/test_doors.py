"""Every door is knocked at: what is wrong is refused in words, in time and in little memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.changing import MOST_CHANGES, MOST_NUMBER, Stock, changed
from tests.fuzz.door import Door, Opened, scratch, tried
from tests.fuzz.doors import DOORS
from tests.rounds import rounds

NUMBER = st.integers(0, MOST_NUMBER - 1)
CHANGES = st.lists(st.tuples(NUMBER, NUMBER, NUMBER), min_size=1, max_size=MOST_CHANGES)
GARBAGE_SHARE = 10  # one in so many is no changed seed at all


class Peak:
    """How much memory this process had at most since it was asked, in MiB."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")
        self._before = self._read("VmRSS")

    def grown_mib(self) -> float:
        return (self._read("VmHWM") - self._before) / 1024

    @staticmethod
    def _read(name: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name))


@pytest.fixture
def opened(door: Door) -> Iterator[Opened]:
    with scratch() as folder, ExitStack() as last:
        yield door.open(folder, last)


def knock(door: Door, opened: Opened, content: bytes) -> None:
    started_s = time.monotonic()
    tried(opened.attempt, content[: door.most_bytes])
    assert time.monotonic() - started_s < 10 * door.limit_s, "it took too long, even here"


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
def test_seeds_are_taken(door: Door, opened: Opened) -> None:
    """Else a door is tried with what nobody would send, and its inner rooms never."""
    outcomes = [tried(opened.attempt, seed) for seed in opened.seeds]
    assert "taken" in outcomes


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
def test_whatever_comes(door: Door, opened: Opened) -> None:
    if not door.examples:
        pytest.skip("too slow for the suite: scripts/fuzz tries it")
    stock = Stock(door.form, door.words, opened.seeds)
    peak = Peak()

    @settings(
        max_examples=rounds(door.examples),
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(opened.seeds), CHANGES, st.binary(max_size=200), NUMBER)
    def whatever(
        seed: bytes, changes: list[tuple[int, int, int]], garbage: bytes, dice: int
    ) -> None:
        content = garbage if dice % GARBAGE_SHARE == 0 else changed(seed, changes, stock)
        knock(door, opened, content)

    whatever()
    assert peak.grown_mib() < door.most_mib + 32, "hypothesis itself needs some"
