"""Has a model that was fetched checked by the process of a pipeline, in a child of its own."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from agent.update.deeds import Deeds
from wire.local import Answer, CheckModel, Totals
from wire.steps import reached

CHECK_S = 660.0  # the runtime gives up after 600 s, and says so
AGAIN_S, MOST_AGAIN_S = 2.0, 60.0  # after a runtime that could not do it then
PUT_OFF_S = 720.0  # for so long a check may be put off
MOST_LOST = 3  # checks without an answer, most often because the process dies of them


@dataclass
class _Check:
    id: str
    digest: str
    left_s: float = CHECK_S


class Checking:
    """At most one check at a time. passed: the digest that was found good last. put_off: why the
    process could not make the check when it was asked last."""

    def __init__(self, deeds: Deeds) -> None:
        self.passed: str | None = None
        self.put_off: str | None = None
        self._deeds = deeds
        self._check: _Check | None = None
        self._failure: tuple[str, str] | None = None  # a digest, and what its check found
        self._run: str | None = None  # of the process heard last
        self._lost = 0
        self._again_s = self._put_off_s = 0.0

    @property
    def is_busy(self) -> bool:
        """Whether an answer is waited for, or it is not yet time to ask again."""
        return self._check is not None or self._again_s > 0

    def failure(self, digest: str) -> str | None:
        """Why a model did not pass, or None."""
        if self._failure is not None and self._failure[0] == digest:
            return self._failure[1]
        if self._lost >= MOST_LOST:
            return f"{self._lost} checks of it had no answer: its process dies of them, or hangs"
        return None

    @property
    def why_given_up(self) -> str | None:
        """Why the check cannot be made here now: that is no verdict on the model."""
        if self.put_off is None or self._put_off_s < PUT_OFF_S:
            return None
        return f"it could not be checked within {PUT_OFF_S / 60:.0f} minutes: {self.put_off}"

    def fail(self, digest: str, why: str) -> None:
        """It is known without a check."""
        self._failure = (digest, why)

    def forget(self) -> None:
        """Another model is wanted, or the same once more."""
        self.passed = self._failure = self.put_off = None
        self._lost, self._put_off_s, self._again_s = 0, 0.0, 0.0

    def ask(self, digest: str) -> bool:
        """Whether the process took it. One that was never heard may be about to go."""
        if self._run is None:
            return False
        check = _Check(secrets.token_hex(8), digest)
        if not self._deeds.tell(CheckModel(check.id, digest)):
            return False
        self._check = check
        return True

    def hear(self, totals: Totals) -> None:
        """A word of the process."""
        if self._run != totals.run:
            self._run = totals.run
            self._lose()
            self.put_off, self._put_off_s = None, 0.0  # it may be able to

    def answered(self, answer: Answer) -> bool:
        """Whether it was ours."""
        check = self._check
        if check is None or check.id != answer.id:
            return False
        self._check = None
        if answer.later:
            if answer.text != self.put_off:  # it gets on, as when something is built first
                self.put_off, self._put_off_s = answer.text, 0.0
            self._again_s = min(max(AGAIN_S, self._put_off_s / 4), MOST_AGAIN_S)
        elif answer.ok:
            reached("check.passed", check.digest)
            self.passed = check.digest
        else:
            self._failure = (check.digest, answer.text)
        return True

    def tick(self, turn_s: float) -> None:
        """turn_s: since the tick before."""
        self._again_s -= turn_s
        if self.put_off is not None and self.is_busy:  # else nobody is there who could do it
            self._put_off_s += turn_s
        if self._check is not None:
            self._check.left_s -= turn_s
            if self._check.left_s <= 0:
                self._lose()

    def _lose(self) -> None:
        """Who was asked is gone."""
        if self._check is not None:
            self._check = None
            self._lost += 1
