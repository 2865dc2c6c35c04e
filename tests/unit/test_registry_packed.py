"""Packed histograms are what was packed, and their sums are those of the histograms."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.registry.packed import (
    EMPTY,
    MOST_COUNT,
    STAGES,
    merged,
    merged_by,
    pack,
    unpack,
)
from fleet.registry.words import NO_STAGES
from tests.fleet_talk import stages
from wire.histogram import BUCKETS, Counts, merge
from wire.messages import StageCounts


@st.composite
def counts(draw: st.DrawFn) -> Counts:
    buckets = tuple(draw(st.lists(st.integers(0, 1 << 34), max_size=8)))
    offset = draw(st.integers(0, BUCKETS - 8))
    if not any(buckets):
        return Counts(0, 0.0, 0, ())
    used = [place for place, count in enumerate(buckets) if count]
    buckets = buckets[used[0] : used[-1] + 1]
    least = draw(st.floats(1, 1e6, width=32))
    most = least + draw(st.floats(0, 1024, width=16))
    limits = struct.unpack("<ff", struct.pack("<ff", least, most))
    return Counts(sum(buckets), float(1 << 20), offset + used[0], buckets, *limits)


many = st.lists(st.builds(StageCounts, *[counts()] * 5), min_size=1, max_size=6)


@given(many)
def test_what_is_packed_comes_out_again(told: list[StageCounts]) -> None:
    assert [unpack(pack(each)) for each in told] == told


@given(many)
def test_all_of_them_in_one(told: list[StageCounts]) -> None:
    found = unpack(merged([pack(each) for each in told]))
    for stage in STAGES:
        assert getattr(found, stage) == merge(getattr(each, stage) for each in told)


def test_in_groups() -> None:
    chance = random.Random(1)
    told = [stages(chance, chance.randint(0, 400)) for _ in range(1300)]
    groups = [chance.randrange(1100) for _ in told]
    found = merged_by([pack(each) for each in told], groups, 1100)
    for group in range(1100):
        of = [each for each, number in zip(told, groups, strict=True) if number == group]
        for stage in STAGES:
            wanted = merge(getattr(each, stage) for each in of)
            got: Counts = getattr(unpack(found[group]), stage)
            assert (got.count, got.offset, got.counts) == (
                wanted.count, wanted.offset, wanted.counts,
            )  # fmt: skip


def test_nothing_in_it() -> None:
    assert merged([]) == EMPTY
    assert unpack(EMPTY) == NO_STAGES
    assert merged_by([], [], 2) == [EMPTY, EMPTY]


@pytest.mark.parametrize(
    "strange",
    [
        Counts(5, 1.0, 0, (1, 2), 1.0, 2.0),  # says more than it has
        Counts(3, 1.0, 0, (1, 2), None, None),
        Counts(0, 0.0, BUCKETS, (1,) * BUCKETS, 1.0, 2.0),
        Counts(0, 0.0, BUCKETS - 3, (1,) * BUCKETS, 1.0, 2.0),
        Counts(1, 1e18, 0, (2**63 - 1,) * BUCKETS, 0.0, 1e15),
        Counts(0, 0.0, 0, (0,) * BUCKETS, 1.0, 1.0),
    ],
)
def test_what_contradicts_itself_is_made_right(strange: Counts) -> None:
    told = StageCounts(*[strange] * 5)
    found = unpack(merged([pack(told), pack(told)])).queue
    assert found.count == sum(found.counts)
    assert found.offset + len(found.counts) <= BUCKETS
    assert found.count <= 2 * MOST_COUNT * BUCKETS
    assert unpack(pack(told)).queue.percentile(0.5) is None or found.count
