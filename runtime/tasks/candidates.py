"""Candidates: which rows of a large output may hold something, seen from its stored values.

Real values are in the order of stored ones, so a threshold can be taken to the stored values, and
only what passes it is ever dequantised. No frame allocates memory of an output's size.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log

import cv2
import numpy as np
import numpy.typing as npt

from runtime.engines import TensorSpec
from runtime.tasks import Tensor
from runtime.tasks.overlap import CANDIDATES
from runtime.tasks.scores import dequantise

Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]

LEAST = 1e-6  # a score of 0 is never a candidate
TURNED = {1: np.uint8, 2: np.uint16, 4: np.int32, 8: np.float64}  # what OpenCV can transpose


@dataclass(frozen=True)
class Rows:
    """How one output lies: n rows of `width` values, or in columns, as (1, width, n)."""

    n: int
    width: int
    in_columns: bool

    def of(self, stored: Tensor) -> Tensor:
        """The output as (n, width), without a copy."""
        rows: Tensor = stored[0].T if self.in_columns else stored[0]
        return rows


@dataclass(frozen=True)
class Candidates:
    """What may be found. places: (k,) rows of the output; rows: (k, width), as stored; kinds: (k,)
    the best class of each, from 0; scores: (k,) real. NaN is never among the scores."""

    places: Places
    rows: Tensor
    kinds: Places
    scores: Floats


class RowBest:
    """The best stored score of each row, of classes that stand side by side in it."""

    def __init__(self, spec: TensorSpec, lie: Rows, classes: slice) -> None:
        self._lie, self._classes = lie, classes
        self._best = np.empty(lie.n, spec.dtype)
        # Scores of one class lie far apart in rows: turning them around first and comparing
        # neighbours takes 160 us for 8,400 x 84 floats, comparing within each row 510.
        self._columns = np.empty(
            (lie.width, 0 if lie.in_columns else lie.n), TURNED[np.dtype(spec.dtype).itemsize]
        )

    def of(self, stored: Tensor) -> Tensor:
        """(n,) of the whole output; NaN where any class of a row is. Valid until the next call."""
        columns = stored[0]
        if not self._lie.in_columns:
            cv2.transpose(stored[0].view(self._columns.dtype), dst=self._columns)
            columns = self._columns.view(stored.dtype)
        return np.max(columns[self._classes], axis=0, out=self._best)


class BestClass:
    """Finds the rows whose best class is good enough."""

    def __init__(
        self, spec: TensorSpec, lie: Rows, classes: slice, least: float, activation: str
    ) -> None:
        self._spec, self._lie, self._classes, self._activation = spec, lie, classes, activation
        self._least = least_stored(spec, least_real(least, activation))
        self._best = RowBest(spec, lie, classes)

    def find(self, stored: Tensor) -> Candidates:
        """stored: the whole output. Not more than the best 1,000."""
        best = self._best.of(stored)
        places = np.flatnonzero(best >= self._least)
        places = places[strongest(best[places])]
        rows = self._lie.of(stored)[places]
        kinds = rows[:, self._classes].argmax(axis=1)
        scores = real_scores(self._spec, best[places], self._activation)
        return Candidates(places, rows, kinds, scores)


class BestProduct:
    """Finds the rows where objectness x the best class is good enough; first by objectness alone,
    since no class is over 1."""

    def __init__(
        self, spec: TensorSpec, lie: Rows, objectness: int, classes: slice, least: float,
        activation: str,
    ) -> None:  # fmt: skip
        self._spec, self._lie, self._activation = spec, lie, activation
        self._objectness, self._classes = objectness, classes
        self._least = max(least, LEAST)
        self._least_stored = least_stored(spec, least_real(least, activation))

    def find(self, stored: Tensor) -> Candidates:
        """stored: the whole output. Not more than the best 1,000."""
        rows = self._lie.of(stored)
        places = np.flatnonzero(rows[:, self._objectness] >= self._least_stored)
        kinds = np.empty(places.size, np.int64)
        scores = np.empty(places.size, np.float32)
        for part in parts(places.size):
            kinds[part], scores[part] = self._judged(rows[places[part]])
        good = np.flatnonzero(scores >= self._least)
        good = good[strongest(scores[good])]
        places = places[good]
        return Candidates(places, rows[places], kinds[good], scores[good])

    def _judged(self, rows: Tensor) -> tuple[Places, Floats]:
        kinds = rows[:, self._classes].argmax(axis=1)
        stored = rows[:, self._classes][np.arange(len(rows)), kinds]
        best = real_scores(self._spec, stored, self._activation)
        return kinds, best * real_scores(self._spec, rows[:, self._objectness], self._activation)


def parts(count: int) -> list[slice]:
    """So many candidates in turns, so that what each turn takes stays small."""
    return [slice(at, at + CANDIDATES) for at in range(0, count, CANDIDATES)]


def strongest(scores: Tensor) -> Places:
    """Indexes, in their order, of the best that are compared with each other: 1,000 at most."""
    if scores.size <= CANDIDATES:
        return np.arange(scores.size)
    best: Places = np.sort(np.argpartition(scores, scores.size - CANDIDATES)[-CANDIDATES:])
    return best


def real(spec: TensorSpec, stored: Tensor) -> Floats:
    """Real values of a few stored ones, in memory of their own."""
    values = np.empty(stored.shape, np.float32)
    dequantise(spec, stored, values)
    return values


def real_scores(spec: TensorSpec, stored: Tensor, activation: str) -> Floats:
    """Real scores of a few stored ones, after "sigmoid" or "none"."""
    values = real(spec, stored)
    if activation == "sigmoid":
        np.negative(values, out=values)
        np.exp(values, out=values)
        np.add(values, np.float32(1), out=values)
        np.reciprocal(values, out=values)
    return values


def least_real(least: float, activation: str) -> float:
    """What a score must reach before its activation, so that it reaches `least` after it."""
    least = max(least, LEAST)
    if activation == "none":
        return least
    return log(least / (1 - least)) if least < 1 else inf


def least_stored(spec: TensorSpec, least: float) -> float:
    """The lowest stored value whose real value reaches `least`; beyond all of them if none does."""
    if np.dtype(spec.dtype).kind in "fb":
        return least
    limits = np.iinfo(spec.dtype)
    lowest, highest = int(limits.min), int(limits.max)
    scale, zero_point = np.float32(spec.scale or 1.0), np.float32(spec.zero_point or 0)

    def reaches(stored: int) -> bool:
        with np.errstate(over="ignore"):
            above = np.float32(float(stored) - float(zero_point))  # rounded once, as `dequantise`
            return bool(above * scale >= np.float32(least))

    too_low, enough = lowest - 1, highest + 1
    while enough - too_low > 1:  # float32 rounds, so no formula has it: halve what is left
        middle = (too_low + enough) // 2
        too_low, enough = (too_low, middle) if reaches(middle) else (middle, enough)
    return enough
