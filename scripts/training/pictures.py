"""Pictures to train on: the synthetic camera's scene, prepared exactly as the runtime does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from models.manifest import Input
from runtime.cameras.painter import Painter
from runtime.cameras.scene import Placed, Samples, Scene
from runtime.frames import Frame, Layout, Pixels, packed
from runtime.prepare import make_prepare
from runtime.tasks import Box, View

SIZES = ((160, 120), (320, 240), (640, 480), (320, 180), (160, 90), (240, 240))
ODDS = (0.3, 0.2, 0.05, 0.2, 0.15, 0.1)
FRAMES_PER_BACKGROUND = 8


@dataclass(frozen=True)
class Seen:
    """One prepared picture. pixels: (height, width) uint8 as the model sees it."""

    pixels: Pixels
    boxes: tuple[Box, ...]  # in source pixels
    view: View


class Preparer:
    """Turns grey frames into what the model sees, with the runtime's own code."""

    def __init__(self, width: int, height: int) -> None:
        wanted = Input(width=width, height=height, colour="grey", layout="NHWC", dtype="uint8")
        self._prepare = make_prepare(wanted)
        self._out = np.zeros((1, height, width, 1), np.uint8)

    def __call__(self, memory: Pixels, layout: Layout, boxes: tuple[Box, ...] = ()) -> Seen:
        with Frame(0, 0, layout, memory, lambda: None) as frame:
            view = self._prepare(frame, self._out)
        return Seen(self._out[0, :, :, 0].copy(), boxes, view)


def one_digit(
    samples: Samples, count: int, prepare: Preparer, rng: np.random.Generator
) -> Iterator[Seen]:
    """Scenes with one large digit anywhere; one in ten is a bare sample that fills the frame."""
    for layout, painter in _painters(samples, count, rng):
        canvas = painter.canvas(memory := np.empty(layout.nbytes, np.uint8))
        scene = Scene(samples, (layout.width, layout.height), 1, 0, 1)
        for _ in range(FRAMES_PER_BACKGROUND):
            placed = _anywhere(len(samples), layout, rng)
            boxes = (scene.box(placed),)
            if rng.random() < 0.1:
                bare, square = blown_up(samples.images[placed.sample], int(rng.integers(8, 240)))
                yield prepare(bare, square, boxes)
            else:
                painter.draw(canvas, (placed,))
                yield prepare(memory, layout, boxes)


def several_digits(
    samples: Samples, count: int, prepare: Preparer, rng: np.random.Generator
) -> Iterator[Seen]:
    """Scenes with one to twelve digits, and a few with none."""
    for layout, painter in _painters(samples, count, rng):
        canvas = painter.canvas(memory := np.empty(layout.nbytes, np.uint8))
        for _ in range(FRAMES_PER_BACKGROUND):
            digits, seed, seq = (int(rng.integers(n)) for n in (13, 2**31, 10_000))
            scene = Scene(samples, (layout.width, layout.height), max(digits, 1), seed, 1)
            placed = scene.at(seq) if digits else ()
            painter.draw(canvas, placed)
            yield prepare(memory, layout, tuple(scene.box(each) for each in placed))


def blown_up(image: Pixels, side: int) -> tuple[Pixels, Layout]:
    """A bare 8x8 sample as a square frame, ink white on black: memory and layout."""
    picture = cv2.resize(np.rint(image * (255 / 16)).astype(np.uint8), (side, side))
    return picture.reshape(-1), packed("GREY", side, side)


def distorted(samples: Samples, rng: np.random.Generator) -> Samples:
    """Each sample a little turned, slanted and stretched, as another hand might write it."""
    large = 8 * 6
    images = np.empty_like(samples.images)
    for number, image in enumerate(samples.images):
        turn, slant = rng.normal(0, 0.1), rng.normal(0, 0.12)
        wide, tall = rng.uniform(0.9, 1.1, 2)
        matrix = np.array([[wide * np.cos(turn), slant - np.sin(turn)], [np.sin(turn), tall]])
        centre = np.full(2, large / 2)
        shift = centre - matrix @ centre + rng.normal(0, 1.5, 2)
        ink = cv2.resize(image * 15, (large, large), interpolation=cv2.INTER_CUBIC)
        moved = cv2.warpAffine(ink, np.column_stack([matrix, shift]), (large, large))
        small = cv2.resize(moved, (8, 8), interpolation=cv2.INTER_AREA)
        images[number] = np.clip(np.rint(small / 15 * rng.uniform(0.9, 1.25)), 0, 16)
    return Samples(images, samples.labels)


def _painters(
    samples: Samples, count: int, rng: np.random.Generator
) -> Iterator[tuple[Layout, Painter]]:
    """One painter, each with a background of its own, for every FRAMES_PER_BACKGROUND pictures."""
    for _ in range(count // FRAMES_PER_BACKGROUND):
        layout = packed("GREY", *SIZES[rng.choice(len(SIZES), p=ODDS)])
        yield layout, Painter(layout, samples, int(rng.integers(2**31)))


def _anywhere(count: int, layout: Layout, rng: np.random.Generator) -> Placed:
    side = int(rng.uniform(0.6, 1.0) * min(layout.width, layout.height))
    x = int(rng.integers(layout.width - side + 1))
    y = int(rng.integers(layout.height - side + 1))
    return Placed(int(rng.integers(count)), x, y, side, int(rng.integers(65, 135)))
