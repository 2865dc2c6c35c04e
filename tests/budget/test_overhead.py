"""What the loop may cost beside the bare engine call: ratios of neighbours in one run."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from tests.budget.bill import DIGITS, at_most, bill, mobilenet, ssd

pytestmark = pytest.mark.budget

# The aims are for a quiet machine (docs/performance.md has figures); a shared one gets some room.
ROOM = 0.02
USUAL = "synthetic://640x480"
AIMS = {
    "synthetic://224x224": 1.03,
    USUAL: 1.07,
    "synthetic://640x480?format=YUYV": 1.05,
}


@functools.cache
def first_bill() -> Any:
    """Of the camera that most have: one run says all that is asked of it."""
    return bill(mobilenet(), USUAL)


@pytest.mark.parametrize("camera", AIMS)
def test_mobilenet(camera: str) -> None:
    tries = iter([first_bill] if camera == USUAL else [])

    def ratio() -> float:
        again = next(tries, lambda: bill(mobilenet(), camera))
        return float(again()["overhead_ratio"])

    at_most(AIMS[camera] + ROOM, ratio)


def test_ssd() -> None:
    at_most(1.045 + ROOM, lambda: bill(ssd(), USUAL, 150)["overhead_ratio"])


def test_the_loops_own_share_is_small() -> None:
    """25 us on a quiet machine (docs/performance.md); a shared one gets room. With the null engine:
    what our own code costs, without the caches that a model empties."""
    at_most(75, lambda: bill(DIGITS, "synthetic://224x224", engine="null")["own_us"]["p50"])


def test_memory_and_system_calls() -> None:
    figures = first_bill()
    assert figures["allocated_bytes_per_frame"] < 16_384
    assert figures["peak_rss_mib"] <= 100
    if figures["system_calls_per_frame"] is not None:
        assert figures["system_calls_per_frame"] < 5
