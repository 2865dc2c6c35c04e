"""Latency as counts: percentiles come close, and adding up is exact."""

from __future__ import annotations

import math
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.histogram import Counts, Histogram, merge

DURATIONS = st.lists(st.integers(1_000, 10**11), min_size=1, max_size=300)


def counted(durations_ns: list[int]) -> Counts:
    histogram = Histogram()
    for duration in durations_ns:
        histogram.record_ns(duration)
    return histogram.counts()


@given(DURATIONS, st.sampled_from([0.01, 0.5, 0.95, 0.99, 1.0]))
def test_a_percentile_is_within_five_percent_of_the_exact_one(
    durations: list[int], share: float
) -> None:
    exact = sorted(durations)[max(0, math.ceil(share * len(durations)) - 1)] / 1000
    assert counted(durations).percentile(share) == pytest.approx(exact, rel=0.05)


def test_percentiles_of_many_values_that_look_like_latencies() -> None:
    draw = random.Random(7)
    durations = [int(draw.lognormvariate(15, 0.6)) for _ in range(20_000)]
    for share in (0.5, 0.9, 0.95, 0.99):
        exact = sorted(durations)[int(share * len(durations))] / 1000
        assert counted(durations).percentile(share) == pytest.approx(exact, rel=0.025)


@given(st.lists(DURATIONS, min_size=1, max_size=5))
def test_merged_windows_are_the_histogram_of_everything(windows: list[list[int]]) -> None:
    merged = merge(map(counted, windows))
    whole = counted([duration for window in windows for duration in window])
    assert merged.sum_us == pytest.approx(whole.sum_us)
    assert msgspec.structs.replace(merged, sum_us=0.0) == msgspec.structs.replace(whole, sum_us=0.0)


def test_nothing_recorded_has_no_percentile() -> None:
    assert Histogram().counts().percentile(0.5) is None
    assert merge([]) == merge([Histogram().counts()]) == Histogram().counts()


@given(st.integers(-(10**18), 10**18))
def test_any_duration_is_counted(duration: int) -> None:
    counts = counted([duration])
    assert counts.count == sum(counts.counts) == 1


@given(DURATIONS)
def test_survives_the_wire(durations: list[int]) -> None:
    counts = counted(durations)
    assert msgspec.json.decode(msgspec.json.encode(counts), type=Counts) == counts
