"""How often tracks did what in zones and at lines, by label: sums that only grow."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from runtime.tracking.places import Moved
from wire.happenings import LONGEST_LABEL, MOST_PASSAGES, Passage

# A model may know a thousand labels, and a record has 48,000 bytes: the first ones that come have a
# sum of their own at each place, all others one together.
MOST_OF_LABELS = 64
ENTERED, LEFT = "entered", "left"

log = logging.getLogger("vedette.runtime")


class Passages:
    """Not the sums of a result, which begin anew with a zone that was changed."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str, str, str], int] = {}  # kind, where, way, label
        self._of_labels = 0
        self._is_full = False

    def add(self, many: Iterable[Moved]) -> None:
        for moved in many:
            kind, way = ("zone", ENTERED if moved.kind == "enter" else LEFT)
            if moved.direction is not None:
                kind, way = "line", moved.direction
            self._add(kind, moved.where, way, moved.label[:LONGEST_LABEL])

    def told(self) -> tuple[Passage, ...]:
        return tuple(
            Passage("line" if kind == "line" else "zone", where, way, count, label)
            for (kind, where, way, label), count in self._sums.items()
        )

    def _add(self, kind: str, where: str, way: str, label: str) -> None:
        key = (kind, where, way, label)
        if key not in self._sums:
            if label and self._of_labels < MOST_OF_LABELS:
                self._of_labels += 1
            else:
                key = (kind, where, way, "")
        if key not in self._sums and len(self._sums) >= MOST_PASSAGES:
            if not self._is_full:
                log.warning(
                    "%s %s: too many zones and lines were configured one after the other: its sums "
                    "are in no telemetry until this service is restarted", kind, where,
                )  # fmt: skip
            self._is_full = True
            return
        self._sums[key] = self._sums.get(key, 0) + 1
