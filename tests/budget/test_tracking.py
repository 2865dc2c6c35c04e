"""What it costs to follow boxes: a share of what finding them costs."""

from __future__ import annotations

import itertools
import time
from statistics import median

import numpy as np
import pytest

from runtime.engines import EngineOptions
from runtime.locating import locate
from runtime.opening import open_model
from runtime.tracking.tracker import Sighting, Tracker
from tests.budget.bill import at_most, ssd

pytestmark = pytest.mark.budget
FRAMES = 200


def follow_us(boxes: int, seed: int) -> float:
    """Median over the frames of a crowd that moves and trembles."""
    rng = np.random.default_rng(seed)
    places, speeds = rng.uniform(0, 1, (boxes, 2)), rng.uniform(-0.1, 0.1, (boxes, 2))
    tracker = Tracker(itertools.count(1), 0.5, 1.0, across_labels=False)
    took_us = []
    for k in range(FRAMES):
        now = (places + speeds * k / 30 + rng.normal(0, 0.001, places.shape)).tolist()
        seen = [Sighting(0, "x", 0.9, (x, y, 0.06, 0.06)) for x, y in now]
        before = time.perf_counter_ns()
        tracks = tracker.step(seen, k / 30)
        took_us.append((time.perf_counter_ns() - before) / 1e3)
    assert sum(track is not None for track in tracks) == boxes
    return median(took_us[10:])


def test_twenty_boxes_cost_a_small_share_of_finding_them() -> None:
    """SSD-320 on one thread is the least of a detector that finds twenty things."""
    with locate(ssd()) as located:
        model = open_model(located, EngineOptions(threads=1))
    seeds = itertools.count()

    def share() -> float:
        runs_us = []
        for _ in range(15):
            before = time.perf_counter_ns()
            model.engine.run()
            runs_us.append((time.perf_counter_ns() - before) / 1e3)
        return follow_us(20, next(seeds)) / median(runs_us)

    at_most(0.03, share)
    model.engine.close()


def test_ten_times_the_boxes_cost_no_more_than_fifteen_times() -> None:
    """No step of it grows with the square in plain Python."""
    seeds = itertools.count()

    def growth() -> float:
        seed = next(seeds)
        return follow_us(100, seed) / follow_us(10, seed)

    at_most(15, growth)
