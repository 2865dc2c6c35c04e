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
class Stats:
    """What one output tensor holds, in real (dequantised) values."""

    name: str
    shape: tuple[int, ...]
    minimum: float
    maximum: float
    mean: float


Found = tuple[Class, ...] | tuple[Box, ...] | tuple[Stats, ...]


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
