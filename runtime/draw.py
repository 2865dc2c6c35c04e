"""Draws what was found into a picture: boxes, outlines and poses with their labels, and in words
what has no place: classes, regions' shares, vectors, statistics."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2

from runtime.draw_shapes import draw_skeleton, tint
from runtime.frames import Pixels
from runtime.lettering import BOLD, PLAIN, Colour, clean, shorten, width, write
from runtime.tasks import Box, Class, Found, Instance, Pose, Region, Stats, Value, Vector

# Okabe and Ito, "Color Universal Design" (2008): told apart by every kind of colour vision.
# Blue, green, red here. Neighbours in the list differ in lightness too.
COLOURS: tuple[Colour, ...] = (
    (233, 180, 86),  # sky blue
    (0, 159, 230),  # orange
    (115, 158, 0),  # bluish green
    (66, 228, 240),  # yellow
    (178, 114, 0),  # blue
    (167, 121, 204),  # reddish purple
    (0, 94, 213),  # vermilion
)
BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)
TRACK: Colour = (90, 90, 90)  # of a bar
MOST_BOXES = 100
MOST_ROWS = 8


@dataclass(frozen=True)
class Area:
    """A rectangle of whole pixels inside a picture; right and bottom are just outside it."""

    left: int
    top: int
    right: int
    bottom: int

    def of(self, picture: Pixels) -> Pixels:
        return picture[self.top : self.bottom, self.left : self.right]

    def meets(self, other: Area) -> bool:
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom


def draw(picture: Pixels, found: Found, source: tuple[int, int]) -> None:
    """Draw into `picture` in place.

    picture: (height, width, 3) uint8, BGR, writable; any size
    source: (width, height) of the frame whose pixels the boxes count in (`Layout.source`)
    Whatever a label or a number holds, nothing is drawn outside the picture and nothing raises.
    """
    if not found:
        return
    boxes = [each for each in found if isinstance(each, Box)]
    regions = [each for each in found if isinstance(each, Region)]
    if boxes:
        draw_boxes(picture, boxes, source)
    if regions:
        draw_regions(picture, regions, source)
    draw_ranking(picture, [each for each in found if isinstance(each, Class)])
    draw_words(
        picture, [words_of(each) for each in found if isinstance(each, Vector | Value | Stats)]
    )


def colour_of(index: int) -> Colour:
    """The colour of a class, the same in every picture."""
    return COLOURS[index % len(COLOURS)]


def ink_on(colour: Colour) -> Colour:
    """Black or white, whichever has the greater contrast (WCAG 2 relative luminance)."""
    blue, green, red = (linear(c / 255) for c in colour)
    return BLACK if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else WHITE


def linear(value: float) -> float:
    """sRGB to light, both 0 to 1 (IEC 61966-2-1)."""
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def letter_size(picture: Pixels) -> int:
    """The font size, in pixels, that is read well at this size of picture."""
    return max(12, min(48, round(0.027 * math.sqrt(picture.shape[0] * picture.shape[1]))))


def percent(score: float) -> str:
    return f"{score:.0%}" if math.isfinite(score) else "?"


def name_of(index: int, label: str) -> str:
    return clean(label) or f"#{index}"


def draw_boxes(picture: Pixels, boxes: Sequence[Box], source: tuple[int, int]) -> None:
    """Outlines first, plates on top of all of them; the best scores last, so never covered."""
    best = sorted(boxes, key=lambda box: -box.score)[:MOST_BOXES]
    placed = [(box, area) for box in best if (area := outline(picture, box, source))]
    for box in reversed(best):
        if isinstance(box, Instance):
            tint(picture, box, source, colour_of(box.index))
    line = max(2, letter_size(picture) // 7)
    for box, area in reversed(placed):
        corners = (area.left, area.top), (area.right - 1, area.bottom - 1)
        cv2.rectangle(picture, *corners, BLACK, line + 2)  # a dark edge shows on light ground
        cv2.rectangle(picture, *corners, colour_of(box.index), line)
    for box in reversed(best):
        if isinstance(box, Pose):
            draw_skeleton(picture, box, source, colour_of(box.index))
    taken: list[Area] = []
    for box, area in placed:
        draw_plate(picture, box, area, taken)


def outline(picture: Pixels, box: Box, source: tuple[int, int]) -> Area | None:
    """Where a box lies in the picture; None if nowhere."""
    if not all(map(math.isfinite, (box.x, box.y, box.width, box.height))):
        return None
    tall, wide = picture.shape[:2]
    across, down = wide / source[0], tall / source[1]
    left, right = clip(box.x * across, wide), clip((box.x + box.width) * across, wide)
    top, bottom = clip(box.y * down, tall), clip((box.y + box.height) * down, tall)
    if left >= right or top >= bottom:
        return None
    return Area(left, top, right, bottom)


def clip(value: float, most: int) -> int:
    return round(max(0.0, min(float(most), value)))


def draw_plate(picture: Pixels, box: Box, area: Area, taken: list[Area]) -> None:
    """A label and a score on the box's colour, where no better box's plate is."""
    size = letter_size(picture)
    pad, high = size // 3, round(size * 1.4)
    tall, wide = picture.shape[:2]
    score = percent(box.score)
    score_wide = width(score, size, PLAIN)
    room = min(wide - 4 * pad - score_wide, max(size * 6, wide // 3))
    name = shorten(name_of(box.index, box.label), size, BOLD, room)
    name_wide = width(name, size, BOLD)
    long = min(wide, name_wide + score_wide + 3 * pad)
    left = max(0, min(area.left, wide - long))
    spots = (
        Area(left, top, left + long, top + high)
        for top in (area.top - high, area.bottom, area.top, area.bottom - high)
        if 0 <= top <= tall - high
    )
    spot = free_spot(spots, taken)
    if spot is None:  # no room: the outline alone says where it is
        return
    taken.append(spot)
    colour = colour_of(box.index)
    plate = spot.of(picture)
    plate[:] = colour
    write(plate, name, pad, size, BOLD, ink_on(colour))
    write(plate, score, name_wide + 2 * pad, size, PLAIN, ink_on(colour))


def free_spot(spots: Iterable[Area], taken: list[Area]) -> Area | None:
    return next((s for s in spots if not any(s.meets(other) for other in taken)), None)


def shade(picture: Pixels, lines: int, wide: int) -> list[Pixels]:
    """Darken a panel at the top left and return its rows, as many of `lines` as have room."""
    size = letter_size(picture)
    edge, high = size // 2, round(size * 1.75)
    room = picture.shape[0] - 2 * edge
    lines = min(lines, MOST_ROWS, max(1, round(room * 0.8) // high))
    right = min(picture.shape[1], edge + wide)
    panel = Area(edge, edge, right, edge + lines * high + size // 3).of(picture)
    if panel.size == 0:
        return []
    cv2.convertScaleAbs(panel, panel, 0.3)
    return [panel[high * i : high * (i + 1)] for i in range(lines) if high * i < panel.shape[0]]


def draw_regions(picture: Pixels, regions: Sequence[Region], source: tuple[int, int]) -> None:
    """Each in its colour, and what part of the picture each takes as a ranking."""
    for region in regions[:MOST_BOXES]:
        tint(picture, region, source, colour_of(region.index))
    draw_ranking(picture, [Class(each.index, each.label, each.share) for each in regions])


def draw_ranking(picture: Pixels, classes: Sequence[Class]) -> None:
    """The classes, best first, each with its score as a bar."""
    if not classes:
        return
    size = letter_size(picture)
    wide = max(size * 11, round(picture.shape[1] * 0.28))
    best = sorted(classes, key=lambda entry: -entry.score)
    for place, (row, entry) in enumerate(zip(shade(picture, len(best), wide), best, strict=False)):
        draw_class(row, entry, size, BOLD if place == 0 else PLAIN)


def draw_class(row: Pixels, entry: Class, size: int, weight: int) -> None:
    """One row: the label at the left, the score at the right, the bar below both."""
    high, wide = row.shape[:2]
    pad, thick = size // 2, max(3, size // 5)
    score = percent(entry.score)
    score_wide = width(score, size, weight)
    name = name_of(entry.index, entry.label)
    name = shorten(name, size, weight, wide - score_wide - 3 * pad)
    words = row[: max(0, high - thick)]
    if words.size == 0 or wide <= 2 * pad:
        return
    write(words, name, pad, size, weight, WHITE)
    write(words, score, max(0, wide - pad - score_wide), size, weight, WHITE)
    track = row[high - thick :, pad : wide - pad]
    track[:] = TRACK
    track[:, : round(track.shape[1] * min(1.0, max(0.0, entry.score)))] = colour_of(entry.index)


def words_of(entry: Vector | Value | Stats) -> tuple[str, str]:
    """What a tensor is, and what is in it."""
    if isinstance(entry, Value):
        return entry.name, f"{entry.value:.6g}"
    if isinstance(entry, Vector):
        return f"{entry.name} {len(entry.values)}", f"length {entry.length:.3g}"
    shape = "x".join(map(str, entry.shape))
    numbers = f"{entry.minimum:.3g} to {entry.maximum:.3g}, mean {entry.mean:.3g}"
    return f"{entry.name} {shape}", numbers


def draw_words(picture: Pixels, lines: Sequence[tuple[str, str]]) -> None:
    """A line for each tensor: what it is, and what is in it."""
    if not lines:
        return
    size = letter_size(picture)
    rows = shade(picture, len(lines), picture.shape[1] - size)
    for row, (what, numbers) in zip(rows, lines, strict=False):
        most = max(0, row.shape[1] - size)
        name = shorten(clean(what), size, BOLD, most)
        after = size // 2 + width(name, size, BOLD) + size // 2
        write(row, name, size // 2, size, BOLD, WHITE)
        if after < most:
            values = shorten(clean(numbers), size, PLAIN, most - after + size // 2)
            write(row, values, after, size, PLAIN, WHITE)
