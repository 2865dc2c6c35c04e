"""What the model of a pipeline shows: counted only while its camera is there."""

from __future__ import annotations

from agent.sums import Sum, added, since, sum_of
from agent.update.growth import Growth
from wire.local import Totals


class Observation:
    """Takes every word of a pipeline's process; adds up what belongs to the model that runs now.

    shown: since this model took over, or since we began to listen. has_result: it gave one,
    in the process that runs now. growth: of the memory of that process.
    """

    def __init__(self) -> None:
        self.latest: Totals | None = None
        self.shown = Sum()
        self.has_result = False
        self.growth = Growth()
        self._first_frames = 0  # of this model: no result of its own is before them

    def hear(self, totals: Totals) -> None:
        before, self.latest = self.latest, totals
        is_same_run = before is not None and before.run == totals.run
        if before is None or before.digest != totals.digest:
            self.shown = Sum()
            self.has_result = False
        if before is None or (before.run, before.digest) != (totals.run, totals.digest):
            self.growth.begin()
        if not is_same_run:
            self._first_frames = 0
            self.has_result = False
        elif before is not None and before.digest != totals.digest:
            self._first_frames = before.frames
        elif before is not None and is_serving(before) and is_serving(totals):
            self.shown = added(self.shown, since(sum_of(totals), sum_of(before)))
        if is_serving(totals):
            self.growth.hear(totals)
        self.has_result |= totals.frames > self._first_frames


def is_serving(totals: Totals) -> bool:
    """Whether frames can be expected of it."""
    return totals.phase == "serving" and totals.absent is None and totals.degraded is None
