"""Work that waits, written once: it yields what it waits for. A thread of its own can drive it, or
a reactor (wire/reactor.py) that drives many."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol, TypeVar


@dataclass(frozen=True)
class Wait:
    """For a socket, for somebody who rings, or for the time. events: of poll."""

    timeout_s: float
    fileno: int | None = None
    events: int = 0


@dataclass(frozen=True)
class Aside:
    """What may block for long: to be done on a thread where nobody else waits for it."""

    act: Callable[[], object]


T = TypeVar("T")
Turns = Generator[Wait | Aside, int, T]  # is sent which events of poll came, 0 for none


class Ringing(Protocol):
    """How others end a wait."""

    def ring(self) -> None:
        """End the wait, or the next one. Any thread."""


class Waiter(Ringing, Protocol):
    """What a thread waits with. It may wake for nothing: who waited looks for himself."""

    def wait(self, wait: Wait) -> int: ...


class Driver(Ringing, Protocol):
    """What drives turns beside us. It may be rung before they begin."""

    def start(self, turns: Turns[object]) -> None:
        """Once."""

    def join(self, timeout_s: float) -> None:
        """Wait for their end, unless it is they who ask, or they never began."""


class Ring:
    """Waits for somebody who rings, and for the time; never for a socket."""

    def __init__(self) -> None:
        self._rung = threading.Event()

    def ring(self) -> None:
        self._rung.set()

    def wait(self, wait: Wait) -> int:
        self._rung.wait(wait.timeout_s)
        self._rung.clear()
        return 0


def drive(turns: Turns[T], waiter: Waiter) -> T:
    """On this thread, to the end. Returns what comes of it."""
    with closing(turns):
        try:
            step = next(turns)
            while True:
                if isinstance(step, Aside):
                    step.act()
                    step = turns.send(0)
                else:
                    step = turns.send(waiter.wait(step))
        except StopIteration as end:
            result: T = end.value
            return result
