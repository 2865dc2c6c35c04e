"""Instances: objects with outlines, from YOLOv8's rows and its prototypes.

Rows (1, 4 + classes + m, n) and prototypes (1, m, rows, columns), each perhaps the other way round.
An object's mask is where the prototypes, weighted with its m coefficients, are above 0: a sigmoid
of 0.5. They are interpolated between cells, inside of its box only.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from models.manifest import Manifest
from runtime.engines import TensorSpec
from runtime.masks import encode
from runtime.tasks import Box, Decode, Found, Instance, Mask, Tensor, View
from runtime.tasks.boxes import box_of
from runtime.tasks.candidates import Rows
from runtime.tasks.grid import Grid, grid_of
from runtime.tasks.scores import check_size, dequantise
from runtime.tasks.yolo_rows import AHEAD, YoloRows, rows_of, shapes_of
from wire.troubles import Refused

Array = npt.NDArray[Any]


def make_decode(
    manifest: Manifest, gives: tuple[TensorSpec, ...], labels: tuple[str, ...]
) -> Decode:
    """Raises Refused if the outputs do not fit."""
    rows_at, maps_at = _order(gives)
    spec, grid = gives[maps_at], _grid(manifest, gives[maps_at])
    lie = _rows(manifest, gives[rows_at], grid, len(labels))
    rows = YoloRows(manifest, gives[rows_at], lie, grid.depth)
    prototypes = Prototypes(spec, grid, manifest.decoding.mask_side)

    def decode(outputs: tuple[Tensor, ...], view: View) -> Found:
        for at in (rows_at, maps_at):
            check_size(gives[at], outputs[at])
        with np.errstate(all="ignore"):
            kept = rows.find(outputs[rows_at])
            found = []
            for kind, score, corners, weights in zip(
                kept.kinds.tolist(), kept.scores.tolist(), kept.corners.tolist(), kept.added,
                strict=True,
            ):  # fmt: skip
                for box in box_of(kind, labels, score, corners, view):
                    mask = prototypes.mask(outputs[maps_at], weights, box, view)
                    sides = box.x, box.y, box.width, box.height
                    found.append(Instance(kind, box.label, score, *sides, mask=mask))
            return tuple(found)

    return decode


def class_count(manifest: Manifest, gives: Sequence[TensorSpec], labels: tuple[str, ...]) -> int:
    """How many classes the outputs tell apart. Raises Refused if they do not fit the head."""
    rows_at, maps_at = _order(gives)
    grid = _grid(manifest, gives[maps_at])
    return _rows(manifest, gives[rows_at], grid, len(labels)).width - AHEAD - grid.depth


def _order(gives: Sequence[TensorSpec]) -> tuple[int, int]:
    """Which output has the rows, and which the prototypes: exporters do not agree."""
    ranks = [len(each.shape) for each in gives]
    if sorted(ranks) != [3, 4]:
        raise Refused(
            "the yolov8 head of task segment needs two outputs, rows (1, 4 + classes + m, n) and "
            f"prototypes (1, m, rows, columns); this model gives {shapes_of(gives)}"
        )
    return ranks.index(3), ranks.index(4)


def _grid(manifest: Manifest, spec: TensorSpec) -> Grid:
    return grid_of(spec, manifest.input, "the yolov8 head of task segment")


def _rows(manifest: Manifest, spec: TensorSpec, grid: Grid, labels: int) -> Rows:
    width = AHEAD + labels + grid.depth if labels else None
    what = f"(1, 4 + classes + {grid.depth}, n)"
    return rows_of(manifest, spec, width, AHEAD + grid.depth, what)


class Prototypes:
    """Mixes prototypes where a box lies. All memory of their size is made once."""

    def __init__(self, spec: TensorSpec, grid: Grid, mask_side: int) -> None:
        self._spec, self._grid, self._side = spec, grid, mask_side
        self._is_real = spec.scale is None and spec.dtype == "float32"
        size = 0 if self._is_real else grid.rows * grid.columns * grid.depth
        self._real = np.empty(size, np.float32)
        self._mixed = np.empty(grid.rows * grid.columns, np.float32)
        self._fine = np.empty(mask_side * mask_side, np.float32)
        self._inside = np.empty(mask_side * mask_side, np.bool_)

    def mask(self, stored: Tensor, weights: Array, box: Box, view: View) -> Mask | None:
        """The cells of the box, which lies in source pixels; None where none belongs to it.

        As many cells as the box has pixels, of the input or of the source, whichever are fewer.
        """
        grid = self._grid
        columns = min(self._side, ceil(box.width / max(view.step_x, 1.0)))
        rows = min(self._side, ceil(box.height / max(view.step_y, 1.0)))
        wide, high = grid.cell_width * view.step_x, grid.cell_height * view.step_y
        # from a cell of the mask to the prototypes' cells, by the middles of both
        step_x, step_y = box.width / columns / wide, box.height / rows / high
        x = (box.x - view.x0) / wide + step_x / 2 - 0.5
        y = (box.y - view.y0) / high + step_y / 2 - 0.5
        first = min(max(floor(y), 0), grid.rows - 1)
        last = min(max(floor(y + step_y * (rows - 1)) + 2, first + 1), grid.rows)
        mixed = self._mix(stored, weights, first, last)
        # the mask is written column by column: across and down change places
        fine = self._fine[: rows * columns].reshape(columns, rows)
        way = np.array(((0, step_x, x), (step_y, 0, y - first)))
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cv2.warpAffine(mixed, way, (rows, columns), fine, how, cv2.BORDER_REPLICATE)
        inside = self._inside[: rows * columns].reshape(columns, rows)
        np.greater(fine, 0, out=inside)
        return encode(inside) if inside.any() else None

    def _mix(self, stored: Tensor, weights: Array, first: int, last: int) -> Array:
        """(last - first, columns) of prototypes times weights."""
        grid = self._grid
        cells = slice(first * grid.columns, last * grid.columns)
        mixed = self._mixed[: cells.stop - cells.start]
        if grid.in_planes:
            part = stored.reshape(grid.depth, -1)[:, cells]
        else:
            part = stored.reshape(-1, grid.depth)[cells]
        if not self._is_real:
            real = self._real[: part.size].reshape(part.shape)
            dequantise(self._spec, part, real)
            part = real
        np.dot(weights, part, out=mixed) if grid.in_planes else np.dot(part, weights, out=mixed)
        return mixed.reshape(last - first, grid.columns)
