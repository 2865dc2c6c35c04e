"""Which of the boxes that a pipeline found another one looks at, each as a frame of its own."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.frames import Layout, Part
from runtime.geometry import region_around
from runtime.sharing.packets import FARTHEST, Choice, Spot
from runtime.tasks import Box, Found


@dataclass(frozen=True)
class Crop:
    """What a reader asks for. margin: what is shown around a box, in shares of its sides."""

    choice: Choice
    margin: float


def chosen(found: Found, choice: Choice) -> tuple[Spot, ...]:
    """The boxes that a reader wants, the best first."""
    boxes = [
        one
        for one in found
        if isinstance(one, Box)
        and one.score >= choice.min_score
        and (not choice.labels or one.label in choice.labels)
        and all(-FARTHEST <= side <= FARTHEST for side in (one.x, one.y, one.width, one.height))
    ]
    boxes.sort(key=lambda box: -box.score)
    return tuple(
        Spot(box.index, box.label[:200], box.score, box.x, box.y, box.width, box.height)
        for box in boxes[: choice.most]
    )


def part_of(spot: Spot, margin: float, layout: Layout) -> Part:
    """What the model is to look at."""
    box = Box(spot.index, spot.label, spot.score, spot.x, spot.y, spot.width, spot.height)
    return Part(box, region_around(box, margin, layout))
