"""What finding boxes in full-size outputs may cost: a few plain passes over as many values."""

from __future__ import annotations

import pytest

from tests.budget.bill import at_most
from tests.budget.decoding import CASES, Case, measured

pytestmark = pytest.mark.budget

# Two on a quiet machine, where one pass takes 0.08 ms (docs/performance.md has figures). Comparing
# within rows of 84 would take 5, to dequantise all of them first more.
PASSES = 3.5


@pytest.mark.parametrize("case", CASES, ids=str)
def test_decoding_takes_few_passes(case: Case) -> None:
    def ratio() -> float:
        figure = measured(case)
        assert 10 <= figure.found <= 16, "all that can be seen, and each once"
        return figure.ratio

    at_most(PASSES, ratio)
