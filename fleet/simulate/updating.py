"""How a simulated device follows the bell: what each asks for, as a real one would."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from fleet.simulate.believing import Asker, Believing
from fleet.simulate.getting import Getter
from fleet.simulate.running import fetched
from fleet.simulate.telling import Saying, Teller
from wire.backoff import Backoff
from wire.deployments import Who
from wire.messages import Update, UpdatePhase
from wire.troubles import Trouble
from wire.trust.trust import Bundle
from wire.turns import Turns, Wait

SAY_PERCENT = 25  # between two words about how far a fetch is
IDLE_S = 3600.0


@dataclass
class Followed:
    """Of one device, so far. is_up_to_date: what the newest bell asks for is done. has_nothing:
    nothing is deployed to its pipeline. fetches_s: how long each model took, from the bell on.
    trouble: that lasts."""

    is_up_to_date: bool = False
    has_nothing: bool = False
    fetches_s: list[float] = field(default_factory=list)
    content_bytes: int = 0
    trouble: str | None = None


class Voice(Protocol):
    """Of the device."""

    def say_state(self) -> None: ...

    def say(self, saying: Saying) -> None:
        """As an event."""

    def obey(self, keys: tuple[str, ...]) -> None:
        """Commands that these have signed."""


class Follower:
    """`ring` where devices are driven. spread_s: how long it may wait after the bell."""

    def __init__(self, teller: Teller, voice: Voice, asker: Asker, spread_s: float) -> None:
        self.followed = Followed()
        self._teller = teller
        self._voice = voice
        self._asker = asker
        self._spread_s = spread_s
        self._bell: tuple[bytes, float] | None = None  # and when it was heard
        self._closed = threading.Event()

    @property
    def was_rung(self) -> bool:
        return self._bell is not None

    def ring(self, bell: bytes) -> None:
        """It says this."""
        if self._bell is not None and self._bell[0] == bell:
            return
        if self._bell is None:
            self.followed.trouble = None
        self._bell = (bell, time.monotonic())
        self.followed.is_up_to_date = False
        self._asker.bell.ring()

    def close(self) -> None:
        """Let it end. Any thread."""
        self._closed.set()
        self._asker.bell.ring()

    def following(self, name: str, pipeline: str, believing: Believing) -> Turns[None]:
        """What each bell asks for, until the end."""
        groups, board = self._teller.who
        getter = Getter(believing, self._asker, Who(name, groups, board), pipeline)
        backoff = Backoff()
        done: bytes | None = None
        while not self._closed.is_set():
            if self._bell is None or self._bell[0] == done:
                yield Wait(IDLE_S)
                continue
            yield from self._rest(self._spread_s * random.random())  # noqa: S311 - no secret
            if self._closed.is_set():
                return
            bell, heard_s = self._bell
            try:
                yield from self._fetching(getter, bell, heard_s)
                done, backoff = bell, Backoff()
                self.followed.is_up_to_date = self._bell[0] == bell
                self._trouble(None)
            except Trouble as trouble:
                if self._closed.is_set():
                    return
                self._trouble(str(trouble))
                yield from self._rest(backoff.next_s(0.0))

    def _rest(self, seconds: float) -> Turns[None]:
        until_s = time.monotonic() + seconds
        while not self._closed.is_set() and (left_s := until_s - time.monotonic()) > 0:
            yield Wait(left_s)

    def _fetching(self, getter: Getter, bell: bytes, heard_s: float) -> Turns[None]:
        said = yield from getter.saying(bell)
        self._voice.obey(said.keys)
        bundle = getter.wanted(said)
        self._teller.trusted = said.trusted
        self.followed.has_nothing = bundle is None
        runs = self._teller.runs
        if bundle is None or (runs is not None and bundle.digest == runs.digest):
            self._voice.say_state()
            return
        deployment = said.trusted.deployments
        self._phase("fetching", bundle, deployment, 0)
        yield from getter.getting(
            bundle, self._progress(bundle, deployment), lambda: self._closed.is_set()
        )
        self.followed.content_bytes += bundle.size
        self.followed.fetches_s.append(time.monotonic() - heard_s)
        self._teller.runs = fetched(bundle)
        self._phase("trial", bundle, deployment)
        self._phase("good", bundle, deployment)

    def _progress(self, bundle: Bundle, deployment: int) -> Callable[[int], None]:
        said_percent = 0

        def progress(have_bytes: int) -> None:
            nonlocal said_percent
            percent = 100 * have_bytes // max(1, bundle.size)
            if percent >= said_percent + SAY_PERCENT and percent < 100:
                said_percent = percent
                self._phase("fetching", bundle, deployment, percent)

        return progress

    def _phase(
        self, phase: UpdatePhase, bundle: Bundle, deployment: int, percent: int | None = None
    ) -> None:
        """Say how far the update is: in the state, and a new phase as an event."""
        variant, before = bundle.variant, self._teller.update
        self._teller.update = Update(
            phase, variant.model, variant.version, bundle.digest, deployment, time.time(), percent
        )
        if before is None or (before.phase, before.digest) != (phase, bundle.digest):
            self._voice.say(
                Saying("update", "model", f"{variant.model} {variant.version}: {phase}")
            )
        self._voice.say_state()

    def _trouble(self, why: str | None) -> None:
        self.followed.trouble = why
        if why != self._teller.trouble:
            self._teller.trouble = why
            self._voice.say_state()
