"""What the loop may cost beside the bare engine call: ratios of neighbours in one run."""

from __future__ import annotations

import pytest

from tests.budget.bill import DIGITS, at_most, bill, mobilenet, ssd

pytestmark = pytest.mark.budget

# The aims are for a quiet machine (docs/performance.md has figures); a shared one gets some room.
ROOM = 0.02
AIMS = {
    "synthetic://224x224": 1.03,
    "synthetic://640x480": 1.07,
    "synthetic://640x480?format=YUYV": 1.05,
}


@pytest.mark.parametrize("camera", AIMS)
def test_mobilenet(camera: str) -> None:
    at_most(AIMS[camera] + ROOM, lambda: bill(mobilenet(), camera)["overhead_ratio"])


def test_ssd() -> None:
    at_most(1.045 + ROOM, lambda: bill(ssd(), "synthetic://640x480", 150)["overhead_ratio"])


def test_the_loops_own_share_is_small() -> None:
    """25 us on a quiet machine (docs/performance.md); a shared one gets room. With the null engine:
    what our own code costs, without the caches that a model empties."""
    at_most(75, lambda: bill(DIGITS, "synthetic://224x224", engine="null")["own_us"]["p50"])


def test_memory_and_system_calls() -> None:
    figures = bill(mobilenet(), "synthetic://640x480")
    assert figures["allocated_bytes_per_frame"] < 16_384
    assert figures["peak_rss_mib"] <= 100
    if figures["system_calls_per_frame"] is not None:
        assert figures["system_calls_per_frame"] < 5
