"""When a frame passed each gate, and the five stages that follow from it."""

from __future__ import annotations

from dataclasses import dataclass

from wire.histogram import Histogram
from wire.messages import StageCounts


@dataclass(frozen=True)
class Timing:
    """Five stamps of one frame, all CLOCK_MONOTONIC, in nanoseconds."""

    captured_ns: int
    read_ns: int
    prepared_ns: int
    inferred_ns: int
    decoded_ns: int


class StageTimes:
    """Histograms of the five stages; recorded by the loop's thread."""

    def __init__(self) -> None:
        self._queue = Histogram()
        self._preprocess = Histogram()
        self._inference = Histogram()
        self._postprocess = Histogram()
        self._end_to_end = Histogram()

    def record(self, timing: Timing) -> None:
        self._queue.record_ns(timing.read_ns - timing.captured_ns)
        self._preprocess.record_ns(timing.prepared_ns - timing.read_ns)
        self._inference.record_ns(timing.inferred_ns - timing.prepared_ns)
        self._postprocess.record_ns(timing.decoded_ns - timing.inferred_ns)
        self._end_to_end.record_ns(timing.decoded_ns - timing.captured_ns)

    def counts(self) -> StageCounts:
        return StageCounts(
            self._queue.counts(),
            self._preprocess.counts(),
            self._inference.counts(),
            self._postprocess.counts(),
            self._end_to_end.counts(),
        )
