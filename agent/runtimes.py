"""The runtime processes of this device: who was heard when, and what they are asked to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wire.local import Answer, FromAgent, FromRuntime, Mailbox, pipeline_socket

SILENT_S = 35.0  # three totals and a bit
GRACE_S = 90.0  # after our start: models may still be tried for the first time


@dataclass(frozen=True)
class Errand:
    """Something a runtime was asked for under a command's id. until_s: when we stop waiting."""

    id: str
    pipeline: str
    until_s: float


class Runtimes:
    """Times are seconds of the clock that only goes forward."""

    def __init__(
        self, mailbox: Mailbox[FromRuntime], run_folder: Path, names: Iterable[str], now_s: float
    ) -> None:
        self.names = frozenset(names)
        self._mailbox = mailbox
        self._run_folder = run_folder
        self._heard_s: dict[str, float] = {}
        self._started_s = now_s
        self._errands: dict[str, Errand] = {}
        self._failures: dict[str, str] = {}

    def heard(self, pipeline: str, now_s: float) -> None:
        """Its process said something: it lives."""
        self._heard_s[pipeline] = now_s
        self._failures.pop(pipeline, None)

    def failed(self, pipeline: str, why: str) -> None:
        """Its process said that it ends, and why; the next one may say so again."""
        self._failures[pipeline] = why

    def failure(self, pipeline: str) -> str | None:
        """Why its last process ended, if none has lived since then."""
        return self._failures.get(pipeline)

    def silent(self, now_s: float) -> set[str]:
        """The pipelines whose process has said nothing for a while."""
        return {
            name
            for name in self.names
            if now_s - self._heard_s.get(name, self._started_s) > SILENT_S
        }

    def missing(self, now_s: float) -> set[str]:
        """The silent ones about which a person should be told."""
        if now_s - self._started_s < GRACE_S:
            return {name for name in self.silent(now_s) if name in self._heard_s}
        return self.silent(now_s)

    def is_known(self, pipeline: str, now_s: float) -> bool:
        """Whether we have been here long enough to say if its process is missing."""
        return pipeline in self._heard_s or now_s - self._started_s >= GRACE_S

    def tell(self, pipeline: str, message: FromAgent) -> bool:
        """Whether the process took it."""
        return self._mailbox.send(pipeline_socket(self._run_folder, pipeline), message)

    def is_there(self, pipeline: str, message: FromAgent) -> bool:
        """Tell the process something, and find out whether there is one: a process that takes
        nothing more, because it hangs, is there too."""
        place = pipeline_socket(self._run_folder, pipeline)
        return self._mailbox.offer(place, message) != "nobody"

    def ask(self, errand: Errand, message: FromAgent) -> bool:
        """Ask for something that will be answered. False: the process is not there."""
        if not self.tell(errand.pipeline, message):
            return False
        self._errands[errand.id] = errand
        return True

    def answered(self, answer: Answer) -> Errand | None:
        """The errand that this answers; None if it is not waited for."""
        errand = self._errands.get(answer.id)
        if errand is None or errand.pipeline != answer.pipeline:
            return None
        return self._errands.pop(answer.id)

    def overdue(self, now_s: float) -> list[Errand]:
        """The errands for whose answer we waited long enough; each is given once."""
        late = [errand for errand in self._errands.values() if now_s > errand.until_s]
        for errand in late:
            del self._errands[errand.id]
        return late
