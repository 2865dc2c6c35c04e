"""What was found, in the words of the wire, and no more of it than a message has room for."""

from __future__ import annotations

from math import isfinite

import msgspec

from runtime import tasks
from runtime.tasks import Class, Entry, Instance, Point, Pose, Region, Stats, Value, Vector
from wire.results import LeftOut, Mask, Thing

MOST_THINGS = 100  # in one result, the first of the model's own order
LONGEST_LABEL = 200  # characters; labels come with the model, from strangers
# Of all masks, points and vectors together: the message stays below 64 KiB, which brokers take.
MOST_DETAIL_BYTES = 24_000
DIGITS = 5  # of a vector's values: their cosine is then off by less than 0.00001


def told(found: tuple[Entry, ...]) -> tuple[tuple[Thing, ...], LeftOut]:
    """The things as they travel, and what had to be left out.

    Masks, points and vectors are left out where they have no room; what comes first in the model's
    own order, the surest, has the first right to it.
    """
    room = MOST_DETAIL_BYTES
    things = []
    left = {"masks": 0, "points": 0, "values": 0}
    for entry in found[:MOST_THINGS]:
        said = thing(entry)
        details = _detail(said)
        size = len(msgspec.json.encode(details)) if details else 0
        if size > room:
            for kind in details:
                left[KINDS[kind]] += 1
            said = msgspec.structs.replace(said, mask=None, points=None, values=None)
            size = 0
        room -= size
        things.append(said)
    return tuple(things), LeftOut(max(0, len(found) - MOST_THINGS), **left)


KINDS = {"mask": "masks", "points": "points", "values": "values"}


def _detail(said: Thing) -> dict[str, object]:
    return {kind: value for kind in KINDS if (value := getattr(said, kind)) is not None}


def thing(entry: Entry) -> Thing:
    """One thing as it travels. JSON knows no NaN and no infinity: they become None."""
    if isinstance(entry, Stats):
        return Thing(
            entry.name[:LONGEST_LABEL],
            minimum=_finite(entry.minimum),
            maximum=_finite(entry.maximum),
            mean=_finite(entry.mean),
        )
    if isinstance(entry, Value):
        return Thing(entry.name[:LONGEST_LABEL], value=_finite(entry.value))
    if isinstance(entry, Vector):
        values = tuple(float(f"{value:.{DIGITS}g}") for value in entry.values)
        length = _finite(entry.length)
        return Thing(entry.name[:LONGEST_LABEL], length=length, values=values)
    label = entry.label[:LONGEST_LABEL]
    score = None if entry.score is None else _finite(entry.score)
    if isinstance(entry, Class):
        return Thing(label, entry.index, score)
    sides = (entry.x, entry.y, entry.width, entry.height)
    box = sides if all(map(isfinite, sides)) else None
    if isinstance(entry, Region):
        share = _finite(entry.share)
        return Thing(label, entry.index, score, box, share=share, mask=_mask(entry.mask))
    if isinstance(entry, Instance) and entry.mask is not None:
        return Thing(label, entry.index, score, box, mask=_mask(entry.mask))
    if isinstance(entry, Pose):
        points = {point.name[:LONGEST_LABEL]: _point(point) for point in entry.points}
        return Thing(label, entry.index, score, box, points=points)
    return Thing(label, entry.index, score, box)


def _mask(mask: tasks.Mask) -> Mask:
    return Mask(mask.size, mask.counts)


def _point(point: Point) -> tuple[float, float, float] | None:
    numbers = point.x, point.y, point.score
    if not all(map(isfinite, numbers)):
        return None
    return round(point.x, 1), round(point.y, 1), round(point.score, 3)


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
