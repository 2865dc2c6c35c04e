"""Which blocks of one file to ask for, and when: window, timers, speed. No thread, no waiting."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from wire.block.blocks import BLOCK, MOST_RANGES
from wire.block.bucket import Bucket
from wire.block.window import Window

JITTER = 0.25  # of a timer
IDLE_S = 60.0
STREAM_S = 0.4  # without a block, and nobody fetches it any more
MOST_LISTENING_S = 30.0  # who leads may be slow
MANY = 16  # blocks in one request, where the window allows it

Send = Callable[[tuple[tuple[int, int], ...]], bool]  # ranges of blocks; False: not sent


class Lacking(Protocol):
    """A file that is not whole."""

    def next_missing(self, first: int = 0) -> int | None:
        """The first block from `first` on that is not there."""


@dataclass(eq=False)
class _Request:
    """is_new: nothing in it was asked for before. heard_s: when something of it, or of a request
    before it, came last: answers come in order, more or less."""

    sent_s: float
    heard_s: float
    patience_s: float
    is_new: bool
    numbers: set[int] = field(default_factory=set)
    was_answered: bool = False


class Asking:
    """Asks for what lacks until nothing does. A duplicate never makes it ask."""

    def __init__(
        self,
        lacking: Lacking,
        window: Window,
        bucket: Bucket,
        clock: Callable[[], float],
        chance: Callable[[], float] = random.random,
        room: Callable[[], float] = lambda: math.inf,
    ) -> None:
        """bucket: of bytes that may be asked for. room: bytes that may still come, and more than
        that by less than a block."""
        self._lacking = lacking
        self._window = window
        self._bucket = bucket
        self._clock = clock
        self._chance = chance
        self._room = room
        self._again: set[int] = set()
        self._requests: list[_Request] = []  # by age
        self._by_number: dict[int, _Request] = {}
        self._stream_s = -math.inf  # when a block came that only others asked for
        self._listened_s = 0.0
        self._arrived_s = -math.inf

    def arrived(self, number: int) -> None:
        """This block came, and was taken."""
        self._again.discard(number)
        request = self._by_number.pop(number, None)
        self._arrived_s = now = self._clock()
        if request is None:  # somebody else asked for it
            self._listened_s += min(STREAM_S, now - self._stream_s)
            self._stream_s = now
            return
        if not request.was_answered and request.is_new:
            self._window.measured(request.sent_s, now)
        request.was_answered = True
        request.numbers.discard(number)
        for later in self._requests[self._requests.index(request) :]:
            later.heard_s = now
        if not request.numbers:
            self._requests.remove(request)
        self._window.arrived()

    @property
    def outstanding(self) -> int:
        """Blocks that were asked for and may still come."""
        return len(self._by_number)

    def begin_again(self) -> None:
        """What was asked for will not come: the connection went, or came."""
        for request in list(self._requests):
            self._give_up(request)
        self._window.begin_again()

    def tick(self, send: Send) -> float:
        """Ask for what is due. Returns seconds until it should be called again."""
        now = self._clock()
        for request in list(self._requests):
            if now >= _due_s(request):
                self._give_up(request)
                if self._arrived_s < request.sent_s:
                    self._window.silence(request.sent_s, now)
                else:
                    self._window.lost(request.sent_s, now, request.was_answered)
        most = self._most()
        room = most - len(self._by_number)
        enough = max(1, min(MANY, most // 2))  # for a request
        listen_s = self._listen_s(now)
        numbers = self._choose(room) if room >= enough and not listen_s else []
        tokens = self._bucket.level / BLOCK
        afforded = numbers if math.isinf(tokens) else numbers[: int(tokens)]
        if afforded and send(ranges_of(afforded)):
            self._note(afforded, now)
        return max(0.0, min(self._timers_s(now, numbers, listen_s), default=IDLE_S))

    def _most(self) -> int:
        """Blocks that may be on their way."""
        room = self._room()
        size = self._window.size
        return size if room >= size * BLOCK else max(0, math.ceil(room / BLOCK))

    def _timers_s(self, now: float, numbers: list[int], listen_s: float) -> Iterator[float]:
        """numbers: that lack, though some may have been asked for just now."""
        for request in self._requests:
            yield _due_s(request) - now
        if listen_s > 0:
            yield listen_s
        if any(number not in self._by_number for number in numbers):
            yield self._bucket.wait_s(BLOCK)

    def _choose(self, most: int) -> list[int]:
        """What to ask for: first what was lost, then what is next."""
        chosen = sorted(self._again)[:most]
        number = self._lacking.next_missing()
        while number is not None and len(chosen) < most:
            if number not in self._by_number and number not in self._again:
                chosen.append(number)
            number = self._lacking.next_missing(number + 1)
        return _in_ranges(sorted(chosen))

    def _listen_s(self, now: float) -> float:
        """How long to ask for nothing, because what others ask for comes to us too: what they
        had before we came we fetch at the end, together with everybody who came late."""
        quiet_s = self._stream_s + STREAM_S - now
        return quiet_s if quiet_s > 0 and self._listened_s < MOST_LISTENING_S else 0.0

    def _note(self, numbers: list[int], now: float) -> None:
        self._bucket.spend(len(numbers) * BLOCK)
        patience_s = self._window.rto_s * (1 + JITTER * self._chance())
        is_new = self._again.isdisjoint(numbers)
        request = _Request(now, now, patience_s, is_new, set(numbers))
        self._requests.append(request)
        for number in numbers:
            self._by_number[number] = request
        self._again.difference_update(numbers)

    def _give_up(self, request: _Request) -> None:
        self._requests.remove(request)
        for number in request.numbers:
            self._by_number.pop(number, None)
        self._again.update(request.numbers)


def ranges_of(numbers: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Ranges, each the first and the first behind the last, of ascending numbers."""
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number:
            ranges[-1] = (ranges[-1][0], number + 1)
        else:
            ranges.append((number, number + 1))
    return tuple(ranges)


def _in_ranges(numbers: list[int]) -> list[int]:
    """As many of the ascending numbers as fit the ranges of one request."""
    left = MOST_RANGES
    for place, number in enumerate(numbers):
        left -= place == 0 or numbers[place - 1] + 1 != number
        if left < 0:
            return numbers[:place]
    return numbers


def _due_s(request: _Request) -> float:
    return max(request.sent_s, request.heard_s) + request.patience_s
