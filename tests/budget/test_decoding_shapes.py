"""What maps, masks and keypoints may cost to decode: a few plain passes over as many values."""

from __future__ import annotations

import pytest

from tests.budget.bill import at_most
from tests.budget.decoding_shapes import CASES, Case, measured

pytestmark = pytest.mark.budget

# Twice what a quiet machine takes. numpy's argmax over a map, OpenCV's exact shrinking of each
# mask, or all prototypes mixed for each object would take two to four times as long.
PASSES = {
    "map of 21 classes, 257 x 257, NHWC": 9,
    "map of 21 classes, 257 x 257, NCHW": 6,
    "map of 21 classes, 257 x 257, NHWC, int8": 24,
    "class numbers, 512 x 512, int64": 5,
    "YOLOv8-seg, 80 classes, 16 objects": 8,
    "YOLOv8-pose, 17 points, 16 bodies": 11,
    "heat maps of 17 points, 96 x 96": 10,
}


@pytest.mark.parametrize("case", [each for each in CASES if each.name in PASSES], ids=str)
def test_decoding_takes_few_passes(case: Case) -> None:
    def ratio() -> float:
        figure = measured(case)
        assert figure.found >= (1 if "heat" in case.name else 14), "else there is little to do"
        return figure.ratio

    at_most(PASSES[case.name], ratio)
