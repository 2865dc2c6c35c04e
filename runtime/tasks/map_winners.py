"""Which class wins in each cell of a map of scores, into memory that is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from models.manifest import Decoding
from runtime.engines import TensorSpec
from runtime.tasks import Tensor
from runtime.tasks.candidates import least_real, least_stored
from runtime.tasks.grid import Grid

Array = npt.NDArray[Any]
Winners = Callable[[Tensor], Array]

# From so many classes on, comparing the neighbours of a cell is quicker than turning the map around
# (150 classes, 128 x 128 cells: 0.9 ms against 3.3; 21 classes, 257 x 257: 2.6 against 0.8).
MANY = 64
COMPARED = ("uint8", "int8", "uint16", "int16", "int32", "float32", "float64")  # by OpenCV


def winners_of(spec: TensorSpec, grid: Grid, decoding: Decoding) -> Winners:
    """Gives the (rows, columns) of class numbers, uint8 or uint16, of an output. What is in no
    class is `nobody`."""
    if decoding.head == "classes":
        return _numbers(spec, grid)
    if grid.depth == 1:
        return _belonging(spec, grid, decoding)
    if grid.depth > MANY and not grid.in_planes:
        return _by_cells(grid)
    return _by_planes(spec, grid)


def nobody(shown: Array) -> int:
    """What stands where no class is."""
    return int(np.iinfo(shown.dtype).max)


def _map(grid: Grid, classes: int) -> Array:
    return np.empty((grid.rows, grid.columns), np.uint8 if classes < 256 else np.uint16)


def _numbers(spec: TensorSpec, grid: Grid) -> Winners:
    """Class numbers as they are, 0 to 254; others are nobody (training sets call 255 "void")."""
    found = _map(grid, 1)
    none = nobody(found)
    other = np.empty(found.shape, np.bool_)

    def winners(stored: Tensor) -> Array:
        cells = stored.reshape(found.shape)
        np.copyto(found, cells, casting="unsafe")
        if spec.dtype != "uint8":
            np.not_equal(found, cells, out=other)
            np.copyto(found, none, where=other)
        return found

    return winners


def _belonging(spec: TensorSpec, grid: Grid, decoding: Decoding) -> Winners:
    """Of one class: whether each cell reaches the score."""
    activation = "sigmoid" if decoding.head == "logits" else "none"
    least = least_stored(spec, least_real(decoding.min_score or 0.5, activation))
    found = _map(grid, 1)

    def winners(stored: Tensor) -> Array:
        reaches = np.greater_equal(stored.reshape(found.shape), least, out=found.view(np.bool_))
        return np.subtract(reaches.view(np.uint8), 1, out=found)  # 1 becomes 0, and 0 255

    return winners


def _by_cells(grid: Grid) -> Winners:
    found = _map(grid, grid.depth)
    best = np.empty(found.size, np.intp)

    def winners(stored: Tensor) -> Array:
        np.argmax(stored.reshape(-1, grid.depth), axis=1, out=best)
        np.copyto(found, best.reshape(found.shape), casting="unsafe")
        return found

    return winners


def _by_planes(spec: TensorSpec, grid: Grid) -> Winners:
    """Class by class over the whole map, which is what a processor is quick at."""
    found = _map(grid, grid.depth)
    line = found.reshape(1, -1)
    compared = spec.dtype if spec.dtype in COMPARED else "float32"
    best = np.empty(line.shape, compared)
    better = np.empty(line.shape, np.uint8)
    taken: Array = better if found.dtype == np.uint8 else np.empty(line.shape, np.uint16)
    turned = np.empty((grid.depth, line.size), compared)

    def winners(stored: Tensor) -> Array:
        planes = grid.planes(stored)
        if not grid.in_planes and stored.dtype == turned.dtype:
            planes = cv2.transpose(stored.reshape(-1, grid.depth), turned)
        elif stored.dtype != turned.dtype:
            np.copyto(turned, planes)
            planes = turned
        np.copyto(best, planes[:1])
        line.fill(0)
        for index in range(1, grid.depth):
            plane = planes[index : index + 1]
            cv2.compare(plane, best, cv2.CMP_GT, better)
            cv2.max(plane, best, best)
            if taken is not better:
                np.multiply(better, np.uint16(257), out=taken, dtype=np.uint16)
            np.bitwise_and(taken, taken.dtype.type(index), out=taken)
            cv2.max(line, taken, line)  # numbers grow: the last that was better stays
        return found

    return winners
