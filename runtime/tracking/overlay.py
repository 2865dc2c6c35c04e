"""Draws what was observed into a picture: zones and lines under the boxes, numbers over them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from runtime.draw import BLACK, Area, ink_on, letter_size, outline
from runtime.frames import Pixels
from runtime.lettering import BOLD, Colour, clean, width, write
from runtime.tasks import Box
from runtime.tracking.observer import Observed

ZONE: Colour = (66, 228, 240)  # yellow and reddish purple of Okabe and Ito, see runtime/draw.py
LINE: Colour = (167, 121, 204)
TINT = 0.22  # of a zone in which somebody is


@dataclass(frozen=True)
class Overlay:
    """What is drawn of one result beside what was found."""

    result: Observed

    def below(self, picture: Pixels) -> None:
        """Zones and lines, before the boxes are drawn. picture: (height, width, 3) uint8, BGR."""
        wanted = self.result.wanted
        for name, zone in wanted.zone.items():
            sums = self.result.zones[name]
            draw_zone(picture, f"{name} {sums.count}", zone.points, sums.count > 0)
        for name, line in wanted.line.items():
            crossed = self.result.lines[name]
            counts = [f"{word} {crossed[word]}" for word in line.directions]
            draw_line(picture, name, line.points, counts)

    def above(self, picture: Pixels, source: tuple[int, int]) -> None:
        """The number of each track, at the foot of its box. source: (width, height) in which boxes
        count."""
        for box, mark in zip(self.result.found, self.result.marks, strict=True):
            if mark.track is None or not isinstance(box, Box):
                continue
            area = outline(picture, box, source)
            if area is not None:
                tag(picture, f"#{mark.track}", (area.left + area.right) // 2, area.bottom)


def overlay_of(result: object) -> Overlay | None:
    """What there is to draw beside what was found."""
    return Overlay(result) if isinstance(result, Observed) else None


def draw_zone(
    picture: Pixels, words: str, points: tuple[tuple[float, ...], ...], is_taken: bool
) -> None:
    """Its outline; tinted while something is inside."""
    corners = pixels(picture, points)
    if is_taken:
        left, top = corners.min(axis=0)
        right, bottom = corners.max(axis=0) + 1
        part = picture[top:bottom, left:right]
        tinted = part.copy()
        cv2.fillPoly(tinted, [corners - (left, top)], ZONE)
        cv2.addWeighted(tinted, TINT, part, 1 - TINT, 0, dst=part)
    thick = thickness(picture)
    cv2.polylines(picture, [corners], True, BLACK, thick + 2, cv2.LINE_AA)
    cv2.polylines(picture, [corners], True, ZONE, thick, cv2.LINE_AA)
    x, y = corners[np.lexsort((corners[:, 0], corners[:, 1]))[0]]
    plate(picture, words, int(x), int(y), ZONE)


def draw_line(
    picture: Pixels, name: str, points: tuple[tuple[float, ...], ...], counts: list[str]
) -> None:
    """The line, and an arrow on each side with how many went there."""
    a, b = pixels(picture, points).astype(float)
    thick, size = thickness(picture), letter_size(picture)
    for colour, wide in ((BLACK, thick + 2), (LINE, thick)):
        cv2.line(picture, rounded(a), rounded(b), colour, wide, cv2.LINE_AA)
    along = (b - a) / max(1.0, float(np.hypot(*(b - a))))
    right = np.array([-along[1], along[0]])  # y goes down
    middle, far = (a + b) / 2, size * 1.6
    for words, towards, shift in ((counts[0], right, -1.2), (counts[1], -right, 1.2)):
        foot = middle + along * size * shift
        tip = foot + towards * far
        for colour, wide in ((BLACK, thick + 2), (LINE, thick)):
            cv2.arrowedLine(picture, rounded(foot), rounded(tip), colour, wide, cv2.LINE_AA, 0, 0.4)
        long = width(clean(words), size, BOLD) + size // 2  # the plate begins where the arrow ends
        spot = tip + towards * (abs(towards[0]) * long + abs(towards[1]) * size * 1.4) * 0.55
        plate(picture, words, int(spot[0]), int(spot[1] - size * 0.7), LINE, is_centred=True)
    plate(picture, name, int(a[0]), int(a[1] - size * 0.7), LINE)


def tag(picture: Pixels, words: str, x: int, y: int) -> None:
    """A small plate that stands on a point."""
    size = round(letter_size(picture) * 0.85)
    plate(picture, words, x, y - round(size * 1.4), BLACK, size=size, is_centred=True)


def plate(
    picture: Pixels, words: str, x: int, y: int, colour: Colour, *, size: int = 0,
    is_centred: bool = False,
) -> None:  # fmt: skip
    """Words on a colour, moved into the picture where they would leave it."""
    size = size or letter_size(picture)
    tall, wide = picture.shape[:2]
    words = clean(words)
    long, high = min(wide, width(words, size, BOLD) + size // 2), min(tall, round(size * 1.4))
    left = min(max(0, x - (long // 2 if is_centred else 0)), wide - long)
    top = min(max(0, y), tall - high)
    area = Area(left, top, left + long, top + high).of(picture)
    area[:] = colour
    write(area, words, size // 4, size, BOLD, ink_on(colour))


def thickness(picture: Pixels) -> int:
    return max(2, letter_size(picture) // 8)


def pixels(picture: Pixels, points: tuple[tuple[float, ...], ...]) -> npt.NDArray[np.int32]:
    """The corners in whole pixels, (n, 2)."""
    tall, wide = picture.shape[:2]
    most = np.array([wide - 1, tall - 1])
    whole: npt.NDArray[np.int32] = np.rint(np.array(points) * most).astype(np.int32)
    return whole


def rounded(point: npt.NDArray[np.float64]) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))
