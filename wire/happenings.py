"""What happens to tracks: they come into zones, leave them, and cross lines; and the sums of it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from wire.histogram import Natural
from wire.names import Name

MOST_PASSAGES = 256  # kinds of them, of one pipeline
LONGEST_LABEL = 100  # characters


class Happening(Struct, frozen=True, omit_defaults=True):
    """One thing that a track did. where: the zone or the line. at: Unix time, in seconds, of the
    frame. seconds: how long it was in the zone that it left. direction: of a crossing."""

    kind: Literal["enter", "leave", "cross"]
    where: Name
    track: Natural
    label: str
    at: float
    direction: Name | None = None
    seconds: float | None = None


class ZoneSums(Struct, frozen=True, omit_defaults=True):
    """A zone. count: what is inside; entered, left: tracks, since the process began. longest_s: how
    long the track that is inside longest has been. Without tracking there is only the count."""

    count: Natural
    entered: Natural | None = None
    left: Natural | None = None
    longest_s: float | None = None


class Passage(Struct, frozen=True, omit_defaults=True):
    """So many tracks did the same. where: the zone or the line. way: of a zone "entered" or "left",
    of a line the direction. label: what they were; "": all those that had no room of their own."""

    kind: Literal["zone", "line"]
    where: Name
    way: Name
    count: Natural
    label: Annotated[str, Meta(max_length=LONGEST_LABEL)] = ""


class Places(Struct, frozen=True, omit_defaults=True):
    """The zones and lines of one pipeline. inside: how many are in each zone now. passed: what
    tracks did; of Totals since the process began, of a window in it, and none of them is 0."""

    inside: Annotated[dict[Name, Natural], Meta(max_length=MOST_PASSAGES)] = {}
    passed: Annotated[tuple[Passage, ...], Meta(max_length=MOST_PASSAGES)] = ()
