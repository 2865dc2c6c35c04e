"""What a pipeline makes of boxes: filter, tracking, zones and lines, as vedette.toml says it.

Places are shares of the picture, so that they outlive a change of its size: [0, 0] is the top left
corner, [1, 1] the bottom right one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from typing import Annotated, Literal

from msgspec import Meta, Struct

from wire.names import NAME_PATTERN, Name
from wire.toml_lines import KeyPath

MOST_OF_A_KIND = 16  # zones, and lines, of one pipeline: each box is held against all of them
MOST_LABELS = 200
NEAREST = 1e-6  # of two points, in shares of the picture

Share = Annotated[float, Meta(ge=0, le=1)]
Place = Annotated[tuple[Share, ...], Meta(min_length=2, max_length=2)]  # x, y
Size = Annotated[tuple[Share, ...], Meta(min_length=2, max_length=2)]  # width, height
Label = Annotated[str, Meta(min_length=1, max_length=200)]
Labels = Annotated[tuple[Label, ...], Meta(max_length=MOST_LABELS)]
Anchor = Literal["bottom", "middle", "top"]
Margin = Annotated[float, Meta(ge=0, le=2)]


class Bounds(Struct, frozen=True, forbid_unknown_fields=True):
    """[pipeline.NAME.filter.label.LABEL]: what a box must be to be taken. None: anything."""

    min_score: Share | None = None
    min_size: Size | None = None
    max_size: Size | None = None


class Filter(Bounds, frozen=True, forbid_unknown_fields=True):
    """[pipeline.NAME.filter]: for all labels. labels: only these are taken; empty: all. label:
    other bounds for some of them; what is left out there is as for all."""

    labels: Labels = ()
    label: dict[Label, Bounds] = {}


class Tracking(Struct, frozen=True, forbid_unknown_fields=True):
    """[pipeline.NAME.tracking]: sure_score: from which a box may begin a track; lower ones go on
    with one. lost_s: how long a track lives unseen. labels: "any" lets a track change its label."""

    sure_score: Share = 0.5
    lost_s: Annotated[float, Meta(ge=0.05, le=60)] = 1.0
    labels: Literal["same", "any"] = "same"


class Zone(Struct, frozen=True, forbid_unknown_fields=True):
    """[pipeline.NAME.zone.ZONE]: a part of the picture.

    anchor: which point of a box counts. margin: how far outside a track must be before it has
    left, in sizes of its box.
    """

    points: Annotated[tuple[Place, ...], Meta(min_length=3, max_length=32)]
    labels: Labels = ()
    anchor: Anchor = "bottom"
    margin: Margin = 0.1


class Line(Struct, frozen=True, forbid_unknown_fields=True):
    """[pipeline.NAME.line.LINE]: what goes over it is counted.

    directions: what it is called when a track goes from the left of who looks from the first point
    to the second over to the right, and the other way. margin: how far beyond the line a track
    must be before it has crossed it, in sizes of its box.
    """

    points: Annotated[tuple[Place, ...], Meta(min_length=2, max_length=2)]
    directions: Annotated[tuple[Name, ...], Meta(min_length=2, max_length=2)] = ("in", "out")
    labels: Labels = ()
    anchor: Anchor = "bottom"
    margin: Margin = 0.1


class Observation(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is made of the boxes of one pipeline. tracking: None: boxes have no number."""

    filter: Filter = Filter()
    tracking: Tracking | None = None
    zone: dict[str, Zone] = {}
    line: dict[str, Line] = {}

    @property
    def is_nothing(self) -> bool:
        """Whether boxes stay as the model found them."""
        return self.tracking is None and not self.zone and self.filter == Filter()


def observation_of(pipeline: Observation) -> Observation:
    """That part of a pipeline's table."""
    return Observation(
        filter=pipeline.filter,
        tracking=pipeline.tracking,
        zone=pipeline.zone,
        line=pipeline.line,
    )


def labels_of(wanted: Observation) -> Iterator[tuple[KeyPath, str]]:
    """Every label that is named, and where."""
    for label in wanted.filter.labels:
        yield ("filter", "labels"), label
    for label in wanted.filter.label:
        yield ("filter", "label", label), label
    for kind, name, labels in (
        *(("zone", name, zone.labels) for name, zone in wanted.zone.items()),
        *(("line", name, line.labels) for name, line in wanted.line.items()),
    ):
        for label in labels:
            yield (kind, name, "labels"), label


def contradictions_of(wanted: Observation, within: str = "") -> Iterator[tuple[KeyPath, str]]:
    """What is wrong although each value is of the right type: the key, and why. within: the table
    that all of it is in, with its dot."""
    yield from _bounds(("filter",), wanted.filter)
    for label, bounds in wanted.filter.label.items():
        yield from _bounds(("filter", "label", label), bounds)
        if wanted.filter.labels and label not in wanted.filter.labels:
            yield (
                ("filter", "label", label),
                f"{label} is never taken: add it to labels under filter",
            )
    for kind, names in (("zone", wanted.zone), ("line", wanted.line)):
        for name in names:
            if not re.match(NAME_PATTERN, name):
                yield (kind, name), f"a {kind}'s name has 1 to 64 letters, digits, '_' and '-'"
        for name in list(names)[MOST_OF_A_KIND : MOST_OF_A_KIND + 1]:
            yield (kind, name), f"{len(names)} {kind}s, {MOST_OF_A_KIND} are possible"
    for name, zone in wanted.zone.items():
        if what := _no_zone(zone):
            yield ("zone", name, "points"), what
    for name, line in wanted.line.items():
        yield from _line(("line", name), line)
        if wanted.tracking is None:
            yield ("line", name), f"a line counts tracks: add the table [{within}tracking]"


def _bounds(here: KeyPath, bounds: Bounds) -> Iterator[tuple[KeyPath, str]]:
    least, most = bounds.min_size or (0.0, 0.0), bounds.max_size or (1.0, 1.0)
    if least[0] > most[0] or least[1] > most[1]:
        yield (*here, "min_size"), "larger than max_size: no box is both"


def _line(here: KeyPath, line: Line) -> Iterator[tuple[KeyPath, str]]:
    if _are_one(*line.points):
        yield (*here, "points"), "both are the same point: a line has two ends"
    if line.directions[0] == line.directions[1]:
        yield (*here, "directions"), "both are called the same: nobody could tell them apart"


def _no_zone(zone: Zone) -> str | None:
    """Why these points go around nothing."""
    corners = zone.points
    sides = list(zip(corners, (*corners[1:], corners[0]), strict=True))
    if any(_are_one(a, b) for a, b in combinations(corners, 2)):
        return "a point is there twice: the last one need not be the first again"
    for (i, one), (j, other) in combinations(enumerate(sides), 2):
        if j - i in (1, len(sides) - 1):
            continue  # neighbours share a corner
        if _cross(*one, *other):
            return "its sides cross each other: name the corners in order, around the zone"
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in sides) / 2
    return "its points lie on one line: nothing is inside" if abs(area) < 1e-6 else None


def _are_one(a: Place, b: Place) -> bool:
    """Nearer than any pixel: a side between them would have no direction."""
    return abs(a[0] - b[0]) < NEAREST and abs(a[1] - b[1]) < NEAREST


def _cross(a: Place, b: Place, c: Place, d: Place) -> bool:
    """Whether the way from a to b goes over the way from c to d."""

    def side(p: Place, q: Place, r: Place) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0
