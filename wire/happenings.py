"""What happens to tracks: they come into zones, leave them, and cross lines; and the sums of it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from wire.histogram import Natural
from wire.names import Name


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
