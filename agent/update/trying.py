"""The trial of a model that a pipeline was given: on live data, until it is good or left again.

What is to run lies in the store, and every step is taken from there, so that a restart at any
moment goes on with it.
"""

from __future__ import annotations

import logging

from agent.update.deeds import Deeds
from agent.update.gates import before_of, failure_of
from agent.update.log import Refusal, Tried, UpdateLog, What
from agent.update.observing import Observation
from agent.update.steering import NotLoaded, Steering
from agent.update.trial_records import End, TrialRecords
from agent.update.trial_time import TrialTime
from models.pipelines import Trial
from models.starts import ends_in_words
from wire.deployments import Rule
from wire.local import Answer, Totals
from wire.steps import reached

MOST_STARTS = 3  # the runtime goes back by itself at the third
KEEP_S = 30.0  # between two writings of how far a trial is
APART_S = 60.0  # until we say how an update ended though its process runs something else still
RELOAD_S = 60.0  # before a process that could not load what is good is asked to again
LOOK_S = 5.0  # between two looks at how often it was started
LEAST_JUDGED_S = 20.0  # of what we saw ourselves, before a trial ends well

log = logging.getLogger("vedette.agent")


class Trying:
    """Runs what the store says is active, and judges what is on trial. All on the main thread."""

    def __init__(self, deeds: Deeds, words: UpdateLog) -> None:
        """Raises Unavailable if the disk fails."""
        self.observation = Observation()
        self._deeds = deeds
        self._words = words
        self._records = TrialRecords(deeds.store, words)
        self._steering = Steering(deeds)
        self._sentence: tuple[str, str] | None = None  # a digest, and why it must go
        self._failure: str | None = None
        self._time = TrialTime()
        self._apart_s = 0.0  # for so long the process runs something else than it should
        self.look_again()
        self._end = self._records.untold(self.state)

    def look_again(self) -> None:
        """Read what the store says."""
        self.state = self._deeds.store.pipeline(self._deeds.pipeline)
        self._look_s = LOOK_S

    @property
    def on_trial(self) -> str | None:
        """The digest that is on trial."""
        return self.state.active if self.state.active != self.state.good else None

    @property
    def is_leaving(self) -> bool:
        """Whether it is decided how the update ends, and its process runs something else still."""
        return self._end is not None

    @property
    def is_settled(self) -> bool:
        """Whether the process runs what is active, or will not soon: then that must be said too."""
        return self._runs_active or self._apart_s > APART_S

    @property
    def _runs_active(self) -> bool:
        latest = self.observation.latest
        return latest is not None and self._steering.is_right(latest, self.state)

    def is_version(self, digest: str, rule: Rule) -> bool:
        """Whether an installed model is the version that a rule names."""
        return self._records.is_version(digest, rule)

    def begin(self, tried: Tried) -> None:
        """Activate an installed model that was checked, or is good. Raises Trouble, and then
        nothing has changed. tried: what it must show; `before` is filled in."""
        digest = tried.what.digest
        assert digest is not None
        left, bar = self.on_trial, tried.bar
        before = before_of(self.observation.shown) if self.observation.has_result else None
        if left is not None:  # what is on trial is no measure
            before = self._records.tried(left, self.state).before
        trial = Trial(digest, bar.trial_s, bar.first_result_s)
        self._deeds.store.activate(self._deeds.pipeline, trial)
        if left is not None and left != digest:
            self._mention_left(left, tried.what)
        self._words.begin_trial(Tried(tried.what, tried.attempt, bar, before))
        self._time, self._failure, self._sentence = TrialTime(), None, None
        self._apart_s = 0.0
        self.look_again()
        if self.on_trial is None:
            self._end = End("good", tried, "it was good before")
        else:
            self._words.report("trial", tried.what, tried.attempt)
            reached("activate.told", digest)
        self._steering.try_again(0.0)  # also what this process could not load before
        self._steering.steer(self.observation.latest, self.state)
        self._tell_end()

    def restored(self) -> None:
        """A model in the store is whole again: the process may load it now."""
        self.look_again()
        self._apart_s = 0.0
        self._steering.try_again(0.0)
        self._go()

    def hear(self, totals: Totals) -> None:
        """A word of the process, which was found to be possible."""
        before = self.observation.latest
        self.observation.hear(totals)
        self._time.heard()
        if before is None or before.run != totals.run:
            self._steering.began_anew()
            self.look_again()
        self._go()

    def failed(self, why: str) -> None:
        """The process said that it ends, and why."""
        self._failure = why
        self.look_again()
        self._go()

    def answered(self, answer: Answer) -> None:
        """Taken if it is about a model that should load."""
        self._condemn(self._steering.answered(answer))
        self._go()

    def tick(self, turn_s: float) -> None:
        """turn_s: since the tick before."""
        self._condemn(self._steering.tick(turn_s))
        self._apart_s = 0.0 if self._runs_active else self._apart_s + turn_s
        on_trial = self.on_trial
        if on_trial is not None:
            tried = self._records.tried(on_trial, self.state)
            if self._time.pass_by(turn_s, tried.bar, self.observation.latest, self._is_awaited):
                self._time.is_there = self._deeds.hurry()
                if not self._time.is_there:
                    self._steering.began_anew()
            self._look_s -= turn_s
            if self._look_s <= 0:
                self.look_again()
        self._go()

    def _condemn(self, failed: NotLoaded | None) -> None:
        if failed is not None and failed.digest is not None and failed.digest == self.on_trial:
            self._sentence = (failed.digest, f"it was not loaded: {failed.why}")
        elif failed is not None:
            self._steering.try_again(RELOAD_S)

    def _go(self) -> None:
        """Take the step that is due. Raises Trouble if the disk fails; it is due again then."""
        on_trial = self.on_trial
        if on_trial is not None and self._sentence is None:
            tried = self._records.tried(on_trial, self.state)
            why = None if self._steering.is_loading else self._why_back(tried)
            if why is None:
                self._go_on(tried)
            else:
                self._sentence = (on_trial, why)
        try:
            if self._sentence is not None:
                self._go_back(*self._sentence)
        finally:  # also if the disk is too full to remember why
            self._steering.steer(self.observation.latest, self.state)
        self._tell_end()

    def _tell_end(self) -> None:
        if self._end is not None and self.is_settled:
            end, self._end = self._end, None
            self._words.report(end.phase, end.tried.what, end.tried.attempt, end.reason)
            reached("end.told", end.tried.what.digest or "")

    def _why_back(self, tried: Tried) -> str | None:
        """Why the model on trial must go, or None."""
        latest, starts = self.observation.latest, self.state.starts
        if starts >= MOST_STARTS:
            known = self._failure or ends_in_words(self.state.ends)
            why = f": {known}" if known else ""
            return f"its process was started {starts} times in its trial and did not stay{why}"
        if latest is not None and self._went_on_without(latest):
            return f"its process went on without it: {latest.unloaded}"
        if (why_not := self._time.why_not(tried.bar)) is not None:
            return why_not
        if not self._has_result:
            return None
        elapsed_s = self._elapsed_s
        failure = failure_of(tried.bar, self.observation.shown, tried.before, elapsed_s)
        failure = failure or self.observation.growth.failure(tried.bar)
        return None if failure is None else failure.reason

    def _went_on_without(self, latest: Totals) -> bool:
        """Whether a process that found the model on trial in the store runs another one."""
        digest = self.on_trial
        if digest is None or latest.digest == digest or latest.unloaded is None:
            return False
        return digest[:12] in latest.unloaded and not self._steering.has_told(latest.run, digest)

    def _go_back(self, digest: str, why: str) -> None:
        tried = self._records.tried(digest, self.state)
        self._words.refuse(digest, Refusal("rolled_back", tried.attempt))
        reached("roll_back.decided", digest)
        self._apart_s = 0.0
        try:
            self._deeds.store.rollback(self._deeds.pipeline, digest, why)
        finally:
            self.look_again()
        self._sentence = None
        reason = f"{why}; back to {self._records.name_of_active(self.state)}"
        log.warning("%s: %s: %s", self._deeds.pipeline, tried.what.name, reason)
        if self._is_overtaken(tried):
            self._words.mention("rolled_back", tried.what, reason)
        else:
            self._end = End("rolled_back", tried, reason)
        self._deeds.sweep()

    def _go_on(self, tried: Tried) -> None:
        if not self._has_result or self._steering.is_loading:
            return
        bar, digest, elapsed_s = tried.bar, self.on_trial or "", self._elapsed_s
        reached("trial.judged", digest)
        shown = self.observation.shown
        is_seen = shown.frames and shown.seconds >= min(LEAST_JUDGED_S, bar.trial_s / 4)
        trial = self.state.trial
        if elapsed_s >= bar.trial_s and is_seen:
            self._deeds.store.mark_good(self._deeds.pipeline, digest)
            self.look_again()
            log.info("%s: %s is good", self._deeds.pipeline, tried.what.name)
            self._words.accept(digest)
            reason = f"it passed its trial of {bar.trial_s:g} s"
            if self._is_overtaken(tried):
                self._words.mention("good", tried.what, reason)
            else:
                self._words.report("good", tried.what, tried.attempt, reason)
            reached("good.told", digest)
            self._deeds.sweep()
        elif trial is not None and elapsed_s - trial.elapsed_s >= KEEP_S:
            self._deeds.store.progress(self._deeds.pipeline, digest, elapsed_s)
            self.look_again()

    @property
    def _has_result(self) -> bool:
        latest = self.observation.latest
        is_it = latest is not None and latest.digest == self.on_trial
        return is_it and self.observation.has_result

    @property
    def _is_awaited(self) -> bool:
        """Whether its first result should come now."""
        return not self._steering.is_loading and not self._has_result

    @property
    def _elapsed_s(self) -> float:
        """How long the model on trial has run well."""
        trial = self.state.trial
        before_s = self._time.before_s(0.0 if trial is None else trial.elapsed_s)
        return before_s + (self.observation.shown.seconds if self._has_result else 0.0)

    def _mention_left(self, digest: str, what: What) -> None:
        """A trial that another model ends: nothing speaks against the one that is left."""
        reason = f"{what.name} was deployed before its trial ended"
        self._words.mention("rolled_back", self._records.tried(digest, self.state).what, reason)

    def _is_overtaken(self, tried: Tried) -> bool:
        """Whether the state shows something newer."""
        shown = self._words.update
        return shown is not None and shown.digest != tried.what.digest
