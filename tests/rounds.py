"""How often a test that tries its luck does so: a longer run finds more."""

from __future__ import annotations

import os


def rounds(default: int) -> int:
    """VEDETTE_TEST_ROUNDS=N makes it N times as many."""
    return default * int(os.environ.get("VEDETTE_TEST_ROUNDS", "1"))
