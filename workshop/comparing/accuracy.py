"""How right a model is on samples: top-1 and top-5, or mAP at IoU 0.5 and over 0.5 to 0.95."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct

from runtime.engines import EngineOptions
from runtime.tasks import Box, Class
from wire.troubles import Refused
from workshop.comparing.answers import Answer, answers_of, opened
from workshop.comparing.boxes import average_precisions, matched
from workshop.samples import Samples, Truth

FINDS_BOXES = ("detect", "segment", "pose")
NOTHING = -1  # as a class: found where nothing is, or not found at all


class OfClass(Struct, frozen=True):
    """One class. truths: how often it is there. found: how often the model says so.

    precision: the share of what was found that is right; None where nothing was found. recall: the
    share of truths that was found; None where there are none. ap50: of a detector, its average
    precision at IoU 0.5.
    """

    index: int
    label: str
    truths: int
    found: int
    precision: float | None
    recall: float | None
    ap50: float | None = None


class Confused(Struct, frozen=True):
    """How often one class was taken for another, or was right. Classes by index; NOTHING: none."""

    true: int
    found: int
    count: int


class Accuracy(Struct, frozen=True):
    """Shares of 0 to 1. Of a classifier top1 and top5, of a detector map50 and map50_95."""

    samples: int
    top1: float | None
    top5: float | None
    map50: float | None
    map50_95: float | None
    classes: tuple[OfClass, ...]
    confusion: tuple[Confused, ...]

    @property
    def metric(self) -> str:
        """The name of the one by which models are ranked."""
        return "map50" if self.top1 is None else "top1"

    @property
    def value(self) -> float:
        value = self.map50 if self.top1 is None else self.top1
        assert value is not None
        return value


def accuracy_of(
    path: Path,
    samples: Samples,
    options: EngineOptions | None = None,
    *,
    engine_kind: str | None = None,
    heard: Callable[[int], None] = lambda done: None,
) -> float:
    """Top-1 accuracy or mAP50, 0 to 1, of a model folder, bundle or bare file, in this process.

    heard: told how many samples are done. Raises Refused (also where the samples have no truth that
    the model's task can be judged by), Unavailable.
    """
    with opened(path, options, engine_kind) as model:
        answers = list(answers_of(model, samples, heard))
        labels = model.labels or samples.labels
        judged = accuracy(answers, model.manifest.task, samples.truth, labels)
    if judged is None:
        raise Refused(
            f"{samples.name}: has no truth by which task {model.manifest.task} can be judged: give "
            "pictures in a folder per class, COCO or YOLO labels, or a synthetic:// camera"
        )
    return judged.value


def accuracy(
    answers: Sequence[Answer], task: str, truth: Truth, labels: Sequence[str]
) -> Accuracy | None:
    """How right these answers of a model are; None where this truth does not tell for its task.

    labels: of the model's classes. Samples without a truth are left out.
    """
    known = [each for each in answers if each.truth is not None]
    if task == "classify" and known and _one_each(known):
        return _of_classes(known, labels)
    boxes = all(isinstance(entry, Box) for each in known for entry in each.found)
    if task in FINDS_BOXES and truth == "boxes" and boxes:
        return _of_boxes(known, labels)
    return None


def _one_each(answers: Sequence[Answer]) -> bool:
    """A class is the truth about a whole picture: there is one of it."""
    return all(each.truth is not None and len(each.truth) == 1 for each in answers)


def _of_classes(answers: Sequence[Answer], labels: Sequence[str]) -> Accuracy:
    right = among = 0
    pairs: Counter[tuple[int, int]] = Counter()
    for each in answers:
        assert each.truth is not None
        true = each.truth[0].index
        best = [entry.index for entry in each.found if isinstance(entry, Class)][:5]
        right += best[:1] == [true]
        among += true in best
        pairs[true, best[0] if best else NOTHING] += 1
    total = len(answers)
    classes = _classes(pairs, labels, {})
    return Accuracy(total, right / total, among / total, None, None, classes, _confusion(pairs))


def _of_boxes(answers: Sequence[Answer], labels: Sequence[str]) -> Accuracy | None:
    judged = [
        (tuple(entry for entry in each.found if isinstance(entry, Box)), each.truth or ())
        for each in answers
    ]
    areas = average_precisions(judged)
    if not areas:
        return None
    pairs: Counter[tuple[int, int]] = Counter()
    for found, true in judged:
        taken = matched(found, true)
        for box, place in zip(found, taken, strict=True):
            pairs[NOTHING if place is None else true[place].index, box.index] += 1
        for place in set(range(len(true))) - set(taken):
            pairs[true[place].index, NOTHING] += 1
    halves = {index: float(each[0]) for index, each in areas.items()}
    mean50 = float(np.mean(list(halves.values())))
    mean = float(np.mean(np.stack(list(areas.values()))))
    classes = _classes(pairs, labels, halves)
    return Accuracy(len(judged), None, None, mean50, mean, classes, _confusion(pairs))


def _classes(
    pairs: Counter[tuple[int, int]], labels: Sequence[str], areas: dict[int, float]
) -> tuple[OfClass, ...]:
    truths: Counter[int] = Counter()
    found: Counter[int] = Counter()
    for (true, said), count in pairs.items():
        truths[true] += count
        found[said] += count
    return tuple(
        OfClass(
            index,
            labels[index] if index < len(labels) else str(index),
            truths[index],
            found[index],
            pairs[index, index] / found[index] if found[index] else None,
            pairs[index, index] / truths[index] if truths[index] else None,
            areas.get(index),
        )
        for index in sorted({*truths, *found} - {NOTHING})
    )


def _confusion(pairs: Counter[tuple[int, int]]) -> tuple[Confused, ...]:
    return tuple(Confused(true, said, count) for (true, said), count in sorted(pairs.items()))
