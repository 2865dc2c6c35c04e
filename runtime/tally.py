"""What a running pipeline adds up to: counts, stage times, accuracy; the panel."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import replace

from runtime.cameras import Camera, Truthful
from runtime.loop import Model, Result
from runtime.panel import Panel, Spread, Stages
from runtime.score import Score, can_judge
from runtime.tasks import Found
from runtime.timing import StageTimes
from wire.histogram import Counts
from wire.masking import masked

LATELY = 64  # results that the shown frame rate looks back on
JUDGED = ("classify", "detect")  # tasks of which the synthetic camera knows the truth


class Tally:
    """Counts the results of one loop. `add` is for the loop's thread; reading is for any."""

    def __init__(self, camera: Camera, camera_uri: str) -> None:
        self._camera = camera
        self._uri = masked(camera_uri)
        self._times = StageTimes()
        self._score = Score()
        self._ends: deque[int] = deque(maxlen=LATELY)
        self._started_ns = time.monotonic_ns()
        self._first_ns: int | None = None
        self.frames = 0
        self.newest: Result | None = None

    def add(self, result: Result, model: Model) -> None:
        """Count one result of this model."""
        self.frames += 1
        self.newest = result
        self._times.record(result.timing)
        self._ends.append(result.timing.decoded_ns)
        if self._first_ns is None:
            self._first_ns = result.timing.decoded_ns
        if isinstance(self._camera, Truthful):
            truth = self._camera.truth(result.seq)
            if model.manifest.task in JUDGED and can_judge(model.labels, truth):
                self._score.add(result.found, truth)

    @property
    def found(self) -> Found:
        """What the newest result found."""
        return self.newest.found if self.newest else ()

    @property
    def first_ns(self) -> int | None:
        """When the first result was there, on the monotonic clock."""
        return self._first_ns

    def panel(self, model: Model) -> Panel:
        """The pipeline at this moment, for those who look on. Cheap."""
        return self._panel(model, self._lately(), self._score.quick())

    def total(self, model: Model) -> Panel:
        """The whole run, when it is over. fps: from the first result to the last."""
        fps = None
        if self._first_ns is not None and self.frames > 1:
            fps = (self.frames - 1) / ((self._ends[-1] - self._first_ns) / 1e9)
        return self._panel(model, fps, self._score.value())

    def _panel(self, model: Model, fps: float | None, accuracy: float | None) -> Panel:
        return Panel(
            model.manifest.name,
            model.manifest.version,
            model.digest,
            model.engine_kind,
            self._uri,
            self._camera.absent,
            fps,
            self._stages(),
            self.frames,
            replace(self._camera.losses),
            accuracy,
            (time.monotonic_ns() - self._started_ns) / 1e9,
        )

    def _lately(self) -> float | None:
        ends = tuple(self._ends)
        if len(ends) < 2 or time.monotonic_ns() - ends[-1] > 3e9:
            return None
        return (len(ends) - 1) / ((ends[-1] - ends[0]) / 1e9)

    def _stages(self) -> Stages | None:
        if self.frames == 0:
            return None
        counts = self._times.counts()
        return Stages(
            spread(counts.queue),
            spread(counts.preprocess),
            spread(counts.inference),
            spread(counts.postprocess),
            spread(counts.end_to_end),
        )


def spread(counts: Counts) -> Spread:
    """Median, 95 % and 99 % of a histogram that is not empty, in microseconds."""
    return Spread(*(counts.percentile(share) or 0.0 for share in (0.5, 0.95, 0.99)))
