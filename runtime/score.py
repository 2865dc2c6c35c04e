"""How right a model is, where the camera knows the truth: top-1 accuracy, or mAP at IoU 0.5.

mAP50: area under the precision-recall curve with all points interpolated, mean over the classes
that occur (Everingham et al. 2010, The PASCAL Visual Object Classes Challenge, as of VOC 2010). A
found box takes the best fitting truth that is still free (as COCO does; VOC counts it as wrong
where a better box took that truth).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.tasks import Box, Class, Found
from runtime.tasks.overlap import overlaps

IOU = 0.5
MOST_BOXES = 200_000  # found boxes kept for the curve; later ones are not judged


class Score:
    """Judges results against truths, one frame at a time."""

    def __init__(self) -> None:
        self.frames = 0
        self._right = 0
        self._classes = False
        self._found: dict[int, list[tuple[float, bool]]] = {}
        self._true: dict[int, int] = {}
        self._kept = 0

    def add(self, found: Found, truth: tuple[Box, ...]) -> None:
        """Judge one frame."""
        if found and isinstance(found[0], Class):
            self._classes = True
            self._right += len(truth) == 1 and found[0].index == truth[0].index
        elif self._kept < MOST_BOXES:
            self._add_boxes([box for box in found if isinstance(box, Box)], truth)
        self.frames += 1

    def quick(self) -> float | None:
        """The value where it costs nothing: for classes. Drawing a detector's curves takes time."""
        return self.value() if self._classes else None

    def value(self) -> float | None:
        """Top-1 accuracy or mAP50, 0 to 1; None before the first frame."""
        if self.frames == 0:
            return None
        if self._classes:
            return self._right / self.frames
        curves = [self._average_precision(index, n) for index, n in self._true.items() if n]
        return float(np.mean(curves)) if curves else None

    def _add_boxes(self, found: list[Box], truth: tuple[Box, ...]) -> None:
        for box in truth:
            self._true[box.index] = self._true.get(box.index, 0) + 1
        left = list(truth)
        for box in sorted(found, key=lambda each: -each.score):
            rivals = [true for true in left if true.index == box.index]
            shares = overlaps(
                corners(box), np.array([corners(each) for each in rivals]).reshape(-1, 4)
            )
            hit = bool(shares.size and shares.max() >= IOU)
            if hit:
                left.remove(rivals[int(shares.argmax())])
            self._found.setdefault(box.index, []).append((box.score, hit))
        self._kept += len(found)

    def _average_precision(self, index: int, truths: int) -> float:
        judged = sorted(self._found.get(index, []), key=lambda each: -each[0])
        if not judged:
            return 0.0
        hits = np.cumsum([hit for _, hit in judged])
        recall = hits / truths
        precision = hits / np.arange(1, len(judged) + 1)
        best_after = np.maximum.accumulate(precision[::-1])[::-1]
        return float(np.sum(np.diff(recall, prepend=0.0) * best_after))


def corners(box: Box) -> npt.NDArray[Any]:
    """(left, top, right, bottom) of a box, in pixels."""
    return np.array([box.x, box.y, box.x + box.width, box.y + box.height])


def can_judge(labels: Iterable[str], truth: tuple[Box, ...]) -> bool:
    """Whether a model that knows these labels can be right about this truth at all."""
    return bool(truth) and {box.label for box in truth} <= set(labels)
