"""Anchors: the default boxes that a raw SSD head's offsets start from, by rule or from a file."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models import manifest
from models.detection import MOST_ANCHORS
from models.manifest import Input
from models.plain import open_plain
from wire.troubles import Refused

Anchors = npt.NDArray[np.float32]  # (n, 4): centre x and y, width, height, in shares of the input

NAMES = ("cx", "cy", "w", "h")
LARGEST_FILE = 16 * 1024 * 1024
FARTHEST = 100.0  # shares of the input: an anchor beyond that is garbage


def by_rule(rule: manifest.Anchors, eats: Input) -> Anchors:
    """SSD's default boxes, grid by grid, row by row, as TensorFlow's ssd_anchor_generator does.

    Source: Liu et al. 2016 (arXiv:1512.02325), section 2.2; Huang et al. 2017 (arXiv:1611.10012).
    """
    shorter = min(eats.width, eats.height)
    grids = []
    for place, stride in enumerate(rule.strides):
        wide, tall = -(-eats.width // stride), -(-eats.height // stride)
        boxes = np.array(
            [
                (scale * math.sqrt(ratio) * shorter / eats.width,
                 scale / math.sqrt(ratio) * shorter / eats.height)
                for scale, ratio in _boxes(rule, place)
            ]
        )  # fmt: skip
        rows, columns = np.mgrid[0:tall, 0:wide]
        centres = np.stack(((columns + 0.5) / wide, (rows + 0.5) / tall), axis=-1).reshape(-1, 2)
        grid = np.empty((len(centres), len(boxes), 4), np.float32)
        grid[..., :2] = centres[:, None]
        grid[..., 2:] = boxes
        grids.append(grid.reshape(-1, 4))
    return np.concatenate(grids)


def _boxes(rule: manifest.Anchors, place: int) -> list[tuple[float, float]]:
    """(scale, aspect ratio) of each box in a cell of one grid."""
    scale = _scale(rule, place)
    if place == 0 and rule.reduce_boxes_in_lowest_layer:
        return [(0.1, 1.0), (scale, 2.0), (scale, 0.5)]
    boxes = [(scale, ratio) for ratio in rule.aspect_ratios]
    if rule.interpolated_scale_aspect_ratio > 0:
        between = math.sqrt(scale * _scale(rule, place + 1))
        boxes.append((between, rule.interpolated_scale_aspect_ratio))
    return boxes


def _scale(rule: manifest.Anchors, place: int) -> float:
    last = len(rule.strides) - 1
    if place > last:
        return 1.0
    share = place / last if last else 0.0
    return rule.min_scale + (rule.max_scale - rule.min_scale) * share


def read_anchors(path: Path) -> Anchors:
    """Anchors from a text file: four numbers a line, in shares of the input, between commas.

    They are cx, cy, w, h, or as a first line with these names orders them. Raises Refused.
    """
    try:
        with open_plain(path) as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise Refused(f"{path}: anchors cannot be read: {error.strerror}") from None
    if len(content) > LARGEST_FILE:
        raise Refused(f"{path}: larger than {LARGEST_FILE >> 20} MiB: these are no anchors")
    lines = content.decode("utf-8-sig", "replace").splitlines()
    if len(lines) > MOST_ANCHORS:
        raise Refused(f"{path}: {len(lines)} lines; {MOST_ANCHORS} anchors can be used")
    first = tuple(each.strip().lower() for each in lines[0].split(",")) if lines else ()
    named = sorted(first) == sorted(NAMES)
    order = first if named else NAMES
    rows = [_row(path, at, line) for at, line in enumerate(lines) if line.strip() and at >= named]
    if not rows:
        raise Refused(f"{path}: no anchors in it: four numbers a line, {', '.join(NAMES)}")
    columns = [order.index(name) for name in NAMES]
    anchors = np.array(rows, np.float32)[:, columns]
    if not (anchors[:, 2:] > 0).all():
        at = int(np.flatnonzero((anchors[:, 2:] <= 0).any(axis=1))[0])
        raise Refused(f"{path}: anchor {at + 1} has no size: w and h are shares of the input, > 0")
    return anchors


def _row(path: Path, at: int, line: str) -> tuple[float, ...]:
    try:
        row = tuple(float(each) for each in line.split(","))
    except ValueError:
        row = ()
    if len(row) != len(NAMES) or not all(abs(each) <= FARTHEST for each in row):  # NaN too
        raise Refused(
            f"{path}:{at + 1}: an anchor is four numbers, {', '.join(NAMES)}, in shares of the "
            "input, between commas"
        )
    return row
