"""What was observed, in the words of the wire, and no more of it than a message has room for."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from runtime.loop import Result
from runtime.tasks import Entry
from runtime.tracking.observer import Mark, Observed
from runtime.tracking.places import Moved
from wire.happenings import LONGEST_LABEL, Happening
from wire.results import Thing

MOST_HAPPENINGS = 40  # in one result; what happened before comes first
MOST_WAITING = 400  # for a result that says it; then the oldest are not said, the sums have them
MOST_ZONE_BYTES = 8_000  # of names of zones in one result


class News:
    """What happened and was not published yet. On the loop's thread."""

    def __init__(self) -> None:
        self._waiting: deque[Moved] = deque(maxlen=MOST_WAITING)

    def hear(self, result: Result) -> bool:
        """Call with every result. Whether something waits to be said."""
        if isinstance(result, Observed):
            self._waiting += result.moved
        return bool(self._waiting)

    def forget(self) -> None:
        """Nobody wants to hear of it."""
        self._waiting.clear()

    def said(self, behind_s: float) -> tuple[Happening, ...]:
        """What is to be said now. behind_s: Unix time less the monotonic clock."""
        count = min(MOST_HAPPENINGS, len(self._waiting))
        return tuple(happening(self._waiting.popleft(), behind_s) for _ in range(count))


def happening(moved: Moved, behind_s: float) -> Happening:
    """As it travels."""
    return Happening(
        moved.kind,
        moved.where,
        moved.track,
        moved.label[:LONGEST_LABEL],
        moved.now_s + behind_s,
        moved.direction,
        moved.seconds,
    )


def marks_of(result: Observed) -> dict[int, Mark]:
    """The mark of each box, by the identity of the box."""
    return {id(box): mark for box, mark in zip(result.found, result.marks, strict=True)}


def marked(
    things: tuple[Thing, ...], found: Sequence[Entry], result: Observed
) -> tuple[Thing, ...]:
    """The things with their tracks and zones. found: what they were made of, in this order."""
    marks, room, out = marks_of(result), MOST_ZONE_BYTES, []
    for thing, entry in zip(things, found, strict=False):
        mark = marks[id(entry)]
        room -= sum(map(len, mark.zones))
        zones = mark.zones if room >= 0 else ()
        out.append(replace(thing, track=mark.track, zones=zones))
    return tuple(out)


def standing(result: Result) -> tuple[object, ...]:
    """What makes an observed result another than the one before: how many are in each zone."""
    if not isinstance(result, Observed):
        return ()
    return tuple(sums.count for sums in result.zones.values())


def line_of(result: Result) -> object:
    """A result for `--results`, to be encoded: as it is, or with what was observed of each box in
    the box, and `at` in seconds of the clock of all stamps."""
    if not isinstance(result, Observed):
        return result
    found = [
        msgspec.to_builtins(box) | {"track": mark.track, "zones": mark.zones}
        for box, mark in zip(result.found, result.marks, strict=True)
    ]
    return {
        "seq": result.seq,
        "digest": result.digest,
        "found": found,
        "timing": result.timing,
        "of": result.of,
        "zones": result.zones,
        "lines": result.lines,
        "happened": [happening(moved, 0.0) for moved in result.moved],
    }
