"""The way of a model into one pipeline: chosen, fetched, checked, and then on trial.

Every event leads to `_go`, which takes the next step from what is desired, what lies in the store
and what was asked; so nothing depends on the order of events, and a restart goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from agent.fetch.words import Desired, Examined, NotFetched, Progress
from agent.update.checking import Checking
from agent.update.deeds import Deeds
from agent.update.gates import bar_of
from agent.update.log import TERMINAL, Tried, UpdateLog, What
from agent.update.mending import Mending
from agent.update.refusing import Refusing
from agent.update.trying import Trying
from agent.update.variants import chosen
from models import manifest
from wire.deployments import Rule
from wire.local import Answer, Totals
from wire.messages import Update, UpdatePhase
from wire.steps import reached
from wire.troubles import Refused, Trouble

if TYPE_CHECKING:
    from wire.trust.trust import Bundle

MENDED = "it was damaged on disk, and was fetched again"
STEP = 5  # percent: finer is not worth a message

log = logging.getLogger("vedette.agent")


class Course:
    """One pipeline's. wanted: what must be fetched for it. All on the main thread."""

    def __init__(self, board: str, deeds: Deeds, words: UpdateLog) -> None:
        """Raises Unavailable if the disk fails."""
        self.wanted: Bundle | None = None
        self._trouble: str | None = None
        self._pipeline = deeds.pipeline
        self._board = board
        self._deeds = deeds
        self._words = words
        self._trying = Trying(deeds, words)
        self._desired: Desired | None = None
        self._deployment = 0
        self._formats: tuple[str, ...] = ()
        self._checking = Checking(deeds)
        self._mending = Mending(deeds.pipeline, deeds.examine)
        self._refusing = Refusing(deeds, words, self._trying, self._checking)
        self._ended: What | None = None  # by a newer deployment, as was told last
        self._why_not_here: str | None = None  # why what is wanted has not come

    @property
    def update(self) -> Update | None:
        """What the state shows."""
        return self._words.update

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the disk: what could not be read or written. It is tried again."""
        return tuple(filter(None, (self._trouble, *self._trying.state.problems)))

    @property
    def wants(self) -> tuple[Bundle, ...]:
        """All that must be fetched for it: what the device goes back to comes first."""
        return tuple(one for one in (self._mending.wanted, self.wanted) if one is not None)

    @property
    def damage(self) -> str | None:
        """Which model is damaged on disk, and what is done about it."""
        damage = self._mending.damage
        return None if damage is None else f"{damage.words}: {self._mending.why}"

    @property
    def pinned(self) -> str | None:
        """The digest that must not be taken away while it waits for its turn."""
        update = self.update
        return None if update is None or update.phase in TERMINAL else update.digest

    def desire(self, desired: Desired, deployment: int) -> None:
        """What the fleet wants now. deployment: the version that says so."""
        if desired != self._desired:
            self._checking.forget()
            self._mending.forget()
            self._why_not_here = None
        self._desired, self._deployment = desired, deployment
        self._do()

    def remember(self, totals: Totals) -> None:
        """What was said before we started, as far as it lasts."""
        self._formats = totals.formats

    def hear(self, totals: Totals) -> None:
        self._formats = totals.formats or self._formats
        self._checking.hear(totals)
        self._do(lambda: self._trying.hear(totals))

    def failed(self, why: str) -> None:
        self._do(lambda: self._trying.failed(why))

    def answered(self, answer: Answer) -> None:
        """Taken if it is ours."""
        if self._checking.answered(answer):
            self._do()
        else:
            self._do(lambda: self._trying.answered(answer))

    def progress(self, said: Progress) -> None:
        if self.wanted is not None and self.wanted.digest == said.digest:
            self._why_not_here = None
            percent = min(99, 100 * said.have_bytes // max(1, self.wanted.size))
            self._report_fetching(self.wanted, percent // STEP * STEP)
        else:
            self._mending.progress(said, STEP)
            self._do()

    def fetched(self, digest: str) -> None:
        if self._mending.fetched(digest):
            self._do(self._trying.restored)
        elif self.wanted is not None and self.wanted.digest == digest:
            self._do()

    def examined(self, said: Examined) -> None:
        self._mending.examined(said)
        self._do()

    def not_fetched(self, said: NotFetched) -> None:
        if self._mending.not_fetched(said):
            self._do()
            return
        if self.wanted is None or self.wanted.digest != said.digest:
            return
        if said.kind == "refused":
            self._checking.fail(said.digest, said.why)
            self._do()
        else:
            self._why_not_here = said.why
            update = self.update
            self._report_fetching(self.wanted, update.percent if update else None)

    def tick(self, turn_s: float) -> None:
        """turn_s: since the tick before."""
        self._checking.tick(turn_s)
        self._mending.tick(turn_s)
        self._do(lambda: self._trying.tick(turn_s))

    def _do(self, *steps: Callable[[], object]) -> None:
        """Take steps, and then the next one. A disk that fails stops nothing else; what it stopped
        is due again at the next tick."""
        try:
            for step in (*steps, self._go):
                step()
            self._trouble = None
        except Trouble as trouble:
            if str(trouble) != self._trouble:
                log.warning("%s: %s", self._pipeline, trouble)
            self._trouble = str(trouble)

    def _go(self) -> None:
        """Take the next step towards what is desired, if one can be taken now."""
        self.wanted, before = None, self.wanted
        self._mending.look(self._trying.state, self._trying.observation.latest)
        if self._desired is None:
            return
        rule = self._desired.rule
        if self._checking.is_busy or self._trying.is_leaving:
            self.wanted = before
            return
        self._end_what_is_wanted_no_more(rule)
        if rule is None:
            return
        bundle = self._choose(rule)
        if bundle is None:
            return
        digest, state = bundle.digest, self._trying.state
        if self._mending.is_ill(digest):
            self._report_mending(rule, digest)
        elif digest == state.active:
            self._report_running(rule, digest)
        elif digest == state.good:  # it has proved itself: it needs no check and no trial
            self._begin(rule, digest)
        elif not self._refusing.refuses(rule, self._what(rule, digest)):
            self._bring(rule, bundle)

    def _end_what_is_wanted_no_more(self, rule: Rule | None) -> None:
        """Every update comes to an end that is told, also one that another takes the place of."""
        update = self.update
        if update is None or update.phase in TERMINAL or update.phase == "trial":
            return
        what = What(update.model, update.version, update.digest, update.deployment)
        if update.digest in (self._trying.state.good, self._trying.state.gone) and update.digest:
            if not self._mending.is_ill(update.digest):
                self._words.report("good", what, self._words.attempt, MENDED)
        elif rule is None:
            why = "not tried: the fleet wants it here no longer"
            self._words.report("rejected", what, self._words.attempt, why)
        elif (rule.model, rule.version) != (update.model, update.version):
            why = f"not tried: {rule.model} {rule.version} was deployed in its place"
            if what != self._ended:
                self._words.mention("rejected", what, why)
            self._ended = what

    def _choose(self, rule: Rule) -> Bundle | None:
        """The variant for this board. None: it cannot be said, and the state says why."""
        assert self._desired is not None
        state, bundles = self._trying.state, self._desired.bundles
        if not self._formats:
            known = next((one for one in bundles if self._is_known(one.digest)), None)
            if known is None:
                why = "its process has not said yet which formats it can run"
                self._words.report("fetching", self._what(rule, None), rule.attempt, why)
            return known
        try:
            return chosen(bundles, self._board, self._formats, self._running)
        except Refused as trouble:
            if state.active is not None and self._trying.is_version(state.active, rule):
                self._report_running(rule, state.active)
            else:
                what = self._what(rule, None)
                self._words.report("rejected", what, rule.attempt, str(trouble))
            return None

    def _is_known(self, digest: str) -> bool:
        """Whether it was the variant for this board before."""
        return digest in self._running or self._refusing.is_known(digest)

    @property
    def _running(self) -> tuple[str, ...]:
        """What runs, and what is gone back to."""
        state = self._trying.state
        return tuple(one for one in (state.active, state.good, state.gone) if one is not None)

    def _bring(self, rule: Rule, bundle: Bundle) -> None:
        """Fetch, check and activate, whichever is next."""
        digest, what = bundle.digest, self._what(rule, bundle.digest)
        if not self._deeds.store.has(digest):
            self.wanted, self._checking.passed = bundle, None
            is_new = not self._words.says("fetching", digest)
            percent = 0 if is_new or self.update is None else self.update.percent
            self._report_fetching(bundle, percent)
        elif self._checking.passed == digest:
            try:
                self._begin(rule, digest)
            except Refused:  # damaged since then: the next check says so
                self._checking.forget()
                raise
            self._checking.forget()
        else:
            self._ask(rule, what)

    def _begin(self, rule: Rule, digest: str) -> None:
        bar = bar_of(manifest.load(self._deeds.store.folder(digest)), rule.gates)
        self._trying.begin(Tried(self._what(rule, digest), rule.attempt, bar, None))

    def _ask(self, rule: Rule, what: What) -> None:
        assert what.digest is not None
        if not self._words.says("checking", what.digest):
            self._words.report("staged", what, rule.attempt)
        if self._checking.ask(what.digest):
            self._deeds.hurry()  # what runs until then is what it will be compared with
            reached("check.asked", what.digest)
            self._words.report("checking", what, rule.attempt, self._checking.put_off)
        else:
            why = "its process is not there to check it"
            self._words.report("staged", what, rule.attempt, why)

    def _report_running(self, rule: Rule, digest: str) -> None:
        """What is active is what is wanted."""
        what = self._what(rule, digest)
        is_good = digest == self._trying.state.good
        phase: UpdatePhase = "good" if is_good else "trial"
        if self._words.says(phase, digest):
            self._words.renew(what, rule.attempt)
        elif not is_good or self._trying.is_settled:
            why = MENDED if digest == self._mending.mended else "it runs already"
            self._words.report(phase, what, rule.attempt, why if is_good else None)

    def _report_mending(self, rule: Rule, digest: str) -> None:
        """It is good, but not what lies on the disk. Said when that is known."""
        if self._mending.damage is not None:
            why, percent = f"damaged on disk: {self._mending.why}", self._mending.percent
            self._words.report("fetching", self._what(rule, digest), rule.attempt, why, percent)

    def _report_fetching(self, bundle: Bundle, percent: int | None) -> None:
        rule = None if self._desired is None else self._desired.rule
        if rule is not None:
            what = self._what(rule, bundle.digest)
            self._words.report("fetching", what, rule.attempt, self._why_not_here, percent)

    def _what(self, rule: Rule, digest: str | None) -> What:
        return What(rule.model, rule.version, digest, self._deployment)
