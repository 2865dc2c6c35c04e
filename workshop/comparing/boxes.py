"""How right found boxes are: which of them fit a truth, and average precision by class.

Average precision is the area under the precision-recall curve with all points interpolated
(Everingham et al. 2010, The PASCAL Visual Object Classes Challenge), as in runtime/score.py; COCO
takes 101 points of it. The overlaps 0.5, 0.55, ..., 0.95, and that a box takes the best fitting
truth that is still free, are COCO's (Lin et al. 2014, arXiv:1405.0312, and
cocodataset.org/#detection-eval).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.score import corners
from runtime.tasks import Box
from runtime.tasks.overlap import overlaps

HALF = 0.5
STEPS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))

Array = npt.NDArray[Any]
Pair = tuple[tuple[Box, ...], tuple[Box, ...]]  # found, true


def matched(found: Sequence[Box], true: Sequence[Box], least: float = HALF) -> list[int | None]:
    """For each found box the place of the truth that it takes, or None. Boxes come in any order,
    and are served by their scores; classes are not looked at."""
    taken: list[int | None] = [None] * len(found)
    free = np.ones(len(true), bool)
    shares = shares_of(found, true)
    for place in _by_score(found):
        open_shares = np.where(free, shares[place], 0.0)
        best = int(open_shares.argmax()) if len(true) else 0
        if len(true) and open_shares[best] >= least:
            free[best] = False
            taken[place] = best
    return taken


def average_precisions(pairs: Iterable[Pair]) -> dict[int, Array]:
    """By class that occurs in the truth: its average precision at each of STEPS, shape (10,)."""
    scores: dict[int, list[float]] = {}
    hits: dict[int, list[Array]] = {}
    truths: dict[int, int] = {}
    for found, true in pairs:
        for box in true:
            truths[box.index] = truths.get(box.index, 0) + 1
        for index in {box.index for box in found}:
            ours = [box for box in found if box.index == index]
            ordered = [ours[place] for place in _by_score(ours)]
            scores.setdefault(index, []).extend(box.score for box in ordered)
            rivals = [box for box in true if box.index == index]
            hits.setdefault(index, []).append(_hits(ordered, rivals))
    return {
        index: _areas(scores.get(index, []), hits.get(index, []), count)
        for index, count in sorted(truths.items())
    }


def shares_of(found: Sequence[Box], true: Sequence[Box]) -> Array:
    """How much each found box overlaps each truth, shape (found, true)."""
    edges = np.array([corners(box) for box in true]).reshape(-1, 4)
    rows = [overlaps(corners(box), edges) for box in found]
    return np.array(rows).reshape(len(found), len(true))


def _by_score(found: Sequence[Box]) -> list[int]:
    return sorted(range(len(found)), key=lambda place: -found[place].score)


def _hits(ordered: Sequence[Box], rivals: Sequence[Box]) -> Array:
    """Whether each box is right at each of STEPS, shape (boxes, 10)."""
    hits = np.zeros((len(ordered), len(STEPS)), bool)
    if not rivals:
        return hits
    shares = shares_of(ordered, rivals)
    for column, least in enumerate(STEPS):
        free = np.ones(len(rivals), bool)
        for row in range(len(ordered)):
            still = np.where(free, shares[row], 0.0)
            best = int(still.argmax())
            if still[best] >= least:
                free[best] = False
                hits[row, column] = True
    return hits


def _areas(scores: Sequence[float], hits: Sequence[Array], truths: int) -> Array:
    if not scores:
        return np.zeros(len(STEPS))
    order = sorted(range(len(scores)), key=lambda place: -scores[place])
    right = np.cumsum(np.concatenate(hits)[order], axis=0)
    recall = right / truths
    precision = right / np.arange(1, len(scores) + 1)[:, None]
    best_after = np.maximum.accumulate(precision[::-1])[::-1]
    areas: Array = np.sum(np.diff(recall, prepend=0.0, axis=0) * best_after, axis=0)
    return areas
