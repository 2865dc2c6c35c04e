"""Jobs: what operators have begun, how far it is, and what came of it. Every one is audited."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from fleet.asking import Note
from fleet.wording import printable
from wire.troubles import Refused, Trouble, Unavailable

MOST_JOBS = 200  # that are remembered
MOST_AT_ONCE = 8
MOST_WAITING = 32
MOST_LINES = 50
MOST_PICTURES = 20  # that are remembered

Outcome = Literal["done", "refused", "failed"]
Status = Literal["waiting", "running", "done", "refused", "failed"]

log = logging.getLogger("vedette.serve")


@dataclass(frozen=True)
class Actor:
    """Who acts, and from where."""

    name: str
    address: str


class Audit(Protocol):
    """fleet.accounts.Accounts.audit."""

    def __call__(
        self, who: str, what: str, subject: str, outcome: Outcome, address: str
    ) -> None: ...


@dataclass(frozen=True)
class Ended:
    """What came of a job. words: for people, of one or more lines. picture: a JPEG. awaits: the
    digest of a bundle that is to be signed now."""

    words: str
    picture: bytes | None = None
    awaits: str | None = None


@dataclass
class Job:
    """Written by one thread, read by others. what, subject: as in the audit trail. link: the page
    where it goes on. begun_s, ended_s: Unix time. lines: what was said on the way. awaits: as of
    its end."""

    id: str
    what: str
    subject: str
    who: str
    begun_s: float
    link: str = "/"
    status: Status = "waiting"
    words: str = ""
    ended_s: float | None = None
    picture: bytes | None = None
    awaits: str | None = None
    lines: list[str] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        return self.ended_s is not None

    def note(self, text: str) -> None:
        """Something on the way."""
        self.lines = [*self.lines, printable(text, 500)][-MOST_LINES:]


Run = Callable[[Note], Ended]


class Jobs:
    """audit: raises Unavailable if it cannot be written: then nothing is done. clock: Unix time."""

    def __init__(self, audit: Audit, clock: Callable[[], float] = time.time) -> None:
        self._audit = audit
        self._clock = clock
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(MOST_AT_ONCE)
        self._is_closed = False

    def begin(self, who: Actor, what: str, subject: str, link: str, run: Run) -> Job:
        """Begin something, on a thread of its own. Raises Unavailable if it cannot be audited, or
        too much is being done already."""
        job = Job(secrets.token_hex(8), what, subject, who.name, self._clock(), link)
        with self._lock:
            if self._is_closed:
                raise Unavailable("the server ends: try again in a while")
            if sum(not each.is_over for each in self._jobs.values()) >= MOST_WAITING:
                raise Unavailable("too much is being done already: try again in a while")
            self._jobs[job.id] = job
            self._forget()
        try:
            self._audit(who.name, f"begin {what}", subject, "done", who.address)
        except Unavailable:
            with self._lock:
                self._jobs.pop(job.id, None)
            raise
        # a device may take minutes to answer: the server does not wait for that when it ends
        threading.Thread(
            target=self._wait_and_run, args=(job, who, run), name=f"job {what}", daemon=True
        ).start()
        return job

    def find(self, identity: str) -> Job | None:
        return self._jobs.get(identity)

    def newest(self, link: str, most: int = 5) -> list[Job]:
        """Those that belong to a page, the newest first."""
        with self._lock:
            found = [job for job in reversed(self._jobs.values()) if job.link == link]
        return found[:most]

    def close(self) -> None:
        """What is running is left behind, what waits is not begun."""
        self._is_closed = True

    def _wait_and_run(self, job: Job, who: Actor, run: Run) -> None:
        with self._turns:
            if not self._is_closed:
                self._run(job, who, run)

    def _run(self, job: Job, who: Actor, run: Run) -> None:
        job.status = "running"
        outcome: Outcome = "failed"
        try:
            ended = run(job.note)
            job.picture, job.words, outcome = ended.picture, ended.words, "done"
            job.awaits = ended.awaits
        except Trouble as trouble:
            job.words = str(trouble)
            outcome = "refused" if isinstance(trouble, Refused) else "failed"
        except Exception as error:  # a bug in one job must not look like a job without an end
            log.exception("%s %s: a bug", job.what, job.subject)
            job.words = f"a bug: {type(error).__name__}: the log of the server says more"
        try:
            self._audit(who.name, job.what, f"{job.subject}: {job.words}", outcome, who.address)
        except Unavailable as error:
            log.error("%s %s by %s: %s; not audited: %s", job.what, job.subject, who.name,
                      outcome, error)  # fmt: skip
        job.status, job.ended_s = outcome, self._clock()

    def _forget(self) -> None:
        over = [job.id for job in self._jobs.values() if job.is_over]
        for identity in over[: max(0, len(self._jobs) - MOST_JOBS)]:
            del self._jobs[identity]
        shown = [job for job in self._jobs.values() if job.picture is not None]
        for job in shown[: max(0, len(shown) - MOST_PICTURES)]:
            job.picture = None
