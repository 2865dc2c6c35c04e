"""All zones and lines of one pipeline, and the tracks on them."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.tracking.places import LineWatch, Moved, Stand, ZoneWatch
from wire.happenings import ZoneSums
from wire.observation import Observation


class Ground:
    """Remembers where each track is. aspect: the picture's width in heights."""

    def __init__(self) -> None:
        self._aspect = 1.0
        self._zones: list[ZoneWatch] = []
        self._lines: list[LineWatch] = []

    def apply(self, wanted: Observation) -> None:
        """Watch these. What has not changed goes on counting, what is new begins at nothing."""
        zones = {watch.name: watch for watch in self._zones}
        lines = {watch.name: watch for watch in self._lines}
        self._zones = [
            zones[name]
            if name in zones and zones[name].zone == zone
            else ZoneWatch(name, zone, self._aspect)
            for name, zone in wanted.zone.items()
        ]
        self._lines = [
            lines[name]
            if name in lines and lines[name].line == line
            else LineWatch(name, line, self._aspect)
            for name, line in wanted.line.items()
        ]

    def scale(self, aspect: float) -> None:
        """The picture has another shape. No track may be on the ground."""
        self._aspect = aspect
        for zone in self._zones:
            zone.scale(aspect)
        for line in self._lines:
            line.scale(aspect)

    def see(self, stand: Stand) -> list[Moved]:
        """A track was seen: what it did."""
        moved = [watch.see(stand) for watch in self._zones]
        moved += [watch.see(stand) for watch in self._lines]
        return [each for each in moved if each is not None]

    def end(self, track: int, now_s: float) -> list[Moved]:
        """A track is no more: what it did at last."""
        moved = [watch.end(track, now_s) for watch in self._lines]
        moved += [watch.end(track, now_s) for watch in self._zones]
        return [each for each in moved if each is not None]

    def zones_of(self, track: int) -> tuple[str, ...]:
        """The zones that a track is in."""
        return tuple(watch.name for watch in self._zones if watch.has(track))

    def zones_at(self, label: str, box: tuple[float, float, float, float]) -> tuple[str, ...]:
        """The zones that a box without a number is in."""
        return tuple(watch.name for watch in self._zones if watch.covers(label, box))

    def zone_sums(self, now_s: float) -> dict[str, ZoneSums]:
        """Of tracks."""
        return {watch.name: watch.sums(now_s) for watch in self._zones}

    def zone_counts(self, inside: Sequence[tuple[str, ...]]) -> dict[str, ZoneSums]:
        """Of boxes without numbers. inside: the zones of each."""
        return {
            watch.name: ZoneSums(sum(watch.name in zones for zones in inside))
            for watch in self._zones
        }

    def line_sums(self) -> dict[str, dict[str, int]]:
        """Crossings by direction."""
        return {watch.name: dict(watch.crossed) for watch in self._lines}
