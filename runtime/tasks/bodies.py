"""Bodies: keypoints of one body become a Pose in source pixels."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from models.manifest import Manifest
from runtime.tasks import Box, Point, Pose, View
from runtime.tasks.boxes import box_of

Array = npt.NDArray[Any]
VISIBLE = 0.3  # a point of a lower score lies anywhere: a box is drawn around the others


class Bodies:
    """Makes poses. count: of keypoints; those that the manifest does not name have numbers."""

    def __init__(self, manifest: Manifest, count: int, labels: tuple[str, ...]) -> None:
        named = manifest.decoding.keypoints
        self._names = named if len(named) == count else tuple(map(str, range(count)))
        self._skeleton = manifest.decoding.skeleton
        self._least = manifest.decoding.min_score
        self._labels = labels

    def body(self, box: Box, places: Array, scores: Array, view: View) -> tuple[Pose, ...]:
        """The pose in this box; none if a number is none.

        places: (count, 2) x and y in tensor pixels. scores: (count,), shown between 0 and 1.
        """
        points = self._points(places, scores, view)
        if not all(isfinite(p.x) and isfinite(p.y) and isfinite(p.score) for p in points):
            return ()
        sides = box.x, box.y, box.width, box.height
        whose = box.index, box.label, box.score
        return (Pose(*whose, *sides, points=points, skeleton=self._skeleton),)

    def around(self, places: Array, scores: Array, view: View) -> tuple[Pose, ...]:
        """The pose of these points, in the box around those that can be seen (or all of them). Its
        score is their mean; none if that is below `min_score`."""
        shown = np.clip(scores, 0, 1)  # NaN stays
        score = float(shown.mean())
        if not (score >= self._least and np.isfinite(places).all()):
            return ()
        seen = places[shown >= VISIBLE] if (shown >= VISIBLE).sum() >= 2 else places
        low, high = seen.min(axis=0).tolist(), seen.max(axis=0).tolist()
        return tuple(
            pose
            for box in box_of(0, self._labels, score, (*low, *high), view)
            for pose in self.body(box, places, scores, view)
        )

    def _points(self, places: Array, scores: Array, view: View) -> tuple[Point, ...]:
        xs = (places[:, 0].astype(np.float64) * view.step_x + view.x0).tolist()
        ys = (places[:, 1].astype(np.float64) * view.step_y + view.y0).tolist()
        shown = np.clip(scores, 0, 1).tolist()
        return tuple(map(Point, self._names, xs, ys, shown))
