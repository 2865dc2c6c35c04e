"""A moving scene of handwritten digits: what is where in frame `seq`, known exactly."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sin
from pathlib import Path

import numpy as np
import numpy.typing as npt

import models
from runtime.tasks import Box

HELD_OUT = Path(models.__file__).parent / "zoo" / "digits-heldout.npz"

CELLS = 10  # a glyph is its 8x8 sample with one empty cell around it
FULL_INK = 16


@dataclass(frozen=True)
class Samples:
    """Handwritten digits. images: (n, 8, 8) uint8, ink 0 to 16. labels: (n,) uint8, 0 to 9."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.labels)

    def glyphs(self) -> npt.NDArray[np.uint8]:
        """(n, 10, 10) uint8: the samples with an empty cell around them."""
        return np.pad(self.images, ((0, 0), (1, 1), (1, 1)))

    def extents(self) -> npt.NDArray[np.intp]:
        """(n, 4): left, top, right, bottom edge of each glyph's ink, in cells of the glyph."""
        inked: npt.NDArray[np.bool_] = np.greater_equal(self.glyphs(), FULL_INK // 4)
        columns, rows = np.any(inked, axis=1), np.any(inked, axis=2)
        return np.stack(
            [
                columns.argmax(axis=1),
                rows.argmax(axis=1),
                CELLS - columns[:, ::-1].argmax(axis=1),
                CELLS - rows[:, ::-1].argmax(axis=1),
            ],
            axis=1,
        )


def held_out() -> Samples:
    """The digits that no model of the zoo was trained on. Source: models/zoo/README.md."""
    with np.load(HELD_OUT) as file:
        return Samples(file["images"], file["labels"])


@dataclass(frozen=True)
class Placed:
    """One digit in one frame: a square glyph, in pixels. ink: luma that full ink adds."""

    sample: int
    x: int
    y: int
    side: int
    ink: int


@dataclass(frozen=True)
class Wander:
    """A value that swings between 0 and 1 for ever."""

    speed: float  # radians per frame
    phase: float

    def at(self, seq: int) -> float:
        return 0.5 + 0.5 * sin(self.speed * seq + self.phase)


@dataclass(frozen=True)
class Path2D:
    """How one digit moves: inside its home rectangle, and a little beyond its edges."""

    home: tuple[float, float, float, float]  # x, y, width, height in pixels
    largest: float  # side of the glyph in pixels
    smallest: float
    across: Wander
    down: Wander
    size: Wander
    ink: Wander


@dataclass(frozen=True)
class Lane:
    """How one digit walks: across the whole picture and back, for ever, never turning its face.

    pixels: that it goes in a frame. room: how far it can go. phase: where it begins, in pixels.
    """

    pixels: float
    room: float
    phase: float
    top: int
    side: int

    def left(self, seq: int) -> int:
        """The left edge of the glyph in frame `seq`."""
        gone = (self.phase + self.pixels * seq) % (2 * self.room)
        return round(min(gone, 2 * self.room - gone))


class Walkers:
    """A scene of digits that walk to and fro, each in its lane, and hide each other where lanes
    overlap. Box k of the truth is the same digit in every frame."""

    def __init__(self, samples: Samples, size: tuple[int, int], digits: int, seed: int) -> None:
        self._still = Scene(samples, size, digits, seed, hold=1)
        width, height = size
        rng = np.random.default_rng((seed, 2))
        # lanes overlap by a fifth: neighbours hide a part of each other
        side = int(min(height / (0.8 * digits + 0.2), height / 2.5, width / 3))
        room = width - side
        self._samples = [int(i) for i in rng.choice(len(samples), digits, replace=False)]
        tops = np.linspace(0, height - side, digits) if digits > 1 else [(height - side) / 2]
        self._lanes = [
            Lane(
                float(rng.uniform(0.004, 0.012)) * width,
                room,
                float(rng.uniform(0, 2 * room)),
                round(float(top)),
                side,
            )
            for top in tops
        ]

    def at(self, seq: int) -> tuple[Placed, ...]:
        """What frame `seq` shows, in the order in which it is drawn."""
        return tuple(
            Placed(sample, lane.left(seq), lane.top, lane.side, 110)
            for sample, lane in zip(self._samples, self._lanes, strict=True)
        )

    def truth(self, seq: int) -> tuple[Box, ...]:
        """The true label and the box around the ink of every digit of frame `seq`, in pixels."""
        return tuple(self._still.box(placed) for placed in self.at(seq))


class Scene:
    """Where the digits are in frame `seq`: a function of (seed, seq), so truth is recomputed.

    One digit roams the whole picture; several roam a lattice of cells and hardly overlap. Every
    sample is shown in turn, `hold` frames long.
    """

    def __init__(
        self, samples: Samples, size: tuple[int, int], digits: int, seed: int, hold: int
    ) -> None:
        self._size = size
        self._labels = [int(label) for label in samples.labels]
        self._extents = [tuple(map(int, row)) for row in samples.extents()]
        self._hold = hold
        rng = np.random.default_rng(seed)
        self._order = [int(i) for i in rng.permutation(len(samples))]
        homes = lattice(size, digits)
        chosen = rng.permutation(len(homes))[:digits]
        self._paths = [_path(homes[i], size, digits, rng) for i in chosen]

    def at(self, seq: int) -> tuple[Placed, ...]:
        """What frame `seq` shows, in the order in which it is drawn."""
        count, turn = len(self._paths), seq // self._hold
        return tuple(
            self._place(path, seq, self._order[(turn * count + k) % len(self._order)])
            for k, path in enumerate(self._paths)
        )

    def truth(self, seq: int) -> tuple[Box, ...]:
        """The true label and the box around the ink of every digit of frame `seq`, in pixels."""
        return tuple(self.box(placed) for placed in self.at(seq))

    def box(self, placed: Placed) -> Box:
        left, top, right, bottom = self._extents[placed.sample]
        cell = placed.side / CELLS
        label = self._labels[placed.sample]
        return Box(
            index=label,
            label=str(label),
            score=1.0,
            x=placed.x + left * cell,
            y=placed.y + top * cell,
            width=(right - left) * cell,
            height=(bottom - top) * cell,
        )

    def _place(self, path: Path2D, seq: int, sample: int) -> Placed:
        x, y, width, height = path.home
        side = round(path.smallest + (path.largest - path.smallest) * path.size.at(seq))
        # a glyph's empty rim may leave the home: neighbours come close and do not overlap
        rim = side / CELLS
        left = x - rim + (width - side + 2 * rim) * path.across.at(seq)
        top = y - rim + (height - side + 2 * rim) * path.down.at(seq)
        return Placed(
            sample,
            min(max(round(left), 0), self._size[0] - side),
            min(max(round(top), 0), self._size[1] - side),
            side,
            round(75 + 50 * path.ink.at(seq)),
        )


def lattice(size: tuple[int, int], count: int) -> list[tuple[float, float, float, float]]:
    """Equal rectangles (x, y, width, height), at least `count`, their short side the largest."""
    width, height = size
    shapes = [(rows, -(-count // rows)) for rows in range(1, count + 1)]
    rows, columns = max(shapes, key=lambda shape: min(height / shape[0], width / shape[1]))
    across, down = width / columns, height / rows
    return [(c * across, r * down, across, down) for r in range(rows) for c in range(columns)]


def _path(
    home: tuple[float, float, float, float],
    size: tuple[int, int],
    digits: int,
    rng: np.random.Generator,
) -> Path2D:
    """One digit's way. With company it is never larger than half the picture."""
    largest = min(home[2], home[3], min(size) / (1 if digits == 1 else 2))
    smallest = largest * (0.75 if digits == 1 else 0.65)

    def wander() -> Wander:
        return Wander(float(rng.uniform(0.015, 0.06)), float(rng.uniform(0, 2 * pi)))

    return Path2D(home, largest, smallest, wander(), wander(), wander(), wander())
