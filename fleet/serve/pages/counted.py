"""What the zones and lines of one device counted, as its page shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from fleet.registry.registry import Registry
from fleet.registry.words import PassedInHour, Scope, Span
from fleet.wording import count, printable
from wire.messages import Window

DAY_S = 86_400.0
DAYS = 7
MOST_ROWS = 64
MOST_LABELS = 6
OTHERS = "others"


class Count(Struct, frozen=True):
    """A row. inside: now, of a zone. newest: of the newest record. labels: of the 7 days."""

    pipeline: str
    kind: str
    where: str
    way: str
    newest: int
    day: int
    week: int
    labels: str


class Inside(Struct, frozen=True):
    """How many are in a zone now."""

    pipeline: str
    zone: str
    count: int


class Counted(Struct, frozen=True):
    """All of a device. left_out: rows for which there is no room."""

    inside: tuple[Inside, ...]
    rows: tuple[Count, ...]
    left_out: int


Way = tuple[str, str, str, str]  # pipeline, kind, where, way


def counted(
    registry: Registry, device: str, windows: Mapping[str, Window], now_s: float
) -> Counted:
    """windows: of the newest record. Hours are whole: those that overlap with the last 24 hours and
    7 days. Raises Unavailable."""
    hours = registry.passed(Span(now_s - DAYS * DAY_S, now_s + 1), Scope([device]))
    inside = [
        Inside(name, zone, number)
        for name, window in windows.items()
        if window.places is not None
        for zone, number in window.places.inside.items()
    ]
    newest: dict[Way, int] = {}
    for name, window in windows.items():
        for each in window.places.passed if window.places is not None else ():
            way = (name, each.kind, each.where, each.way)
            newest[way] = newest.get(way, 0) + each.count
    rows = _rows(hours, newest, now_s)
    return Counted(
        tuple(inside[:MOST_ROWS]), tuple(rows[:MOST_ROWS]), max(0, len(rows) - MOST_ROWS)
    )


def _rows(hours: Iterable[PassedInHour], newest: dict[Way, int], now_s: float) -> list[Count]:
    day: dict[Way, int] = {}
    week: dict[Way, dict[str, int]] = {way: {} for way in newest}
    for each in hours:
        way = (each.pipeline, each.kind, each.where, each.way)
        labels = week.setdefault(way, {})
        labels[each.label] = labels.get(each.label, 0) + each.count
        if each.start_s + 3600 > now_s - DAY_S:
            day[way] = day.get(way, 0) + each.count
    return [
        Count(*way, newest.get(way, 0), day.get(way, 0), sum(labels.values()), _label_words(labels))
        for way, labels in sorted(week.items())
    ]


def _label_words(labels: dict[str, int]) -> str:
    """`person 1,204, dog 3`, the most first."""
    ordered = sorted(labels.items(), key=lambda one: (one[0] == "", -one[1], one[0]))
    words = [f"{printable(label) or OTHERS} {count(number)}" for label, number in ordered]
    more = len(words) - MOST_LABELS
    return ", ".join(words[:MOST_LABELS]) + (f" and {more} more" if more > 0 else "")
