"""Tasks: what a model's outputs mean. Tensors in, plain values out; one file per task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

Tensor = npt.NDArray[Any]


@dataclass(frozen=True)
class Class:
    """One answer of a classifier. score: probability, 0 to 1."""

    index: int
    label: str
    score: float


@dataclass(frozen=True)
class Box:
    """One found object. x, y: top left corner; all four in pixels of the source frame."""

    index: int
    label: str
    score: float
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Mask:
    """Which cells of a grid belong to what was found. The grid lies over its box, edge on edge.

    size: rows and columns. counts: how many cells in turn do not belong, belong, do not, ... from
    the top of the first column to its foot, then down the next one; the first count may be 0. That
    is the uncompressed run-length encoding of the COCO data format (cocodataset.org/#format-data):
    the grid is as fine as the model can tell, and no finer than `[decoding] mask_side`.
    """

    size: tuple[int, int]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Instance(Box):
    """One found object and its outline. mask: None where no cell of its box belongs to it."""

    mask: Mask | None = None


@dataclass(frozen=True)
class Point:
    """A keypoint. x, y: in pixels of the source frame, perhaps beyond its edges. score: 0 to 1."""

    name: str
    x: float
    y: float
    score: float


@dataclass(frozen=True)
class Pose(Box):
    """One found body: its box, its keypoints in the model's order, and which of them are joined.

    skeleton: pairs of places in `points`, from 0.
    """

    points: tuple[Point, ...] = ()
    skeleton: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Region:
    """All that is of one class in the picture. share: of what the model saw of it, 0 to 1.

    score: mean probability of the class where it was found, None where the model gives none.
    x, y, width, height: the box around it, in pixels of the source frame; the mask lies over that.
    """

    index: int
    label: str
    score: float | None
    share: float
    x: float
    y: float
    width: float
    height: float
    mask: Mask


@dataclass(frozen=True)
class Vector:
    """What a picture looks like, as numbers to compare with those of others, by their cosine.

    name: the output's. length: of the vector as the model gave it, before any normalising.
    """

    name: str
    length: float
    values: tuple[float, ...]


@dataclass(frozen=True)
class Stats:
    """What one output tensor holds, in real (dequantised) values."""

    name: str
    shape: tuple[int, ...]
    minimum: float
    maximum: float
    mean: float


@dataclass(frozen=True)
class Value:
    """A number that the model predicts, in whatever unit it was trained to."""

    name: str
    value: float


Entry = Class | Box | Region | Vector | Value | Stats  # an Instance and a Pose are boxes
Found = (
    tuple[Class, ...]
    | tuple[Box, ...]
    | tuple[Region, ...]
    | tuple[Vector, ...]
    | tuple[Value, ...]
    | tuple[Stats, ...]
)


def name_of(entry: Entry) -> str:
    """What it is called: its label, or the name of the output that it was read from."""
    return entry.name if isinstance(entry, Vector | Value | Stats) else entry.label


def score_of(entry: Entry) -> float | None:
    """How sure the model is of it; None where it does not say."""
    return None if isinstance(entry, Vector | Value | Stats) else entry.score


@dataclass(frozen=True)
class View:
    """Which part of the source frame the input tensor shows.

    source pixel = (x0, y0) + tensor pixel * (step_x, step_y), both measured at pixel edges.
    """

    source_width: int
    source_height: int
    x0: float
    y0: float
    step_x: float
    step_y: float


Decode = Callable[[tuple[Tensor, ...], View], Found]
