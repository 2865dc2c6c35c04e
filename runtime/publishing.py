"""Which results are published: by mode, rate and score, in the words of the wire."""

from __future__ import annotations

import time
from collections.abc import Callable
from time import monotonic_ns

from msgspec.structs import replace

from runtime.loop import Clock, Model, Result
from runtime.tasks import Box, Class, Entry, Found, Region, Value, score_of
from runtime.things import thing, told
from runtime.timing import Timing
from runtime.tracking.observer import Observed
from runtime.tracking.telling import News, marked, standing
from wire import results
from wire.messages import PipelineSettings
from wire.results import StageDurations

REMIND_NS = 60_000_000_000  # results are not kept by the broker: who comes late learns it then


class Publisher:
    """Chooses the results of one pipeline. All on the loop's thread.

    Mode "change" publishes the first result, one in which other things are found than in the one
    published last, and one every 60 s. Other things: another multiset of labels; of a classifier
    another best label; of predicted numbers another in its first three digits; raw outputs and
    vectors never change. Where boxes are tracked, also how many
    are in each zone, and whatever happened. What changes back before the rate allows it to be said
    is not said, but what happened is. clock: monotonic, wall: Unix time, both in nanoseconds.
    """

    def __init__(
        self,
        pipeline: str,
        settings: PipelineSettings,
        clock: Clock = monotonic_ns,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        self._pipeline = pipeline
        self._clock = clock
        self._wall = wall
        self._news = News()
        self._said: tuple[object, ...] | None = None  # what made out the result published last
        self._said_ns = 0
        self._next_ns = 0
        self.settings = settings
        self.apply(settings)

    def apply(self, settings: PipelineSettings) -> None:
        """Choose by these settings from now on. In another mode the next result is a first one."""
        if settings.results != self.settings.results:
            self._said = None
        self.settings = settings
        self._least = settings.min_score or 0.0
        self._period_ns = round(1e9 / settings.results_per_s)
        self._next_ns = min(self._next_ns, self._clock() + self._period_ns)
        self._off = settings.results == "off"
        self._every = settings.results == "every"
        if self._off:
            self._news.forget()

    def choose(self, result: Result, model: Model) -> results.Result | None:
        """The result as it should be published, or None if it should not be."""
        now_ns = result.timing.decoded_ns
        if self._off:
            return None
        is_news = self._news.hear(result)
        if now_ns < self._next_ns:
            return None
        found = above(result.found, self._least)
        what = (*subject(found), *standing(result))
        is_other = is_news or what != self._said or now_ns - self._said_ns >= REMIND_NS
        if not self._every and not is_other:
            return None
        self._said, self._said_ns = what, now_ns
        # a camera's frames do not come evenly: one that is early does not lose its turn
        self._next_ns = max(self._next_ns, now_ns - self._period_ns) + self._period_ns
        behind_ns = self._wall() - self._clock()
        said = results.Result(
            self._pipeline,
            model.manifest.name,
            model.manifest.version,
            result.digest,
            result.seq,
            (behind_ns + result.timing.captured_ns) / 1e9,
            durations(result.timing),
            *told(found),
            of=None if result.of is None else thing(result.of),
        )
        if not isinstance(result, Observed):
            return said
        return replace(
            said,
            found=marked(said.found, found, result),
            zones=result.zones,
            lines=result.lines,
            happened=self._news.said(behind_ns / 1e9),
        )


def above(found: Found, least: float) -> tuple[Entry, ...]:
    """What was found with at least this score; what has none is always kept."""
    if least <= 0:
        return found
    return tuple(entry for entry in found if (s := score_of(entry)) is None or s >= least)


def subject(found: tuple[Entry, ...]) -> tuple[str, ...]:
    """What makes one result another than the one before."""
    if not found:
        return ()
    first = found[0]
    if isinstance(first, Box | Region):
        return tuple(sorted([entry.label for entry in found if isinstance(entry, Box | Region)]))
    if isinstance(first, Value):
        return tuple([f"{entry.value:.3g}" for entry in found if isinstance(entry, Value)])
    return (first.label,) if isinstance(first, Class) else ()


def durations(timing: Timing) -> StageDurations:
    return StageDurations(
        (timing.read_ns - timing.captured_ns) / 1e3,
        (timing.prepared_ns - timing.read_ns) / 1e3,
        (timing.inferred_ns - timing.prepared_ns) / 1e3,
        (timing.decoded_ns - timing.inferred_ns) / 1e3,
        (timing.decoded_ns - timing.captured_ns) / 1e3,
    )
