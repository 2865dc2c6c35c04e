"""Heat maps: one body, a map for each keypoint: (1, rows, columns, k) or (1, k, rows, columns).

A point is where its map is highest, and between cells where a parabola through the logarithms of
that cell and its neighbours is, which for a blurred point is exact (F. Zhang et al. 2020,
Distribution-Aware Coordinate Representation, arXiv:1910.06278, without its smoothing and for each
axis alone). Where a neighbour is not above 0 the parabola goes through the values.
"""

from __future__ import annotations

from math import inf, log
from typing import Any

import numpy as np
import numpy.typing as npt

from models.manifest import Manifest
from runtime.engines import TensorSpec
from runtime.tasks import Decode, Found, Tensor, View
from runtime.tasks.bodies import Bodies
from runtime.tasks.grid import Grid, grid_of
from runtime.tasks.scores import check_size, dequantise

Array = npt.NDArray[Any]


def grid(manifest: Manifest, spec: TensorSpec) -> Grid:
    """How the maps lie. Raises Refused if they are none."""
    return grid_of(spec, manifest.input, "the heatmaps head")


def make_decode(manifest: Manifest, spec: TensorSpec, labels: tuple[str, ...]) -> Decode:
    """Raises Refused if the output does not fit. One body, or none where its score is too low."""
    lie = grid(manifest, spec)
    bodies = Bodies(manifest, lie.depth, labels)
    maps = np.empty((lie.depth, lie.rows * lie.columns), np.float32)
    cell = np.array((lie.cell_width, lie.cell_height))

    def decode(outputs: tuple[Tensor, ...], view: View) -> Found:
        check_size(spec, outputs[0])
        with np.errstate(all="ignore"):
            dequantise(spec, lie.planes(outputs[0]), maps)
            highest = maps.argmax(axis=1)
            scores = maps[np.arange(lie.depth), highest]
            places = np.array([
                peak(one.reshape(lie.rows, lie.columns), *divmod(at, lie.columns))
                for one, at in zip(maps, highest.tolist(), strict=True)
            ])  # fmt: skip
            return bodies.around(places * cell, scores, view)

    return decode


def peak(values: Array, row: int, column: int) -> tuple[float, float]:
    """x and y in cells, from the edge of the first one, of the highest point around a cell."""
    rows, columns = values.shape
    middle = float(values[row, column])
    x, y = column + 0.5, row + 0.5
    if 0 < column < columns - 1:
        x += between(float(values[row, column - 1]), middle, float(values[row, column + 1]))
    if 0 < row < rows - 1:
        y += between(float(values[row - 1, column]), middle, float(values[row + 1, column]))
    return x, y


def between(before: float, middle: float, after: float) -> float:
    """How far from the middle a parabola through three values is highest, -0.5 to 0.5."""
    if before > 0 and after > 0:
        before, middle, after = log(before), log(middle), log(after)
    bend = before - 2 * middle + after
    if not -inf < bend < 0:  # flat, or no number
        return 0.0
    return min(max((before - after) / (2 * bend), -0.5), 0.5)
