"""A model made slower takes as much longer as was asked for, on one thread."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from runtime.engines import EngineOptions, open_engine
from runtime.locating import ZOO
from tests.budget.bill import TRIES
from tests.slowing import slow_model

pytestmark = pytest.mark.budget

DIGITS = ZOO / "digits" / "tflite"


@pytest.mark.parametrize("times", [30.0, 300.0])
def test_it_is_as_much_slower_as_was_asked_for(tmp_path: Path, times: float) -> None:
    ratios = []
    for attempt in range(TRIES):
        slow_model().make(DIGITS, folder := tmp_path / str(attempt), times, None)
        ratios.append(ratio(DIGITS / "digits.tflite", folder / "digits.tflite"))
        if 0.7 * times <= ratios[-1] <= 1.4 * times:
            return
    raise AssertionError(f"asked for {times:g} times, came out {ratios}")


def ratio(before: Path, after: Path) -> float:
    """By turns in one run, the quickest of each: other work on the machine meets both."""
    one, other = (open_engine("litert", path, EngineOptions(threads=1)) for path in (before, after))
    best = [float("inf"), float("inf")]
    for _ in range(20):
        for which, engine in enumerate((one, other)):
            engine.run()  # brings its weights back into the caches that the other one took
            started = time.perf_counter()
            engine.run()
            best[which] = min(best[which], time.perf_counter() - started)
    one.close()
    other.close()
    return best[1] / best[0]
