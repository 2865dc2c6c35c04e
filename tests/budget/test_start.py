"""From the start of the process to the first answer, and its peak memory."""

from __future__ import annotations

import pytest

from tests.budget.bill import at_most, command, mobilenet

pytestmark = pytest.mark.budget


def test_start_to_first_result_with_the_digits_model() -> None:
    """1.2 s on a quiet machine; a shared one gets twice that."""
    words = ("run", "--model", "digits", "--camera", "synthetic://640x480", "--frames", "1")
    at_most(2.4, lambda: command(*words, "--json")["first_result_s"])


def test_peak_memory_with_mobilenet() -> None:
    words = ("run", "--model", str(mobilenet()), "--camera", "synthetic://640x480")
    assert command(*words, "--frames", "50", "--json")["peak_rss_mib"] <= 100
