"""A server of blocks beside another: it answers what the other one leaves unanswered.

It hears what is asked and what is published. While blocks of the other come, or what was asked is
young, it is silent; when both have ended it answers, at once and everything, until it hears the
other again. Nobody has to tell it who lives.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from wire.block.blocks import opened
from wire.troubles import Refused

ECHO_S = 10.0  # in which what we publish comes back to us
MOST_ECHOES = 4096
MOST_NEWS = 16384


@dataclass(frozen=True)
class Published:
    """A block that the other one published. size: of its file; None: there is none."""

    key: str
    number: int
    size: int | None


class StandingBy:
    """`hear` on any thread, all else on the server's. leads: nobody else answers now."""

    def __init__(self, patience_s: float, clock: Callable[[], float]) -> None:
        self.leads = False
        self.took_over = 0
        self._patience_s = patience_s
        self._clock = clock
        self._heard_s = clock()
        self._came: deque[Published] = deque(maxlen=MOST_NEWS)
        self._own: OrderedDict[tuple[str, int], float] = OrderedDict()

    def hear(self, key: str, number: int, payload: bytes) -> None:
        """A block was published: by the other one, or by us."""
        try:
            size, _ = opened(payload, number)
        except Refused:
            return
        self._came.append(Published(key, number, size))

    def news(self) -> Iterator[Published]:
        """What the other one published since."""
        while self._came:
            one = self._came.popleft()
            own_s = self._own.pop((one.key, one.number), None)
            if own_s is not None and self._clock() - own_s < ECHO_S:
                continue
            self.leads = False
            self._heard_s = self._clock()
            yield one

    def due_s(self, due_s: float, since_s: float) -> float:
        """From when on a block is ours to publish. due_s: from when on it is the other one's.
        since_s: when it was asked for."""
        return due_s if self.leads else max(due_s, since_s, self._heard_s) + self._patience_s

    def published(self, key: str, number: int) -> None:
        """We did so: nobody else had."""
        if not self.leads:
            self.leads = True
            self.took_over += 1
        self._own.pop((key, number), None)
        self._own[key, number] = self._clock()
        if len(self._own) > MOST_ECHOES:
            self._own.popitem(last=False)
