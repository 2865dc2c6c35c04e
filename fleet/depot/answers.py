"""What the depot says to operators: said again while they wait, and to who did not hear it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from wire import topics
from wire.messages import to_json
from wire.offers import OfferAnswer
from wire.troubles import one_line

MOST_REMEMBERED = 256
LONGEST_TEXT = 1000
SIGN_S = 2.0  # between two signs that something is being worked on
BURST, PER_S = 60, 20.0  # answers: no stranger may make us flood the broker


class Answers:
    """publish: topic, payload. clock: seconds, monotonic."""

    def __init__(
        self, publish: Callable[[str, bytes], object], fleet: str, clock: Callable[[], float]
    ) -> None:
        self._publish = publish
        self._fleet = fleet
        self._clock = clock
        self._done: OrderedDict[str, OfferAnswer] = OrderedDict()
        self._working: dict[str, OfferAnswer] = {}
        self._sign_s = 0.0
        self._left = float(BURST)
        self._last_s = clock()

    def working(self, answer: OfferAnswer) -> None:
        """This is how far it is; said now and then until it is over."""
        is_new = answer.id not in self._working
        self._working[answer.id] = answer
        if is_new:
            self._say(answer)

    def done(self, identity: str, text: str) -> None:
        self._finish(OfferAnswer(identity, "done", _short(text)))

    def refused(self, identity: str, text: str) -> None:
        """It is bad, and will be as bad again."""
        self._finish(OfferAnswer(identity, "refused", _short(text)))

    def failed(self, identity: str, text: str) -> None:
        """It did not work this time. Who tries again is heard."""
        self._working.pop(identity, None)
        self._say(OfferAnswer(identity, "refused", _short(text)))

    def again(self, identity: str) -> bool:
        """Say once more what was said about this, if we know it."""
        answer = self._done.get(identity) or self._working.get(identity)
        if answer is not None:
            self._say(answer)
        return answer is not None

    def tick(self) -> float:
        """Give the signs that are due. Returns seconds until the next."""
        if not self._working:
            return SIGN_S * 10
        now_s = self._clock()
        if now_s - self._sign_s >= SIGN_S:
            self._sign_s = now_s
            for answer in self._working.values():
                self._say(answer)
        return max(0.0, self._sign_s + SIGN_S - now_s)

    def _finish(self, answer: OfferAnswer) -> None:
        self._working.pop(answer.id, None)
        self._done[answer.id] = answer
        if len(self._done) > MOST_REMEMBERED:
            self._done.popitem(last=False)
        self._say(answer)

    def _say(self, answer: OfferAnswer) -> None:
        now_s = self._clock()
        self._left = min(BURST, self._left + (now_s - self._last_s) * PER_S)
        self._last_s = now_s
        if self._left >= 1:
            self._left -= 1
            self._publish(topics.offer(self._fleet, answer.id, "answer"), to_json(answer))


def _short(text: str) -> str:
    return one_line(text)[:LONGEST_TEXT]
