"""Has a model that was fetched checked by the process of a pipeline, in a child of its own."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from agent.update_deeds import Deeds, is_for_later
from wire.local import Answer, CheckModel, Totals

CHECK_S = 660.0  # the runtime gives up after 600 s, and says so
AGAIN_S = 2.0  # after a runtime that had no time for us
SILENT_S = 60.0  # of its process: who has said nothing for so long does not work on our check
MOST_LOST = 3  # checks that end with the process that makes them


@dataclass
class _Check:
    id: str
    digest: str
    left_s: float = CHECK_S


class Checking:
    """At most one check at a time. passed: the digest that was found good last."""

    def __init__(self, deeds: Deeds) -> None:
        self.passed: str | None = None
        self._deeds = deeds
        self._check: _Check | None = None
        self._failure: tuple[str, str] | None = None  # a digest, and what its check found
        self._run: str | None = None  # of the process heard last
        self._lost = 0
        self._again_s = self._silent_s = 0.0

    @property
    def is_busy(self) -> bool:
        """Whether an answer is waited for, or it is not yet time to ask again."""
        return self._check is not None or self._again_s > 0

    def failure(self, digest: str) -> str | None:
        """Why a model did not pass, or None."""
        if self._failure is not None and self._failure[0] == digest:
            return self._failure[1]
        if self._lost >= MOST_LOST:
            return f"its process ended {self._lost} times while it was checked"
        return None

    def fail(self, digest: str, why: str) -> None:
        """It is known without a check."""
        self._failure = (digest, why)

    def forget(self) -> None:
        """Another model is wanted, or the same once more."""
        self.passed = self._failure = None
        self._lost = 0

    def ask(self, digest: str) -> bool:
        """Whether the process took it."""
        check = _Check(secrets.token_hex(8), digest)
        if not self._deeds.tell(CheckModel(check.id, digest)):
            return False
        self._check = check
        return True

    def hear(self, totals: Totals) -> None:
        """A word of the process."""
        self._silent_s = 0.0
        if self._run != totals.run:
            self._run = totals.run
            self._lose()

    def answered(self, answer: Answer) -> bool:
        """Whether it was ours."""
        check = self._check
        if check is None or check.id != answer.id:
            return False
        self._check = None
        if is_for_later(answer):
            self._again_s = AGAIN_S
        elif answer.ok:
            self.passed = check.digest
        else:
            self._failure = (check.digest, answer.text)
        return True

    def tick(self, turn_s: float) -> None:
        """turn_s: since the tick before."""
        self._again_s -= turn_s
        self._silent_s += turn_s
        check = self._check
        if check is None:
            return
        check.left_s -= turn_s
        if check.left_s > 0:
            return
        if self._silent_s > SILENT_S:  # it is not the model that keeps its process from answering
            self._lose()
        else:
            self._check = None
            self._failure = (check.digest, f"its check gave no answer within {CHECK_S:.0f} s")

    def _lose(self) -> None:
        """Who was asked is gone."""
        if self._check is not None:
            self._check = None
            self._lost += 1
