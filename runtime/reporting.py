"""Tells the agent what this pipeline is and does, and does what the agent wishes.

All on the loop's thread: `glance` and `emit` are the loop's hooks, `tick` is called after each
step. Nothing waits, and nothing depends on an agent being there. Between two ticks that look at
the socket, a frame costs a few counters.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic_ns

from runtime.accelerated import degraded, needs_new_process
from runtime.agent_line import ANSWER_S, AgentLine
from runtime.cameras import Camera
from runtime.confidence import Confidence
from runtime.errands import Errands
from runtime.frames import Frame
from runtime.loop import HELD, NO_MODEL, Clock, Model, Result
from runtime.model_wishes import ModelWishes
from runtime.panel import printable
from runtime.publishing import Publisher
from runtime.timing import StageTimes
from runtime.tracking.foreign import foreign_labels
from runtime.tracking.fruitless import fruitless
from runtime.tracking.observer import Observer
from wire import logs
from wire.local import (
    Apply,
    CheckModel,
    Found,
    FromAgent,
    Leave,
    LoadModel,
    RunBench,
    TakeSnapshot,
    Totals,
)
from wire.masking import masked
from wire.messages import Losses, Phase, PipelineSettings
from wire.observation import Observation
from wire.steps import reached

TOTALS_NS = 10_000_000_000
POLL_NS = 50_000_000
LONGEST_TEXT = 1000
PAGE = os.sysconf("SC_PAGE_SIZE")

log = logging.getLogger("vedette.runtime")


@dataclass(frozen=True)
class Pipeline:
    """What is reported on. camera_uri: as configured."""

    name: str
    camera_uri: str


@dataclass(frozen=True)
class Sight:
    """What is said at once when it changes."""

    phase: Phase
    absent: str | None
    digest: str
    settings: PipelineSettings
    trouble: str | None
    formats: tuple[str, ...]
    degraded: str | None


class Reporter:
    """Counts what one loop does, and speaks for it.

    frames: results so far. has_ended: nothing more will come. is_leaving: the agent
    asked for the end of this process. wishes: who checks and loads models; until there is somebody
    such wishes are declined. show: called with every result as it may be published.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        camera: Camera,
        model: Callable[[], Model],
        settings: PipelineSettings,
        line: AgentLine,
        first: Model,
        clock: Clock = monotonic_ns,
    ) -> None:
        """model: gives the loop's model; first: with which it begins. clock: monotonic, in
        nanoseconds."""
        self.frames = 0
        self.has_ended = False
        self.is_leaving = False
        self.wishes: ModelWishes | None = None
        self._pipeline = pipeline
        self._camera = camera
        self._model = model
        self._counted = first  # whose results were counted last
        self._line = line
        self._clock = clock
        self._started_ns = clock()
        self._run = secrets.token_hex(8)
        self._times = StageTimes()
        self._confidence = Confidence()
        self._publisher = Publisher(pipeline.name, settings, clock)
        self._errands = Errands(line, camera, model)
        self._observer = Observer(Observation(), lambda: camera.layout.source)
        self.show: Callable[[Result], None] = look_away
        self._poll_ns = 0
        self._totals_ns = 0
        self._seen: Sight | None = None
        self._answered = ""  # the model whose result was seen last
        self.glance: Callable[[Frame], None] = self._errands.glance  # one call less per frame

    def emit(self, result: Result) -> None:
        """Call with every result."""
        if result.digest != self._counted.digest:
            self._count_for(self._model())
        self.frames += 1
        if result.digest != self._answered:
            self._say_answered(result.digest)
        reached("trial.result", result.digest)
        self._times.record(result.timing)
        self._confidence.add(result.found, self._counted)
        seen = self._observer(result)
        chosen = self._publisher.choose(seen, self._counted)
        if chosen is not None:
            self._line.send(Found(chosen))
        self._errands.show(seen)
        self.show(seen)

    def tick(self) -> None:
        """Call after every step."""
        now_ns = self._clock()
        if now_ns >= self._poll_ns:
            self._poll_ns = now_ns + POLL_NS
            self._poll(now_ns)

    def totals(self) -> Totals:
        """All that this process did so far."""
        model, losses = self._counted, self._camera.losses
        return Totals(
            pipeline=self._pipeline.name,
            run=self._run,
            seconds=(self._clock() - self._started_ns) / 1e9,
            phase=self.phase,
            absent=_text(self._camera.absent),
            model=model.manifest.name,
            version=model.manifest.version,
            digest=model.digest,
            engine=model.engine_kind,
            camera=masked(self._pipeline.camera_uri),
            frames=self.frames,
            losses=Losses(losses.skipped, losses.driver, losses.decode, losses.refused),
            stages=self._times.counts(),
            unsent=self._line.unsent,
            rss_bytes=rss_bytes(),
            settings=self._publisher.settings,
            unloaded=_text(self._trouble()),
            scores=self._confidence.scores(),
            formats=self.wishes.formats if self.wishes else (),
            degraded=_text(degraded(self._model().engine)),
            places=self._observer.places,
        )

    @property
    def phase(self) -> Phase:
        if self.has_ended:
            return "ended"
        model = self._model()
        if model is NO_MODEL and self._counted is NO_MODEL:  # else its last counts are still to say
            return "no_model"
        if self._camera.absent is not None:
            return "no_camera"
        is_serving = self.frames > 0 and self._counted.digest and model is not HELD
        return "serving" if is_serving else "starting"

    def apply(self, settings: PipelineSettings) -> None:
        """Use these settings from now on, and say so."""
        self._publisher.apply(settings)
        self._seen = None  # said also when nothing changed

    def observe(self, wanted: Observation) -> None:
        """Make this of the boxes from now on. Tracks stay."""
        self._observer.apply(wanted)
        self._warn(self._counted)

    def close(self) -> None:
        """Say the last word and give up the address. May be called twice."""
        self.has_ended = True
        now_s = self._clock() / 1e9
        self._errands.close(now_s)
        if self.wishes is not None:
            self.wishes.close(now_s)
        self._line.push(now_s)
        self._line.send(self.totals())
        self._line.close()

    def _poll(self, now_ns: int) -> None:
        now_s = now_ns / 1e9
        for message in self._line.messages():
            self._obey(message, now_s)
        self._errands.tick(now_s)
        if self.wishes is not None:
            self.wishes.tick(now_s)
        self._line.push(now_s)
        model = self._model()  # a camera that is away must not keep us from naming it
        self.is_leaving |= needs_new_process(model.engine)
        if model.digest != self._counted.digest and model is not HELD:
            self._count_for(model)
        seen = self._sight()
        if now_ns >= self._totals_ns:
            self._line.keep_open()
        elif seen == self._seen:
            return
        self._seen = seen
        self._totals_ns = now_ns + TOTALS_NS
        self._line.send(self.totals())

    def _obey(self, message: FromAgent, now_s: float) -> None:
        if isinstance(message, Apply):
            self.apply(message.settings)
            if message.log_level is not None:
                logs.set_level(message.log_level)
        elif isinstance(message, TakeSnapshot):
            self._errands.take_snapshot(message, now_s)
        elif isinstance(message, RunBench):
            self._errands.run_bench(message, now_s)
        elif isinstance(message, CheckModel | LoadModel):
            if self.wishes is not None:
                self.wishes.take(message, now_s)
            else:
                self._line.postpone(message.id, "busy: it is still starting", now_s + ANSWER_S)
        elif isinstance(message, Leave):
            self._line.answer(message.id, None, "it ends now", now_s + ANSWER_S)
            self.is_leaving = True

    def _say_answered(self, digest: str) -> None:
        self._answered = digest
        if self.wishes is not None:
            self.wishes.answered(digest)

    def _count_for(self, model: Model) -> None:
        self._line.send(self.totals())  # or a window would hold the times of two models
        self._counted = model
        self._warn(model)

    def _warn(self, model: Model) -> None:
        wanted = self._observer.wanted
        for line in (*fruitless(wanted, model.manifest), *foreign_labels(wanted, model.labels)):
            log.warning("%s", line)

    def _trouble(self) -> str | None:
        return self.wishes.trouble if self.wishes else None

    def _sight(self) -> Sight:
        return Sight(
            self.phase,
            self._camera.absent,
            self._counted.digest,
            self._publisher.settings,
            self._trouble(),
            self.wishes.formats if self.wishes else (),
            degraded(self._model().engine),
        )


def look_away(result: Result) -> None:
    """Nobody watches."""


def _text(words: str | None) -> str | None:
    return None if words is None else printable(words, LONGEST_TEXT)


def rss_bytes() -> int | None:
    """What this process has resident now."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * PAGE
    except (OSError, ValueError, IndexError):
        return None
