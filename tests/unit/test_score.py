"""Accuracy and mAP50 against cases worked out by hand."""

from __future__ import annotations

import pytest

from runtime.score import Score, can_judge
from runtime.tasks import Box, Class


def box(x: float, score: float = 1.0, kind: int = 0, width: float = 10) -> Box:
    return Box(kind, str(kind), score, x, 0, width, 10)


def judged(*frames: tuple[tuple[Box, ...], tuple[Box, ...]]) -> float | None:
    score = Score()
    for found, truth in frames:
        score.add(found, truth)
    assert score.frames == len(frames)
    return score.value()


def test_top_1_is_the_share_of_frames_whose_best_class_is_right() -> None:
    score = Score()
    assert score.value() is None and score.quick() is None
    for best in (3, 3, 4, 3):
        score.add((Class(best, str(best), 0.9), Class(3, "3", 0.1)), (box(0, kind=3),))
    score.add((), (box(0, kind=3),))  # nothing found is wrong
    assert score.value() == score.quick() == 3 / 5


def test_all_found_is_one_and_nothing_found_is_zero() -> None:
    assert judged(((box(0, 0.9), box(50, 0.8)), (box(0), box(50)))) == 1
    assert judged(((), (box(0),))) == 0


def test_the_overlap_must_be_half() -> None:
    assert judged(((box(3.3),), (box(0),))) == 1  # 6.7 of 13.3: 0.504
    assert judged(((box(3.4),), (box(0),))) == 0  # 6.6 of 13.4: 0.493


def test_the_class_must_be_right() -> None:
    assert judged(((box(0, kind=1),), (box(0, kind=0),))) == 0


def test_a_truth_is_found_once() -> None:
    """Right, right again (so wrong), right: precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1."""
    found = (box(0, 0.9), box(1, 0.8), box(50, 0.7))
    assert judged((found, (box(0), box(50)))) == pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 3)


def test_a_doubtful_mistake_costs_less_than_a_sure_one() -> None:
    truth = (box(0),)
    assert judged(((box(0, 0.9), box(50, 0.1)), truth)) == 1
    assert judged(((box(0, 0.9), box(50, 0.95)), truth)) == pytest.approx(1 / 2)


def test_scores_are_ranked_over_all_frames() -> None:
    """Wrong 0.9; right 0.8; right 0.7; missed: precision 0, 1/2, 2/3 at recall 0, 1/3, 2/3.

    All points interpolated: 2/3 up to recall 2/3.
    """
    frames = (((box(50, 0.9), box(0, 0.7)), (box(0),)), ((box(0, 0.8),), (box(0), box(80))))
    assert judged(*frames) == pytest.approx(2 / 3 * 2 / 3)


def test_the_mean_is_over_the_classes_that_occur() -> None:
    """Class 0 all found, class 1 never; class 2 is found but never true: it has no curve."""
    found = (box(0, 0.9, 0), box(50, 0.9, 2))
    assert judged((found, (box(0, kind=0), box(80, kind=1)))) == 1 / 2


def test_the_best_fitting_truth_is_taken() -> None:
    truths = (box(0), box(4))
    assert judged(((box(4, 0.9), box(0, 0.8)), truths)) == 1


def test_no_truth_at_all_is_no_score() -> None:
    assert judged(((box(0),), ())) is None


def test_boxes_are_no_longer_kept_beyond_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.score.MOST_BOXES", 2)
    frames = [((box(0),), (box(0),))] * 3 + [((), (box(0),))] * 10
    assert judged(*frames) == 1  # the misses came after


def test_a_model_is_judged_only_by_truths_that_it_can_know() -> None:
    assert can_judge(("0", "1"), (box(0, kind=1),))
    assert not can_judge(("0", "1"), (box(0, kind=2),))
    assert not can_judge(("0", "1"), ())
    assert not can_judge((), (box(0),))
