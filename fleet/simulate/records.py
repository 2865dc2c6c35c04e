"""The records of a simulated device that wait for their acknowledgement: as a spool, in memory.

What is new goes at once, what waits since before goes after it, oldest first and at a pace; while
nobody answers, one record asks now and then (docs/wire.md).
"""

from __future__ import annotations

import math
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from wire.messages import Ack, Event, Telemetry, body_of, enveloped

MOST_KEPT = 256
PER_S = 20  # of those that wait since before
RETRY_S, MOST_RETRY_S = 30.0, 600.0
MOST_FLYING = 16  # of those that wait since before
NEVER = -math.inf

Publish = Callable[[Literal["telemetry", "event"], bytes], "int | None"]


@dataclass
class _Kept:
    """sent_s: on this connection."""

    kind: Literal["telemetry", "event"]
    body: bytes
    sent_s: float = NEVER


class Records:
    """For one thread. made, lost: records so far; waiting: now. spool: their numbers are of it."""

    def __init__(self, publish: Publish, by_registry: bool) -> None:
        self.spool = f"{secrets.token_hex(8)}-simulated"
        self.made = 0
        self.lost = 0
        self._publish = publish
        self._by_registry = by_registry
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._flying: dict[int, int] = {}  # the link's number: the record's
        self._is_connected = False
        self._is_behind = False  # some that wait were not sent on this connection
        self._again_s = math.inf  # when what was sent goes again
        self._retry_s = RETRY_S

    @property
    def waiting(self) -> int:
        return len(self._kept)

    def add(self, record: Telemetry | Event, now_s: float) -> None:
        """Keep it, and send it. Its spool, seq and oldest are empty."""
        self.made += 1
        kind: Literal["telemetry", "event"]
        kind = "telemetry" if isinstance(record, Telemetry) else "event"
        kept = self._kept[self.made] = _Kept(kind, body_of(record))
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
            self.lost += 1
        if self._is_connected:
            self._send(self.made, kept, now_s)

    def connected(self) -> None:
        """What waits was not sent on this connection."""
        self._is_connected = True
        self._flying.clear()
        self._rewind()

    def disconnected(self) -> None:
        self._is_connected = False

    def delivered(self, number: int) -> None:
        """The broker took what was published under this number."""
        seq = self._flying.pop(number, None)
        if seq is not None and not self._by_registry and self._kept.pop(seq, None) is not None:
            self._progress()

    def acked(self, ack: Ack, now_s: float) -> None:
        """The registry has everything up to a number."""
        if not self._by_registry or ack.spool != self.spool or ack.seq > self.made:
            return
        is_news = False
        while self._kept and (seq := next(iter(self._kept))) <= ack.seq:
            del self._kept[seq]
            is_news = True
        if is_news:
            self._progress()
        elif self._kept:  # it is there, and may lack the oldest
            self._again_s = min(self._again_s, now_s + RETRY_S)

    def tick(self, now_s: float) -> None:
        """About once a second: what waits since before goes on, and asks again."""
        if not self._is_connected or not self._kept:
            return
        if now_s >= self._again_s:
            self._ask_again(now_s)
        elif self._is_behind:
            self._catch_up(now_s)

    def _catch_up(self, now_s: float) -> None:
        behind = [seq for seq, kept in self._kept.items() if kept.sent_s == NEVER]
        for seq in behind[:PER_S]:
            if len(self._flying) >= MOST_FLYING or not self._send(seq, self._kept[seq], now_s):
                return
        self._is_behind = len(behind) > PER_S

    def _ask_again(self, now_s: float) -> None:
        """Nobody answered: one record asks, and the others follow when there is an answer."""
        self._retry_s = min(self._retry_s * 2, MOST_RETRY_S)
        self._rewind()
        self._is_behind = False
        seq, kept = next(iter(self._kept.items()))
        self._send(seq, kept, now_s)

    def _rewind(self) -> None:
        for kept in self._kept.values():
            kept.sent_s = NEVER
        self._is_behind = bool(self._kept)
        self._again_s = math.inf

    def _progress(self) -> None:
        self._retry_s = RETRY_S
        self._again_s = math.inf
        if self._kept:
            oldest_s = min(kept.sent_s for kept in self._kept.values())
            self._is_behind = self._is_behind or oldest_s == NEVER
            newest_s = max(kept.sent_s for kept in self._kept.values())
            self._again_s = newest_s + self._retry_s if newest_s != NEVER else math.inf

    def _send(self, seq: int, kept: _Kept, now_s: float) -> bool:
        payload = enveloped(kept.body, self.spool, seq, next(iter(self._kept)))
        number = self._publish(kept.kind, payload)
        if number is None:
            self._is_behind = True
            return False
        kept.sent_s = now_s
        self._flying[number] = seq
        self._again_s = min(self._again_s, now_s + self._retry_s)
        return True
