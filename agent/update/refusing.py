"""Whether a pipeline tries a model: one that failed before waits until somebody says "again"."""

from __future__ import annotations

import logging

from agent.update.checking import Checking
from agent.update.deeds import Deeds
from agent.update.log import Refusal, UpdateLog, What
from agent.update.trying import Trying
from wire.deployments import Rule
from wire.steps import reached

log = logging.getLogger("vedette.agent")


class Refusing:
    """All on the main thread. What is refused is told, once."""

    def __init__(self, deeds: Deeds, words: UpdateLog, trying: Trying, checking: Checking) -> None:
        self._deeds = deeds
        self._words = words
        self._trying = trying
        self._checking = checking

    def is_known(self, digest: str) -> bool:
        """Whether it failed here before: then it was the variant for this board."""
        return self._words.refusal(digest) is not None

    def refuses(self, rule: Rule, what: What) -> bool:
        """Whether it was rejected or rolled back before, and nobody said that it may try again.
        what: its digest is known."""
        digest = what.digest
        assert digest is not None
        if (why_not := self._checking.failure(digest)) is not None:
            self._reject(rule, digest, why_not)
        elif (why_not := self._checking.why_given_up) is not None:  # until somebody says "again"
            self._words.report("rejected", what, rule.attempt, why_not)
            return True
        rejection = self._trying.state.rejection(digest)
        refusal = self._words.refusal(digest)
        if rejection is None and (refusal is None or refusal.attempt < rule.attempt):
            return False
        if refusal is None:  # it ended before a power cut that came before we could note how
            attempt = self._words.attempt if self._words.is_about(digest) else rule.attempt
            refusal = Refusal("rejected", attempt)
        if rule.attempt > refusal.attempt:
            self._deeds.store.forgive(self._deeds.pipeline, digest)
            self._trying.look_again()
            return False
        if self._words.says(refusal.phase, digest):
            self._words.renew(what, rule.attempt)
        else:
            why = "it failed before" if rejection is None else rejection.reason
            self._words.report(refusal.phase, what, refusal.attempt, why)
        return True

    def _reject(self, rule: Rule, digest: str, why: str) -> None:
        """It was never activated, and is not tried again."""
        pipeline = self._deeds.pipeline
        log.warning("%s: %s %s is rejected: %s", pipeline, rule.model, rule.version, why)
        self._words.refuse(digest, Refusal("rejected", rule.attempt))
        reached("reject.decided", digest)
        self._deeds.store.reject(pipeline, digest, why)
        self._trying.look_again()
        self._checking.forget()
        self._deeds.sweep()
