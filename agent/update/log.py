"""What is said about the update of one pipeline: reported, recorded once, and kept for later."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from agent.clock import Clock
from agent.update.gates import Bar, Before
from wire.messages import Natural, Update, UpdatePhase

MOST_REFUSALS = 128  # of one pipeline, as many as the store remembers
LONGEST = 1000  # characters of a reason
TERMINAL: frozenset[UpdatePhase] = frozenset(("good", "rejected", "rolled_back"))


class What(Struct, frozen=True):
    """The model that is spoken of. digest: None before the variant is known."""

    model: str
    version: str
    digest: str | None
    deployment: Natural

    @property
    def name(self) -> str:
        return f"{self.model} {self.version}"


class Refusal(Struct, frozen=True):
    """How a digest ended. attempt: of the rule that asked for it."""

    phase: Literal["rejected", "rolled_back"]
    attempt: Natural


class Tried(Struct, frozen=True):
    """A trial: what the model must show, and what the model before it has shown."""

    what: What
    attempt: Natural
    bar: Bar
    before: Before | None


class Kept(Struct, frozen=True, omit_defaults=True):
    """What must be known again after a restart; what runs, is good and is rejected is the store's.

    attempt: of the rule that `update` is about.
    """

    update: Update | None = None
    attempt: Natural = 0
    tried: Tried | None = None
    refusals: dict[str, Refusal] = {}


Record = Callable[[str, Update, bytes], None]  # pipeline, what is new, the whole book


class UpdateBook:
    """Everything kept, of all pipelines: one note beside the records that say it."""

    def __init__(self, content: bytes | None, record: Record, clock: Clock) -> None:
        self._kept: dict[str, Kept] = dict(_read(content))
        self._record = record
        self._clock = clock

    def kept(self, pipeline: str) -> Kept:
        return self._kept.get(pipeline, Kept())

    def keep(self, pipeline: str, kept: Kept) -> None:
        """For later: it is written down with the next record."""
        self._kept[pipeline] = kept

    def record(self, pipeline: str, update: Update) -> None:
        self._record(pipeline, update, msgspec.json.encode(self._kept))

    def now_s(self) -> float:
        return self._clock.wall_s()


class UpdateLog:
    """The words about one pipeline."""

    def __init__(self, pipeline: str, book: UpdateBook) -> None:
        self._pipeline = pipeline
        self._book = book

    @property
    def update(self) -> Update | None:
        """What the state shows."""
        return self._kept.update

    @property
    def attempt(self) -> int:
        return self._kept.attempt

    @property
    def tried(self) -> Tried | None:
        return self._kept.tried

    def says(self, phase: UpdatePhase, digest: str | None) -> bool:
        """Whether this is what the state shows already."""
        update = self.update
        return update is not None and (update.phase, update.digest) == (phase, digest)

    def is_about(self, digest: str) -> bool:
        return self.update is not None and self.update.digest == digest

    def report(
        self,
        phase: UpdatePhase,
        what: What,
        attempt: int,
        reason: str | None = None,
        percent: int | None = None,
    ) -> None:
        """Show it in the state; another phase is recorded too. Saying it again changes nothing."""
        now = _update(phase, what, reason, percent, self._book.now_s())
        before = self.update
        is_same = before is not None and _key(before) == _key(now)
        if is_same and before is not None:
            now = replace(now, since=before.since)
        if now == before and attempt == self.attempt:
            return
        self._keep(replace(self._kept, update=now, attempt=attempt))
        if not is_same:
            self._book.record(self._pipeline, now)

    def renew(self, what: What, attempt: int) -> None:
        """A newer deployment says the same again: it holds for that one too."""
        update = self.update
        if update is not None and (update.deployment, self.attempt) != (what.deployment, attempt):
            renewed = replace(update, deployment=what.deployment)
            self._keep(replace(self._kept, update=renewed, attempt=attempt))

    def mention(self, phase: UpdatePhase, what: What, reason: str) -> None:
        """Record it; the state shows something newer."""
        self._book.record(self._pipeline, _update(phase, what, reason, None, self._book.now_s()))

    def begin_trial(self, tried: Tried) -> None:
        self._keep(replace(self._kept, tried=tried))

    def refuse(self, digest: str, refusal: Refusal) -> None:
        """Remember how a digest ended; the report that follows writes it down."""
        refusals = {**self._kept.refusals, digest: refusal}
        for oldest in list(refusals)[:-MOST_REFUSALS]:
            del refusals[oldest]
        self._keep(replace(self._kept, refusals=refusals))

    def accept(self, digest: str) -> None:
        """It proved itself: that it failed once does not count any more."""
        others = {one: why for one, why in self._kept.refusals.items() if one != digest}
        self._keep(replace(self._kept, refusals=others))

    def refusal(self, digest: str) -> Refusal | None:
        return self._kept.refusals.get(digest)

    @property
    def _kept(self) -> Kept:
        return self._book.kept(self._pipeline)

    def _keep(self, kept: Kept) -> None:
        self._book.keep(self._pipeline, kept)


def _key(update: Update) -> tuple[str, str, str, str | None]:
    """What makes it another event. A deployment that says the same again does not."""
    return (update.phase, update.model, update.version, update.digest)


def _update(
    phase: UpdatePhase, what: What, reason: str | None, percent: int | None, now_s: float
) -> Update:
    return Update(
        phase=phase,
        model=what.model,
        version=what.version,
        digest=what.digest,
        deployment=what.deployment,
        since=now_s,
        percent=percent,
        reason=None if reason is None else reason[:LONGEST],
    )


def _read(content: bytes | None) -> Mapping[str, Kept]:
    try:
        return msgspec.json.decode(content or b"{}", type=dict[str, Kept])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
