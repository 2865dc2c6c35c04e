"""What runs beside the web, each on a thread of its own: begun, watched, and begun again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from wire.backoff import Backoff
from wire.troubles import Trouble

STEADY_S = 60.0  # who ran so long begins again soon
MOST_WAIT_S = 30.0
END_S = 4.0  # for all of them together

log = logging.getLogger("vedette.serve")

PartStatus = Literal["starting", "working", "broken", "ended"]


@dataclass(frozen=True)
class PartState:
    """How a part is. words: what it does, or why it does not. since_s: Unix time of the status."""

    name: str
    status: PartStatus
    words: str
    since_s: float


class Part(Protocol):
    """Something that is stepped until it is closed. step: waits 1 s at most. status: one line;
    trouble: why it cannot do its work now, though it runs."""

    def step(self) -> None: ...

    def status(self) -> str: ...

    def trouble(self) -> str | None: ...

    def close(self) -> None: ...


class _Post:
    """One part's thread."""

    def __init__(
        self,
        name: str,
        begin: Callable[[], Part],
        wake: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self.name = name
        self._begin = begin
        self._wake = wake
        self._clock = clock
        self._ends = threading.Event()
        self._backoff = Backoff(most_s=MOST_WAIT_S, steady_s=STEADY_S)
        self.state = PartState(name, "starting", "it begins", clock())
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ask_to_end(self) -> None:
        if not self._ends.is_set():
            self._ends.set()
            self._wake()

    def join(self, timeout_s: float) -> bool:
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._ends.is_set():
            began_s = time.monotonic()
            try:
                self._live()
            except Trouble as trouble:
                if self._ends.is_set():  # it was woken to end
                    break
                self._say("broken", str(trouble))
                log.error("%s: %s", self.name, trouble)
            except Exception as error:  # a bug of one part must not end the others
                self._say("broken", f"a bug: {type(error).__name__}: see the log")
                log.exception("%s: a bug: it is begun again", self.name)
            self._ends.wait(self._backoff.next_s(time.monotonic() - began_s))
        self._say("ended", "it has ended")

    def _live(self) -> None:
        part = self._begin()
        try:
            while not self._ends.is_set():
                part.step()
                trouble = part.trouble()
                if trouble is None:
                    self._say("working", part.status())
                else:
                    self._say("broken", trouble)
        finally:
            part.close()

    def _say(self, status: PartStatus, words: str) -> None:
        before = self.state
        since_s = before.since_s if before.status == status else self._clock()
        self.state = PartState(self.name, status, words, since_s)


class Crew:
    """All parts of one process. clock: Unix seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._posts: list[_Post] = []

    def add(
        self, name: str, begin: Callable[[], Part], wake: Callable[[], None] = lambda: None
    ) -> None:
        """Begin a part now. begin: opens it, on its own thread; raises a Trouble if it cannot.
        wake: lets it end at once though it waits for something, in `begin` too; any thread."""
        post = _Post(name, begin, wake, self._clock)
        self._posts.append(post)
        post.start()

    def states(self) -> tuple[PartState, ...]:
        """In the order in which they were added."""
        return tuple(post.state for post in self._posts)

    def ask_to_end(self) -> None:
        """They begin to end, each at its own pace."""
        for post in self._posts:
            post.ask_to_end()

    def close(self) -> None:
        """End all of them. Who does not end in time is left behind."""
        end_s = time.monotonic() + END_S
        self.ask_to_end()
        for post in reversed(self._posts):
            if not post.join(max(0.0, end_s - time.monotonic())):
                log.warning("%s does not end: it is left behind", post.name)
