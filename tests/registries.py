"""What tests of registries have in common: what was said, and whether it is what is read."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fleet.registry.registry import Registry
from fleet.registry.words import Heard, Span
from tests.fleet_talk import NOW_S
from wire.histogram import Counts, merge
from wire.messages import StageCounts, Telemetry, parse

STAGES = ("queue", "preprocess", "inference", "postprocess", "end_to_end")
HOUR = Span(NOW_S - 10, NOW_S + 3600)
AFTER_S = NOW_S + 86_400  # all that was heard in tests is old enough to be rolled up
Open = Callable[[], Registry]


def windows_of(heard: list[Heard]) -> list[StageCounts]:
    told = [parse(each.payload, Telemetry) for each in heard if each.kind == "telemetry"]
    return [window.stages for record in told for window in record.pipelines.values()]


def same(found: StageCounts, told: list[StageCounts]) -> None:
    """All counts are the same; sums and limits are kept with seven digits."""
    for stage in STAGES:
        wanted: Counts = merge(getattr(each, stage) for each in told)
        got: Counts = getattr(found, stage)
        assert (got.count, got.offset, got.counts) == (wanted.count, wanted.offset, wanted.counts)
        assert got.sum_us == pytest.approx(wanted.sum_us, rel=1e-6)
        assert got.minimum_us == pytest.approx(wanted.minimum_us, rel=1e-6)
        assert got.maximum_us == pytest.approx(wanted.maximum_us, rel=1e-6)


def roll(registry: Registry, now_s: float = AFTER_S) -> None:
    while registry.roll_up(now_s):
        pass
