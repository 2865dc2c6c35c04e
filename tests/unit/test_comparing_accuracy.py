"""Accuracy in the workshop: cases worked out by hand, and the runtime's own score."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from runtime.frames import Frame, packed
from runtime.locating import ZOO
from runtime.score import Score
from runtime.tasks import Box, Class, Found, Stats
from wire.troubles import Refused
from workshop.comparing.accuracy import NOTHING, Accuracy, Confused, accuracy
from workshop.comparing.answers import Answer, answers_of, opened
from workshop.comparing.boxes import STEPS, average_precisions, matched
from workshop.samples import Sample, Truth

LABELS = ("cat", "dog", "hen")


def box(x: float, score: float = 1.0, kind: int = 0, width: float = 10) -> Box:
    return Box(kind, LABELS[kind], score, x, 0, width, 10)


def said(*order: int) -> tuple[Class, ...]:
    return tuple(Class(index, str(index), 0.9 - place / 10) for place, index in enumerate(order))


def judged(task: str, truth: str, *pairs: tuple[Found, tuple[Box, ...] | None]) -> Accuracy | None:
    answers = [Answer(str(place), true, found) for place, (found, true) in enumerate(pairs)]
    return accuracy(answers, task, truth, LABELS)  # type: ignore[arg-type]


def test_classes_are_counted_one_by_one() -> None:
    seen = judged(
        "classify", "classes",
        (said(0, 1), (box(0, kind=0),)), (said(1, 0), (box(0, kind=0),)),
        (said(1, 2), (box(0, kind=1),)), ((), (box(0, kind=2),)),
        (said(0), None),
    )  # fmt: skip
    assert seen is not None
    assert (seen.samples, seen.top1, seen.top5, seen.map50) == (4, 2 / 4, 3 / 4, None)
    assert (seen.metric, seen.value) == ("top1", 0.5)
    cat, dog, hen = seen.classes
    assert (cat.label, cat.truths, cat.found, cat.precision, cat.recall) == ("cat", 2, 1, 1, 0.5)
    assert (dog.precision, dog.recall) == (0.5, 1)
    assert (hen.found, hen.precision, hen.recall) == (0, None, 0)
    assert Confused(0, 1, 1) in seen.confusion and Confused(2, NOTHING, 1) in seen.confusion


def test_boxes_are_counted_by_what_they_lie_on() -> None:
    found = (box(0, 0.9), box(100, 0.8, kind=2), box(300, 0.7, kind=1))
    true = (box(0), box(100, kind=1), box(200, kind=1))
    seen = judged("detect", "boxes", (found, true))
    assert seen is not None
    assert seen.confusion == (
        Confused(NOTHING, 1, 1), Confused(0, 0, 1), Confused(1, NOTHING, 1), Confused(1, 2, 1),
    )  # fmt: skip
    assert (seen.map50, seen.map50_95, seen.metric) == (0.5, 0.5, "map50")
    assert [each.ap50 for each in seen.classes] == [1, 0, None]


def test_a_looser_box_is_right_at_fewer_overlaps() -> None:
    """6.7 of 13.3 is 0.504, 9 of 11 is 0.818."""
    areas = average_precisions([((box(3.3),), (box(0),))])[0]
    assert areas.tolist() == [1] + [0] * 9
    areas = average_precisions([((box(1),), (box(0),))])[0]
    assert areas.tolist() == [1.0 if step <= 0.8 else 0.0 for step in STEPS]


def test_a_truth_is_taken_by_the_surest_box_once() -> None:
    found = [box(1, 0.5), box(0, 0.9, kind=2), box(2, 0.4)]
    assert matched(found, [box(0)]) == [None, 0, None]
    assert matched(found, [box(0), box(1)]) == [1, 0, None]
    assert matched(found, []) == [None, None, None]
    assert matched([], [box(0)]) == []


@pytest.mark.parametrize("seed", range(5))
def test_map50_is_the_runtimes_own(seed: int) -> None:
    dice = random.Random(seed)
    score, pairs = Score(), []
    for _ in range(40):
        true = tuple(box(dice.uniform(0, 60), kind=dice.randrange(3)) for _ in range(3))
        moved = [each for each in true if dice.random() < 0.8]
        found = tuple(
            box(each.x + dice.gauss(0, 3), dice.random(), dice.choice((each.index, 0)))
            for each in moved
        )  # fmt: skip
        score.add(found, true)
        pairs.append((found, true))
    seen = judged("detect", "boxes", *pairs)
    assert seen is not None and seen.map50 == pytest.approx(score.value(), abs=1e-12)
    assert seen.map50_95 is not None and 0 < seen.map50_95 < seen.map50 < 1
    areas = average_precisions(pairs)
    assert (np.diff(np.stack(list(areas.values())), axis=1) <= 1e-12).all()


def test_no_figure_where_the_truth_does_not_tell() -> None:
    whole = (box(0),)
    assert judged("detect", "classes", ((box(0),), whole)) is None
    assert judged("classify", "boxes", (said(0), (box(0), box(5)))) is None
    assert judged("classify", "none", (said(0), None)) is None
    assert judged("raw", "boxes", ((Stats("a", (1,), 0, 1, 0.5),), whole)) is None
    assert judged("detect", "boxes", ((box(0),), ())) is None


def test_a_classifier_that_never_answers_is_always_wrong() -> None:
    seen = judged("classify", "classes", ((), (box(0),)), ((), (box(0, kind=1),)))
    assert seen is not None and (seen.top1, seen.top5) == (0, 0)


class Known:
    """Samples with class 3 of four, of which the model need not know all."""

    truth: Truth = "classes"
    digest = "0" * 64
    left_out = ()

    def __init__(self, *labels: str) -> None:
        self.name = "known"
        self.labels = labels

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Sample]:
        layout = packed("GREY", 8, 8)
        with Frame(0, 0, layout, bytearray(layout.nbytes), lambda: None) as frame:
            yield Sample("one", frame, (Box(3, self.labels[3], 1, 0, 0, 8, 8),))


def test_classes_are_the_same_by_their_names() -> None:
    """The model's labels are 0 to 9; what it is not shown it need not know."""
    with opened(ZOO / "digits" / "onnx") as model:
        answer = next(iter(answers_of(model, Known("zebra", "1", "2", "7"))))
        assert answer.truth is not None and answer.truth[0].index == 7
        assert len(answer.found) == 5, "for top-5, though its manifest asks for 3"
        for labels in (("0", "1", "2", "zebra"), ("cat", "dog", "hen", "cow")):
            with pytest.raises(Refused, match=r"knows no '(zebra|cat)'.*its labels are '0', '1'"):
                list(answers_of(model, Known(*labels)))
    with (
        opened(ZOO / "digits" / "onnx" / "digits.onnx") as bare,
        pytest.raises(Refused, match="give it a label file"),
    ):
        list(answers_of(replace(bare, labels=()), Known("a", "b", "c", "d")))
