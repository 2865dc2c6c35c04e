"""Which MQTT version to speak, and what connections that end again and again mean."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from wire.backoff import Backoff
from wire.link import Disconnected
from wire.mqtt import words
from wire.mqtt.terms import Terms
from wire.turns import Turns, Wait

MQTT_5, MQTT_3_1_1 = VERSIONS = (5, 4)
NAMES = {MQTT_5: "MQTT 5", MQTT_3_1_1: "MQTT 3.1.1"}
ANSWER_S = 10.0  # for CONNACK and every SUBACK
PROBE_S = 5.0  # for CONNACK while it is not known which version the broker speaks
WINDOW = 20  # messages on their way at a time, unless the broker takes less
SHORT_LIFE_S = 60.0
SUSPICIOUS = 3  # short lives in a row

log = logging.getLogger("vedette.link")


@dataclass(frozen=True)
class Ended:
    """How a connection ended. lasted_s: since the broker accepted it, None if it never did.

    mute: without a word before CONNACK. silent: open, but CONNACK never came. broken: hung up on
    without a word later. refused: until somebody mends something. window: the broker takes only so
    many messages at a time, connect again at once.
    """

    why: str
    lasted_s: float | None = None
    taken_over: bool = False
    wrong_version: bool = False
    mute: bool = False
    silent: bool = False
    broken: bool = False
    refused: bool = False
    window: int | None = None


@dataclass(frozen=True)
class Offer:
    """How one connection is tried. window: messages on their way at a time. answer_s: patience
    with the broker's CONNACK."""

    version: int
    window: int
    answer_s: float


Live = Callable[[Offer], Turns[Ended]]


class Tries:
    """MQTT 5 first, then 3.1.1; what the broker accepted is remembered."""

    def __init__(self) -> None:
        self._versions: tuple[int, ...] = VERSIONS
        self._window = WINDOW
        self._short_lives = 0

    def attempt(self, live: Live) -> Turns[Ended]:
        """Connect, with another version if the first is not understood. Returns how it ended."""
        ended = Ended("")
        for version in self._versions:
            # some that know only 3.1.1 take our version 5 for the beginning of something longer
            answer_s = PROBE_S if version != self._versions[-1] else ANSWER_S
            ended = yield from live(Offer(version, self._window, answer_s))
            if ended.window is not None:
                self._window = ended.window
                ended = yield from live(Offer(version, self._window, answer_s))
            if ended.lasted_s is not None:
                self._versions = (version,)
            if not (ended.wrong_version or ended.mute or ended.silent):
                return self._with_suspicion(ended)
        if not ended.silent:  # another broker, perhaps
            self._versions = VERSIONS
        self._short_lives = 0
        return ended

    def _with_suspicion(self, ended: Ended) -> Ended:
        """MQTT 3.1.1 has no word for a connection that was taken over, the broker just closes;
        some brokers (mosquitto 2.0.11) do not say the word of MQTT 5 either."""
        lasted_s = ended.lasted_s
        short = ended.broken and lasted_s is not None and lasted_s < SHORT_LIFE_S
        self._short_lives = self._short_lives + 1 if short else 0
        if self._short_lives < SUSPICIOUS:
            return ended
        why = f"{ended.why}, {self._short_lives} times in a row: perhaps {words.TAKEN_OVER}"
        return replace(ended, why=why, taken_over=True)


def again_and_again(tries: Tries, live: Live, backoff: Backoff, terms: Terms) -> Turns[None]:
    """Connect anew whenever a connection ended, until somebody stops us."""
    while not terms.stopping.is_set():
        terms.pulse.beat()
        try:
            ended = yield from tries.attempt(live)
        except Exception:  # a bug, which must not silence the device: said with its traceback
            log.exception("the link to the broker failed")
            ended = Ended("a fault in this program: see its log")
        if not terms.stopping.is_set():
            again_s = backoff.next_s(ended.lasted_s or 0.0)
            terms.post(Disconnected(ended.why, again_s, ended.taken_over, ended.refused))
            until_s = time.monotonic() + again_s
            while not terms.stopping.is_set() and time.monotonic() < until_s:
                yield Wait(max(0.0, until_s - time.monotonic()))
