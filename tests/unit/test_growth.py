"""A model that takes ever more memory is told from one that took what it needs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from agent.update.gates import Bar
from agent.update.growth import MOST, Growth
from tests.update_bench import Runtime
from wire.local import Totals

TRIAL = Bar(trial_s=300.0)
LIMITED = Bar(trial_s=300.0, memory_mb=100.0)


@pytest.fixture
def totals() -> Totals:
    runtime = Runtime(None)  # type: ignore[arg-type]
    runtime.count(1.0)
    return runtime.totals()


def grown(totals: Totals, sizes_mb: Sequence[float], every_s: float = 10.0) -> Growth:
    growth = Growth()
    for number, size_mb in enumerate(sizes_mb):
        growth.hear(replace(totals, seconds=number * every_s, rss_bytes=int(size_mb * 1e6)))
    return growth


@pytest.mark.parametrize(
    ("sizes_mb", "word"),
    [
        ([80.0 + 3 * look for look in range(30)], "did not stop"),
        ([80.0 + 1.2 * look for look in range(30)], "did not stop"),
        ([80.0 + 0.5 * look for look in range(30)], None),  # slower than a trial can tell
        ([80.0] * 10 + [140.0] * 20, None),  # a preview was opened: once
        ([80.0] * 10 + [140.0] * 10 + [200.0] * 10, None),
        ([80.0, 300.0] + [90.0] * 28, None),  # while it settles
        ([80.0, 82.0, 79.0] * 10, None),
        ([500.0 - look for look in range(30)], None),
        ([80.0, 90.0, 100.0, 110.0, 120.0], None),  # too few
        ([80.0 + 20 * look for look in range(9)], "from 100 to 240 MB in 70 s"),
        ([], None),
    ],
)
def test_growth_that_does_not_stop(totals: Totals, sizes_mb: list[float], word: str | None) -> None:
    failure = grown(totals, sizes_mb).failure(TRIAL)
    assert (failure is None) == (word is None), failure
    assert failure is None or word in failure.reason


@pytest.mark.parametrize(
    ("sizes_mb", "word"),
    [
        ([80.0, 80.0, 90.0, 105.0], "from 80 to 105 MB in 20 s, 100 MB is the limit"),
        ([80.0, 80.0, 90.0, 99.0], None),
        (
            [120.0, 120.0, 125.0, 130.0],
            None,
        ),  # it was so large: the check judged it
        ([120.0, 120.0, 125.0, 140.0], "100 MB is the limit"),
    ],
)
def test_the_limit_of_its_manifest(totals: Totals, sizes_mb: list[float], word: str | None) -> None:
    failure = grown(totals, sizes_mb).failure(LIMITED)
    assert (failure is None) == (word is None), failure
    assert failure is None or word in failure.reason


def test_another_process_begins_anew_and_what_is_unknown_says_nothing(totals: Totals) -> None:
    growth = grown(totals, [80.0 + 20 * look for look in range(30)])
    growth.begin()
    assert growth.failure(TRIAL) is None
    for _ in range(10):
        growth.hear(replace(totals, rss_bytes=None))
    assert growth.failure(LIMITED) is None


def test_a_day_of_looks_is_as_short_as_an_hour(totals: Totals) -> None:
    growth = grown(totals, [80.0 + 0.01 * look for look in range(10_000)], every_s=1.0)
    assert len(growth._looks) <= MOST
    assert "did not stop" in growth.failure(TRIAL).reason  # type: ignore[union-attr]
