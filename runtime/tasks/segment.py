"""Segment: what belongs to what, as regions of one class each, or as objects with outlines.

Maps of scores (1, rows, columns, classes) or (1, classes, rows, columns) by the heads
"probabilities" and "logits", of class numbers (1, rows, columns) by the head "classes". A map of
one class says of each cell whether it belongs: by a score of `min_score`, or 0.5 where that is 0.
The head "yolov8" gives objects: see runtime/tasks/segment_instances.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from models.manifest import Decoding, Manifest
from runtime.engines import TensorSpec
from runtime.masks import encode
from runtime.tasks import Decode, Found, Region, Tensor, View, segment_instances
from runtime.tasks.grid import Grid, Seen, grid_of
from runtime.tasks.map_scores import MapScores
from runtime.tasks.map_winners import nobody, winners_of
from runtime.tasks.scores import check_size, described, label_of
from wire.troubles import Refused

Array = npt.NDArray[Any]


def make_decode(
    manifest: Manifest, gives: tuple[TensorSpec, ...], labels: tuple[str, ...]
) -> Decode:
    """The decoder that the manifest's head names. Raises Refused if the outputs do not fit it."""
    gives = described(manifest, gives)
    if manifest.decoding.head == "yolov8":
        return segment_instances.make_decode(manifest, gives, labels)
    return _regions(manifest, gives, labels)


def class_count(
    manifest: Manifest, gives: Sequence[TensorSpec], labels: tuple[str, ...]
) -> int | None:
    """How many classes the outputs tell apart; None where they are numbers. Raises Refused."""
    if manifest.decoding.head == "yolov8":
        return segment_instances.class_count(manifest, gives, labels)
    depth = _grid(manifest, gives).depth
    return None if manifest.decoding.head == "classes" else depth


def _grid(manifest: Manifest, gives: Sequence[TensorSpec]) -> Grid:
    head = manifest.decoding.head
    if len(gives) != 1:
        raise Refused(f"the {head} head needs one output, this model has {len(gives)}")
    grid = grid_of(gives[0], manifest.input, f"the {head} head")
    kind = np.dtype(gives[0].dtype).kind
    if head == "classes" and (grid.depth != 1 or kind not in "iu" or gives[0].scale is not None):
        raise Refused(
            "the classes head needs whole numbers (1, rows, columns), not "
            f"{gives[0].dtype} {gives[0].shape}: for scores use probabilities or logits"
        )
    if head != "classes" and grid.depth == 1 and manifest.decoding.background != "none":
        raise Refused(
            f"a map of one class has none for the background, {gives[0].shape}: remove "
            "[decoding] background"
        )
    return grid


def _regions(manifest: Manifest, gives: tuple[TensorSpec, ...], labels: tuple[str, ...]) -> Decode:
    spec, grid = gives[0], _grid(manifest, gives)
    decoding = manifest.decoding
    winners = winners_of(spec, grid, decoding)
    scores = MapScores(spec, grid, decoding) if decoding.head != "classes" else None
    parts = Parts(grid, decoding)

    def decode(outputs: tuple[Tensor, ...], view: View) -> Found:
        check_size(spec, outputs[0])
        seen = grid.seen(view)
        shown = winners(outputs[0])[seen.cells]
        if shown.size == 0:
            return ()
        shares = parts.shares(shown)
        if scores is not None:
            scores.sample(outputs[0], shown, seen)
        found = []
        for index, share in shares:
            score = scores.of(index) if scores is not None else None
            if score is None or not score < decoding.min_score or grid.depth == 1:
                found.append(parts.region(shown, seen, view, index, share, score, labels))
        return tuple(found)

    return decode


class Parts:
    """Takes a map of class numbers apart. All memory of its size is made once."""

    def __init__(self, grid: Grid, decoding: Decoding) -> None:
        self._decoding = decoding
        side = decoding.mask_side
        self._background = {"none": None, "first": 0, "last": grid.depth - 1}[decoding.background]
        self._belongs = np.empty((grid.rows, grid.columns), np.uint8)
        self._coarse = np.empty(min(side, grid.rows) * min(side, grid.columns), np.uint8)
        self._turned = np.empty_like(self._coarse)

    def shares(self, shown: Array) -> list[tuple[int, float]]:
        """(class, share of the cells), the greatest first, as far as the manifest wants them."""
        none = nobody(shown)
        counts = cv2.calcHist([shown], [0], None, [none + 1], [0, none + 1]).reshape(-1)
        counts[none] = 0  # those cells belong to nothing
        if self._background is not None:
            counts[self._background] = 0
        least = max(1.0, self._decoding.min_share * shown.size)
        there = np.flatnonzero(counts >= least)
        there = there[np.argsort(-counts[there], kind="stable")][: self._decoding.max_boxes]
        shares = counts[there] / np.float64(shown.size)
        return list(zip(there.tolist(), shares.tolist(), strict=True))

    def region(
        self, shown: Array, seen: Seen, view: View, index: int, share: float, score: float | None,
        labels: tuple[str, ...],
    ) -> Region:  # fmt: skip
        """One class that is in `shown`."""
        rows, columns = shown.shape
        belongs = self._belongs[:rows, :columns]
        cv2.inRange(shown, index, index, belongs)
        left, top, wide, high = cv2.boundingRect(belongs)
        inside = belongs[top : top + high, left : left + wide]
        x, y = seen.x0 + (seen.left + left) * seen.wide, seen.y0 + (seen.top + top) * seen.high
        x, width = _within(x, wide * seen.wide, view.source_width)
        y, height = _within(y, high * seen.high, view.source_height)
        mask = encode(self._columns(inside))
        return Region(index, label_of(labels, index), score, share, x, y, width, height, mask)

    def _columns(self, inside: Array) -> Array:
        """The cells column by column, no more than `mask_side` across and down: a coarser cell
        belongs where its middle does. (To ask whether half of it does takes four times as long.)"""
        rows, columns = (min(self._decoding.mask_side, each) for each in inside.shape)
        if (rows, columns) != inside.shape:
            coarse = self._coarse[: rows * columns].reshape(rows, columns)
            inside = cv2.resize(inside, (columns, rows), coarse, interpolation=cv2.INTER_LINEAR)
        turned = self._turned[: rows * columns].reshape(columns, rows)
        cv2.transpose(inside, turned)
        return np.greater_equal(turned, 128, out=turned.view(np.bool_))


def _within(start: float, length: float, most: int) -> tuple[float, float]:
    """Start and length, cut at the edges of the frame."""
    end = min(start + length, float(most))
    start = max(start, 0.0)
    return start, end - start
