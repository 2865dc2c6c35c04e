"""One MQTT connection from CONNECT to its end: what is sent when, and what its end means.

It knows paho only as `Wire`. What the broker said is noted while paho turns, where paho holds
locks of its own; what follows from it happens in `_settle`, where it holds none.
"""

from __future__ import annotations

import logging
import math
import select
import time
from dataclasses import replace
from typing import Protocol

from wire.link import Connected, Delivered, LinkEvent, Received
from wire.mqtt import words
from wire.mqtt.bell import GONE
from wire.mqtt.limits import Limits
from wire.mqtt.socket import Wiring
from wire.mqtt.terms import TURN_S, Terms
from wire.mqtt.tries import Ended
from wire.mqtt.waiting import Sent, Waiting, packet_bytes
from wire.turns import Turns, Wait

FLUSH_S = 2.0  # for what was published before the goodbye
GOODBYE_S = 0.4  # for DISCONNECT to leave
LEAVING_TURN_S = 0.05
MOST_WAITING = 4 * 1024 * 1024  # bytes
MOST_EARLY = 64 * 1024 * 1024  # bytes that may come before all subscriptions are answered
FILTERS = 8  # in one SUBSCRIBE: some brokers take no more
FAILURE = 0x80  # reason codes from here on

log = logging.getLogger("vedette.link")


class Wire(Protocol):
    """What moves the packets. Nothing here blocks; send and ask on any thread."""

    def fileno(self) -> int | None:
        """Of the socket; None when it is closed."""

    def pending(self) -> bool:
        """Whether bytes were received that a poll of the socket does not show."""

    def wants_to_write(self) -> bool: ...

    def turn(self, readable: bool, writable: bool) -> None:
        """Read, write, and keep alive."""

    def send(
        self, number: int, topic: str, payload: bytes, retain: bool
    ) -> tuple[int, Sent] | None:
        """Publish: QoS 0 if the number is 0, else 1. The packet's id, or None if it cannot be."""

    def ask(self, patterns: list[str]) -> int | None:
        """Subscribe. The packet's id, or None if it cannot be."""

    def forget(self, pattern: str) -> None:
        """Unsubscribe."""

    def leave(self) -> None:
        """Say DISCONNECT."""


class Life:
    """One connection. publish and subscribe on any thread; the rest on the link's."""

    def __init__(
        self, wire: Wire, wiring: Wiring, protocol: str, session: str, terms: Terms
    ) -> None:
        self.keepalive_s = terms.keepalive_s  # as the broker has it
        self._wire = wire
        self._wiring = wiring
        self._protocol = protocol
        self._session = session
        self._terms = terms
        self._ended: Ended | None = None
        self._accepted_s: float | None = None
        self._most_bytes: int | None = None
        self._is_ready = False
        self._asked: set[int] | None = None  # SUBSCRIBEs without SUBACK; None: too early
        self._waiting = Waiting(MOST_WAITING)
        self._refused_once = False
        self._received: list[LinkEvent] = []
        self._early = 0  # bytes
        self._answers: list[tuple[int, list[int]]] = []
        self._taken: list[tuple[int, int]] = []

    # what the broker says, noted while paho turns

    def accepted(self, limits: Limits, window: int) -> None:
        """CONNACK. window: messages that we would send at a time."""
        self._accepted_s = time.monotonic()
        self._most_bytes = limits.most_bytes
        if limits.window is not None and limits.window < window:
            self.ended(Ended("the broker takes less at a time", window=limits.window))
        if limits.retains == 0:
            self.ended(Ended(words.broker_said(words.NO_RETAIN)))
        if limits.qos == 0:
            self.ended(Ended(words.broker_said(words.NO_QOS)))

    def ended(self, ended: Ended) -> None:
        if self._ended is None:
            self._ended = ended

    def answered(self, mid: int, reasons: list[int]) -> None:
        """SUBACK."""
        self._answers.append((mid, reasons))

    def received(self, message: Received) -> None:
        self._early += 0 if self._is_ready else len(message.payload)
        if self._early > MOST_EARLY:
            self.ended(Ended(words.FLOOD))
            self._received.clear()
        else:
            self._received.append(message)

    def taken(self, mid: int, reason: int) -> None:
        """PUBACK, or for QoS 0 written."""
        self._taken.append((mid, reason))

    # any thread, under the lock

    def subscribe(self, pattern: str) -> None:
        if self._asked is not None:
            self._ask([pattern])

    def unsubscribe(self, pattern: str) -> None:
        if self._asked is not None:
            self._wire.forget(pattern)
            self._terms.bell.ring()

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> int | None:
        size = packet_bytes(topic, payload)
        too_large = self._most_bytes is not None and size > self._most_bytes
        beside = self._wiring.waiting_bytes
        if not self._is_ready or too_large or not self._waiting.has_room(size, beside):
            return None
        if not qos and self._wiring.publish(topic, payload, retain):
            if self._wiring.wants_to_write:
                self._terms.bell.ring()
            return 0
        number = next(self._terms.numbers) if qos else 0
        told = self._wire.send(number, topic, payload, retain)
        if told is None:
            return None
        self._waiting.add(*told)
        self._terms.bell.ring()
        return number

    # whoever drives it

    def run(self, answer_s: float) -> Turns[Ended]:
        """Until the connection ends, or until we left. answer_s: patience with CONNACK."""
        answer_by = time.monotonic() + answer_s
        while not self._terms.stopping.is_set() and (yield from self._turn(self._turn_s())):
            now = time.monotonic()
            if self._ended is not None:
                yield from self._goodbye()
            elif not self._is_ready and now > answer_by:
                waited_s = now - answer_by + answer_s
                why = words.silent(self._terms.address, waited_s)
                self._ended = Ended(why, silent=self._accepted_s is None)
            elif now - self._wiring.heard_s > patience_s(self.keepalive_s):
                self._ended = Ended(words.deaf(self._terms.address, self.keepalive_s))
            if self._ended is not None:
                break
        if self._terms.stopping.is_set():
            yield from self._flush()
            yield from self._goodbye()
        with self._terms.lock:
            self._is_ready = False
        since = self._accepted_s
        lasted_s = None if since is None else time.monotonic() - since
        return replace(self._ended or self._how_it_broke(), lasted_s=lasted_s)

    def _turn_s(self) -> float:
        return self._terms.turn_s if self._is_ready else TURN_S / 10

    def _turn(self, timeout_s: float) -> Turns[bool]:
        """Wait for the socket, or somebody who rings, and move bytes. False: the socket is gone."""
        self._terms.pulse.beat()
        fileno = self._wire.fileno()
        if fileno is None:
            return False
        if self._wire.pending():
            timeout_s = 0.0
        events = select.POLLIN | (select.POLLOUT if self._wire.wants_to_write() else 0)
        came = yield Wait(timeout_s, fileno, events)
        is_readable = bool(came & (select.POLLIN | GONE))
        self._wire.turn(is_readable or self._wire.pending(), bool(came & select.POLLOUT))
        self._settle()
        return self._wire.fileno() is not None

    def _settle(self) -> None:
        with self._terms.lock:
            if self._accepted_s is not None and self._asked is None and self._ended is None:
                self._asked = set()
                self._ask(self._terms.patterns)
            for mid, reasons in self._answers:
                self._heed(mid, reasons)
            events = self._delivered()
            is_new = not self._is_ready and self._asked == set() and self._ended is None
            if is_new:
                self._is_ready = True
                events.insert(0, Connected(self._protocol, self._session, self._most_bytes))
            if self._is_ready:
                events += self._received
                self._received.clear()
            self._answers.clear()
        for event in events:
            self._terms.post(event)

    def _ask(self, patterns: list[str]) -> None:
        for start in range(0, len(patterns), FILTERS):
            mid = self._wire.ask(patterns[start : start + FILTERS])
            if mid is not None and self._asked is not None:
                self._asked.add(mid)
        self._terms.bell.ring()

    def _heed(self, mid: int, reasons: list[int]) -> None:
        if self._asked is not None:
            self._asked.discard(mid)
        refused = [reason for reason in reasons if reason >= FAILURE]
        if refused:
            self.ended(Ended(words.not_subscribed(refused[0])))

    def _delivered(self) -> list[LinkEvent]:
        events: list[LinkEvent] = []
        for mid, reason in self._taken:
            sent = self._waiting.take(mid)
            if sent is None:
                continue
            if reason >= FAILURE:
                self._complain(sent, reason)
            elif sent.number:
                events.append(Delivered(sent.number))
        self._taken.clear()
        return events

    def _complain(self, sent: Sent, reason: int) -> None:
        if not self._refused_once:
            log.warning("%s", words.not_published(sent.topic, reason))
        self._refused_once = True

    def _flush(self) -> Turns[None]:
        """Let what was published arrive."""
        flush_by = time.monotonic() + FLUSH_S
        while self._is_waiting and self._ended is None and time.monotonic() < flush_by:
            if not (yield from self._turn(LEAVING_TURN_S)):
                return

    @property
    def _is_waiting(self) -> bool:
        return len(self._waiting) > 0 or self._wiring.wants_to_write

    def _goodbye(self) -> Turns[None]:
        """Say DISCONNECT, so that no will goes out."""
        if self._wire.fileno() is None:
            return
        with self._terms.lock:
            self._is_ready = False
            self._wire.leave()
        leave_by = time.monotonic() + GOODBYE_S
        while (yield from self._turn(LEAVING_TURN_S)) and time.monotonic() < leave_by:
            pass

    def _how_it_broke(self) -> Ended:
        address = self._terms.address
        if self._accepted_s is not None:
            largest = max(self._waiting.largest(), self._wiring.largest())
            hung_up = not isinstance(self._wiring.fault, ConnectionResetError)  # networks reset
            return Ended(words.broken(address, largest), broken=hung_up)
        if address.encrypted and self._wiring.fault is not None:
            return Ended(words.no_handshake(address, str(self._wiring.fault)))
        return Ended(words.mute(address), mute=True)


def patience_s(keepalive_s: float) -> float:
    """How long a broker may be silent that is asked for a sign of life every keepalive; for ever,
    if it said that it wants none (0)."""
    return keepalive_s + max(3.0, keepalive_s / 2) if keepalive_s > 0 else math.inf
