"""Brings what the fleet deploys into the pipelines, and tells how far each is.

The fetch thread says what is signed and what has come; the runtimes say how the models do. All is
decided here, on the main thread, one event at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from agent.clock import Clock
from agent.faults import Faults
from agent.fetch.words import (
    Asked,
    Examined,
    Fetched,
    FromFetch,
    NotFetched,
    NotRefreshed,
    Progress,
    Refreshed,
)
from agent.update.course import Course
from agent.update.deeds import Deeds
from agent.update.log import UpdateBook, UpdateLog
from models.store import Store
from wire.local import Answer, Failed, FromAgent, Totals
from wire.messages import Trusted, Update
from wire.release import WARN_S
from wire.version import RELEASED_S

if TYPE_CHECKING:
    from wire.trust.trust import Bundle

LONGEST_TURN_S = 5.0  # a device that slept has not waited
NO_ANSWER_S = 600.0  # something is wanted, and nobody answers: then a person should know
# Before it expires metadata should have been renewed: the depot does that after half of its life
# (7 days for the timestamp, 30 for the others), an operator in good time (wire.release.WARN_S).
LATE_S = {"timestamp": 2 * 86400.0, "snapshot": 10 * 86400.0, "deployments": 10 * 86400.0}
RENEW = {
    "root": "renew it on the operator's machine: vedette fleet keys renew",
    "targets": "renew it on the operator's machine: vedette fleet keys renew",
}

log = logging.getLogger("vedette.agent")


class Fetcher(Protocol):
    """The fetch thread, as the main one knows it."""

    def want(self, bundles: tuple[Bundle, ...], pinned: frozenset[str]) -> None:
        """These are to be fetched, in this order, and no others. pinned: digests to keep."""

    def ring(self, timestamp: bytes) -> None:
        """The bell rang. timestamp: what it says is newest."""

    def sweep(self) -> None:
        """Remove models that nobody needs."""

    def examine(self, digest: str) -> None:
        """A model in the store may be damaged: an `Examined` is to come."""

    def look(self) -> None:
        """What was refused may be believed now."""


@dataclass(frozen=True)
class Surroundings:
    """What an updater works with. fetcher: None where no trusted root is configured."""

    store: Store
    board: str
    clock: Clock
    book: UpdateBook
    faults: Faults
    fetcher: Fetcher | None
    tell: Callable[[str, FromAgent], bool]
    hurry: Callable[[str], bool]
    obey: Callable[[tuple[str, ...]], None]  # these keys may command


class Updater:
    """Every pipeline's course. trusted: the signed metadata that is believed; None: none is."""

    def __init__(self, around: Surroundings, pipelines: Mapping[str, Totals | None]) -> None:
        """pipelines: each with what its process said last, if that is known."""
        self.trusted: Trusted | None = None
        self._around = around
        self._courses = {name: self._course(name) for name in sorted(pipelines)}
        for name, totals in pipelines.items():
            if totals is not None:
                self._courses[name].remember(totals)
        self._ordered: tuple[tuple[Bundle, ...], frozenset[str]] | None = None
        self._issued_s = 0.0
        self._is_informed = False
        self._expiries: tuple[tuple[str, float], ...] = ()
        self._refusal: str | None = None
        self._no_room: dict[str, str] = {}
        self._unanswered_s: float | None = None  # since when nobody answers
        self._why_unanswered = ""
        self._turned_s = around.clock.uptime_s()

    def update(self, pipeline: str) -> Update | None:
        """What the state shows of a pipeline."""
        return self._courses[pipeline].update

    def damage(self, pipeline: str) -> str | None:
        """Which model of a pipeline is damaged on disk, and what is done about it."""
        return self._courses[pipeline].damage

    def hear(self, totals: Totals) -> None:
        """A word of a runtime, which was found to be possible."""
        self._courses[totals.pipeline].hear(totals)
        self._order()

    def failed(self, failed: Failed) -> None:
        self._courses[failed.pipeline].failed(failed.why)

    def answered(self, answer: Answer) -> None:
        if answer.pipeline in self._courses:
            self._courses[answer.pipeline].answered(answer)
            self._order()

    def ring(self, timestamp: bytes) -> None:
        """The bell rang."""
        if self._around.fetcher is not None and timestamp:
            self._around.fetcher.ring(timestamp)

    def clock_was_set(self) -> None:
        """By a clock that is right what had expired may not have."""
        if self._around.fetcher is not None and self._refusal is not None:
            self._around.fetcher.look()

    def take(self, said: FromFetch) -> None:
        """A word of the fetch thread."""
        if isinstance(said, Refreshed):
            self._refreshed(said)
        elif isinstance(said, Asked):
            self._refusal = None
            self._answered()
        elif isinstance(said, NotRefreshed):
            self._not_refreshed(said)
        elif isinstance(said, Progress):
            self._answered()
            for course in self._courses.values():
                course.progress(said)
        elif isinstance(said, Fetched):
            self._answered()
            self._no_room.pop(said.digest, None)
            for course in self._courses.values():
                course.fetched(said.digest)
        elif isinstance(said, Examined):
            for course in self._courses.values():
                course.examined(said)
        else:
            self._not_fetched(said)
        self._order()

    def tick(self) -> None:
        """To be called about once a second."""
        now_s = self._around.clock.uptime_s()
        turn_s, self._turned_s = min(now_s - self._turned_s, LONGEST_TURN_S), now_s
        for course in self._courses.values():
            course.tick(turn_s)
        self._order()
        self._tell_faults(now_s)

    def _course(self, name: str) -> Course:
        around = self._around
        deeds = Deeds(
            name,
            around.store,
            lambda message: around.tell(name, message),
            lambda: around.hurry(name),
            self._sweep,
            self._examine,
        )
        return Course(around.board, deeds, UpdateLog(name, around.book))

    def _refreshed(self, said: Refreshed) -> None:
        self.trusted, self._issued_s = said.trusted, said.issued_s
        self._expiries = said.expiries
        self._around.obey(said.command_keys)
        self._is_informed |= bool(said.desired)
        for desired in said.desired:
            if desired.pipeline in self._courses:
                self._courses[desired.pipeline].desire(desired, said.trusted.deployments)

    def _not_refreshed(self, said: NotRefreshed) -> None:
        if said.kind == "refused":
            if said.why != self._refusal:
                log.warning("the fleet's metadata is not believed: %s", said.why)
            self._refusal = said.why
        else:
            self._silent(said.why)

    def _not_fetched(self, said: NotFetched) -> None:
        log.warning("%s was not fetched: %s", said.digest[:12], said.why)
        if said.kind == "no_room":
            self._no_room[said.digest] = said.why
        elif said.kind == "unavailable":
            self._silent(said.why)
        for course in self._courses.values():
            course.not_fetched(said)

    def _answered(self) -> None:
        self._unanswered_s = None

    def _silent(self, why: str) -> None:
        self._why_unanswered = why
        if self._unanswered_s is None:
            self._unanswered_s = self._around.clock.uptime_s()

    def _order(self) -> None:
        """Let the fetch thread know what is wanted, if that is new.

        Not before the fleet said what it wants: what came for it before a restart would be swept.
        """
        wants = [one for course in self._courses.values() for one in course.wants]
        bundles = {one.digest: one for one in wants}
        pinned = {course.pinned for course in self._courses.values()}
        order = (tuple(bundles.values()), frozenset(one for one in pinned if one is not None))
        if self._around.fetcher is None or order == self._ordered or not self._is_informed:
            return
        self._ordered = order
        self._no_room = {digest: why for digest, why in self._no_room.items() if digest in bundles}
        self._around.fetcher.want(*order)

    def _sweep(self) -> None:
        if self._around.fetcher is not None:
            self._around.fetcher.sweep()

    def _examine(self, digest: str) -> None:
        if self._around.fetcher is not None:
            self._around.fetcher.examine(digest)

    def _tell_faults(self, now_s: float) -> None:
        faults = self._around.faults
        faults.tell("trust", None, self._refusal or self._expiring())
        since_s = self._unanswered_s
        is_mute = since_s is not None and now_s - since_s >= NO_ANSWER_S
        why = f"the depot has not answered for 10 minutes: {self._why_unanswered}"
        faults.tell("depot", None, why if is_mute and self._is_waiting else None)
        troubles = [*self._no_room.values()]
        troubles += [one for course in self._courses.values() for one in course.problems]
        faults.tell("disk", None, troubles[0] if troubles else None)

    @property
    def _is_waiting(self) -> bool:
        """Whether an answer of the depot would change anything that we know of."""
        return any(course.wants for course in self._courses.values())

    def _expiring(self) -> str | None:
        """What of the signed metadata expires first, if it should have been renewed by now."""
        now_s = max(self._around.clock.wall_s(), self._issued_s, RELEASED_S)
        late = [
            (expires_s, role)
            for role, expires_s in self._expiries
            if expires_s - now_s < LATE_S.get(role, WARN_S)
        ]
        if not late:
            return None
        expires_s, role = min(late)
        days, renew = (expires_s - now_s) / 86400.0, RENEW.get(role, "is vedette fleet depot up?")
        if days <= 0:
            return f"the fleet's {role} has expired, and nothing is updated: {renew}"
        return f"the fleet's {role} expires in {days:.0f} days and was not renewed: {renew}"
