"""How sure a map of scores is of each of its classes: the mean over some of the cells it won."""

from __future__ import annotations

from math import isqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from models.manifest import Decoding
from runtime.engines import TensorSpec
from runtime.tasks import Tensor
from runtime.tasks.candidates import real_scores
from runtime.tasks.grid import Grid, Seen
from runtime.tasks.map_winners import nobody
from runtime.tasks.scores import dequantise

Array = npt.NDArray[Any]
# A softmax over a whole map would cost 30 ms and more: so many scores are looked at in all, of
# cells that lie evenly, and no more than so many cells across and down.
MOST_SCORES, MOST_SIDE = 50_000, 48


class MapScores:
    """Samples a map evenly. A class that won none of the cells that are looked at has no score."""

    def __init__(self, spec: TensorSpec, grid: Grid, decoding: Decoding) -> None:
        self._spec, self._grid = spec, grid
        self._logits = decoding.head == "logits"
        self._side = max(8, min(MOST_SIDE, isqrt(MOST_SCORES // grid.depth)))
        self._means: Array = np.empty(0)
        self._counts: Array = np.empty(0)

    def sample(self, stored: Tensor, shown: Array, seen: Seen) -> None:
        """Look at the cells of a frame. shown: the winners of the cells that are seen."""
        down, across = (max(1, -(-side // self._side)) for side in shown.shape)
        rows = slice(seen.top + down // 2, seen.bottom, down)
        columns = slice(seen.left + across // 2, seen.right, across)
        picked = shown[down // 2 :: down, across // 2 :: across].reshape(-1)
        chosen = self._at(stored, rows, columns)
        won = np.minimum(picked, self._grid.depth - 1).astype(np.intp)
        with np.errstate(all="ignore"):
            scores = self._real(chosen, won)
        count = nobody(shown) + 1
        self._counts = np.bincount(picked, minlength=count)
        self._means = np.bincount(picked, scores, minlength=count)

    def of(self, index: int) -> float | None:
        """Of a class, 0 to 1."""
        return float(self._means[index] / self._counts[index]) if self._counts[index] else None

    def _at(self, stored: Tensor, rows: slice, columns: slice) -> Array:
        """(cells, depth) of the stored values."""
        if self._grid.in_planes:
            picked = stored[0][:, rows, columns].reshape(self._grid.depth, -1)
            return np.transpose(picked)
        cells = stored.reshape(self._grid.rows, self._grid.columns, self._grid.depth)
        chosen: Array = cells[rows, columns].reshape(-1, self._grid.depth)
        return chosen

    def _real(self, chosen: Array, won: Array) -> Array:
        """The probability of the winner in each cell."""
        if self._grid.depth == 1 or not self._logits:
            best = np.take_along_axis(chosen, won[:, None], axis=1)[:, 0]
            return real_scores(self._spec, best, "sigmoid" if self._logits else "none")
        values = np.empty(chosen.shape, np.float32)
        dequantise(self._spec, chosen, values)
        values -= values.max(axis=1, keepdims=True)
        np.exp(values, out=values)
        best = np.take_along_axis(values, won[:, None], axis=1)[:, 0]
        total: Array = best / values.sum(axis=1)
        return total
