"""Every class of every row that is good enough, where one row may be found as several classes."""

from __future__ import annotations

from math import inf, log

import numpy as np

from models.manifest import Decoding
from runtime.engines import TensorSpec
from runtime.tasks import Tensor
from runtime.tasks.candidates import (
    LEAST,
    Floats,
    Places,
    RowBest,
    Rows,
    least_real,
    least_stored,
    parts,
    real,
    real_scores,
    strongest,
)

Several = tuple[Places, Places, Floats]  # rows, classes, real scores: (k,) each
NOTHING: Several = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))


class EveryClass:
    """Scores that each stand for themselves, as they are or after a sigmoid."""

    def __init__(self, spec: TensorSpec, classes: slice, decoding: Decoding) -> None:
        self._spec, self._classes, self._activation = spec, classes, decoding.activation
        self._least = least_stored(spec, least_real(decoding.min_score, decoding.activation))
        self._best = RowBest(spec, Rows(spec.shape[1], spec.shape[2], in_columns=False), classes)

    def find(self, stored: Tensor) -> Several:
        """stored: the whole output, (1, n, all classes). Not more than the best 1,000."""
        best = self._best.of(stored)
        rows = np.flatnonzero(best >= self._least)
        rows = rows[strongest(best[rows])]  # the best 1,000 scores are in the best 1,000 rows
        few = stored[0, rows, self._classes]
        places, kinds = np.nonzero(few >= self._least)
        found = few[places, kinds]
        most = strongest(found)
        scores = real_scores(self._spec, found[most], self._activation)
        return rows[places[most]], kinds[most], scores


class EverySoftmax:
    """Scores that share one softmax, with that of "nothing" among them where there is one.

    A class can reach a probability p only where it stands log(p / (1 - p)) above any other: so the
    softmax is worked out of few rows.
    """

    def __init__(self, spec: TensorSpec, classes: slice, decoding: Decoding) -> None:
        self._spec, self._classes = spec, classes
        self._least = max(decoding.min_score, LEAST)
        width = spec.shape[2]
        self._nothing = {"first": 0, "last": width - 1}.get(decoding.background)
        above = log(self._least / (1 - self._least)) if self._least < 1 else inf
        self._above = above / (spec.scale or 1.0) - 1e-3 * (1 + abs(above))  # of what is rounded
        self._best = RowBest(spec, Rows(spec.shape[1], spec.shape[2], in_columns=False), classes)

    def find(self, stored: Tensor) -> Several:
        """stored: the whole output, (1, n, all classes). Not more than the best 1,000."""
        best = self._best.of(stored)
        other = stored[0].min(axis=1) if self._nothing is None else stored[0, :, self._nothing]
        rows = np.flatnonzero(np.subtract(best, other, dtype=np.float32) >= self._above)
        found = [self._of(stored, rows[part]) for part in parts(rows.size)]
        places, kinds, scores = (np.concatenate(each) for each in zip(NOTHING, *found, strict=True))
        most = strongest(scores)
        return places[most], kinds[most], scores[most]

    def _of(self, stored: Tensor, rows: Places) -> Several:
        values = real(self._spec, stored[0, rows])
        np.subtract(values, values.max(axis=1, keepdims=True), out=values)
        np.exp(values, out=values)
        np.divide(values, values.sum(axis=1, keepdims=True), out=values)
        scores = values[:, self._classes]
        places, kinds = np.nonzero(scores >= self._least)
        found = scores[places, kinds]
        most = strongest(found)
        return rows[places[most]], kinds[most], found[most]
