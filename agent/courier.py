"""Brings records from the spool to the broker: new ones at once, the backlog after them, paced.

The spool knows what waits. Here is only what was sent on this connection, some hundred numbers
whatever the backlog is: after a new connection, and when nobody answers, all that waits is sent
again. The far end knows records by (spool, seq), so that twice costs only the way.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

from agent.clock import Clock
from agent.keeping import Keeping
from agent.pace import RETRY_S, Pace, Patience
from agent.spool.change import Record
from wire import topics
from wire.config import Config
from wire.link import Connected
from wire.messages import Ack, enveloped

MOST_FLYING = 16  # of the backlog: published, and not taken by the broker yet
MOST_UNACKED = 64  # of the backlog: published, and not stored by the registry yet
MOST_LIVE = 64  # new records on their way; of more than this, the older ones are backlog
BATCH = 16  # records in memory at a time
PACKET_BYTES = 16  # what MQTT adds to topic and payload, at most

log = logging.getLogger("vedette.agent")

Publish = Callable[[str, bytes], "int | None"]  # Link.publish
Key = tuple[str, int]  # spool, seq


class Courier:
    """Everything between the spool and the link. One thread; never called from within `publish`."""

    def __init__(
        self,
        keeping: Keeping,
        publish: Publish,
        config: Config,
        clock: Clock,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """chance: a number in [0, 1), so that a fleet does not repeat itself at one moment."""
        self.acknowledged = 0  # records since we began, by whoever it is that counts
        self._keeping = keeping
        self._publish = publish
        self._clock = clock
        self._topics = {
            "telemetry": topics.telemetry(config.fleet, config.device),
            "event": topics.event(config.fleet, config.device),
        }
        self._by_registry = config.telemetry.acknowledged_by == "registry"
        self._is_connected = False
        self._most_bytes: int | None = None
        self._flying: dict[int, Key] = {}  # by the link's number: not taken by the broker yet
        self._late: set[int] = set()  # of these, the backlog
        self._unacked: set[Key] = set()  # of the backlog: not stored by the registry yet
        self._live: dict[str, _Stretch] = {}  # by spool: sent as new records on this connection
        self._current = ""  # the spool of the newest records
        self._has_fresh = False
        self._place: Key | None = None  # how far the backlog was sent; None: to its end
        self._window = MOST_UNACKED
        self._pace = Pace()
        self._patience = Patience(chance)
        self._moved_s = self._walked_s = clock.uptime_s()

    def connected(self, event: Connected) -> None:
        """All that waits is backlog now."""
        self._is_connected = True
        self._most_bytes = event.most_bytes
        self._current = self._keeping.ids()[-1]
        after_newest = self._keeping.newest(self._current) + 1
        self._live = {self._current: _Stretch(after_newest, after_newest)}
        self._has_fresh = False
        self._forget_sent()
        self._walk_again()

    def disconnected(self) -> None:
        """What the broker has not taken is lost, and goes again on the next connection."""
        self._is_connected = False

    def delivered(self, number: int) -> None:
        """The broker took what was published under this number."""
        is_first = next(iter(self._flying), None) == number  # else one before it was refused
        key = self._flying.pop(number, None)
        self._late.discard(number)
        if key is None:
            return
        if is_first:
            self._moved_s = self._clock.uptime_s()
        if not self._by_registry:
            self.acknowledged += self._keeping.forget(*key)
            if is_first:
                self._progress(1)

    def acked(self, ack: Ack) -> None:
        """The registry, or somebody who says so, has stored everything up to a number."""
        if not self._by_registry or ack.spool not in self._keeping.ids():
            return
        if ack.seq > self._keeping.newest(ack.spool):
            log.debug("an ack for record %d, which was never made, is ignored", ack.seq)
            return
        self._unacked = {(s, n) for s, n in self._unacked if s != ack.spool or n > ack.seq}
        is_first = ack.spool == self._first_waiting()
        count = self._keeping.acknowledge(ack.spool, ack.seq)
        self.acknowledged += count
        if count == 0 or not is_first:
            self._patience.shorten(self._clock.uptime_s())  # it is there: it may lack the oldest
            return
        self._progress(count)
        oldest = self._keeping.oldest(ack.spool)
        if oldest > ack.seq + 1:  # the registry waits for one that was dropped: tell it
            self._send_again(ack.spool, oldest)

    def fresh(self) -> None:
        """New records were appended: they go at once, if we are connected."""
        if not self._is_connected:
            return
        newest_id = self._keeping.ids()[-1]
        if newest_id != self._current:  # a new file, or a new id in it: there may be old ones too
            self._current = newest_id
            self._live.setdefault(newest_id, _Stretch(1, 1))
            self._walk_again()
        stretch = self._live[newest_id]
        first = self._keeping.newest(newest_id) - MOST_LIVE + 1
        if stretch.next < first:
            stretch.first = stretch.next = first
            self._walk_again()
        self._has_fresh = True
        self._send_live()

    def tick(self) -> None:
        """Send what may be sent now."""
        if not self._is_connected:
            return
        if self._patience.is_over(self._clock.uptime_s()):
            self._retry()
        if self._send_live():
            self._send_backlog()

    def _send_live(self) -> bool:
        """Whether all new records went, and the backlog may follow."""
        stretch = self._live[self._current]
        while self._has_fresh:
            room = MOST_LIVE - len(self._flying) + len(self._late)
            if room <= 0:
                return False
            records = self._read(self._current, stretch.next - 1, room)
            for record in records:
                if self._hand_over(record) is None:
                    return False
                stretch.next = record.seq + 1
            self._has_fresh = bool(records)
        return True

    def _send_backlog(self) -> None:
        late_s = self._clock.uptime_s() - self._walked_s
        if self._place is None and late_s >= RETRY_S and self._keeping.waiting:
            self._walk_again()  # a disk that failed and came back gives us older ones to send
        while self._place is not None and (room := self._room()) > 0:
            spool, seq = self._place
            records = self._read(spool, seq, room)
            if not records:
                self._place = self._next_place(spool)
            elif not self._send_late(records):
                return

    def _send_late(self, records: list[Record]) -> bool:
        """Send records of the backlog, those left out that were sent. False: no room now."""
        spool = records[0].spool
        sent = self._unacked.union(self._flying.values())
        stretch = self._live.get(spool)
        for record in records:
            if stretch is not None and stretch.first <= record.seq < stretch.next:
                self._place = (spool, stretch.next - 1)
                return True
            if (spool, record.seq) not in sent:
                number = self._hand_over(record)
                if number is None:
                    return False
                if number:
                    self._note_late(number, (spool, record.seq))
            self._place = (spool, record.seq)
        return True

    def _note_late(self, number: int, key: Key) -> None:
        self._late.add(number)
        self._pace.spend(self._clock.uptime_s())
        if self._by_registry:
            self._unacked.add(key)

    def _hand_over(self, record: Record) -> int | None:
        """Publish a record. The link's number for it, 0 if it is given up, None: not now."""
        topic = self._topics[record.kind]
        oldest = self._keeping.oldest(record.spool)
        payload = enveloped(record.body, record.spool, record.seq, oldest)
        size = len(topic) + len(payload) + PACKET_BYTES
        if self._most_bytes is not None and size > self._most_bytes:
            log.warning(
                "record %d is lost: it has %d bytes, the broker takes packets of %d at most",
                record.seq,
                size,
                self._most_bytes,
            )
            self._keeping.discard(record.spool, record.seq)
            return 0
        number = self._publish(topic, payload)
        if number is not None:
            self._flying[number] = (record.spool, record.seq)
            self._patience.begin(self._clock.uptime_s())
        return number

    def _read(self, spool: str, seq: int, most: int) -> list[Record]:
        """The next records of an id; none only if none is left."""
        while True:
            lost = self._keeping.lost
            records = self._keeping.after(spool, seq, min(most, BATCH))
            if records or self._keeping.lost == lost:  # else what was read had rotted
                return records

    def _room(self) -> int:
        """How many records of the backlog may go now."""
        unanswered = len(self._unacked) if self._by_registry else len(self._late)
        return min(
            self._pace.left(self._clock.uptime_s()),
            MOST_FLYING - len(self._late),
            self._window - unanswered,
        )

    def _next_place(self, spool: str) -> Key | None:
        """Where the backlog goes on after this id; from the first where it is known no more."""
        ids = self._keeping.ids()
        index = ids.index(spool) + 1 if spool in ids else 0
        return (ids[index], 0) if index < len(ids) else None

    def _first_waiting(self) -> str | None:
        """The first id under which a record waits."""
        keeping = self._keeping
        return next((s for s in keeping.ids() if keeping.oldest(s) <= keeping.newest(s)), None)

    def _walk_again(self) -> None:
        self._walked_s = self._clock.uptime_s()
        self._place = (self._keeping.ids()[0], 0)

    def _send_again(self, spool: str, seq: int) -> None:
        """Let the oldest record of an id go once more: it says that those before never come."""
        self._unacked.discard((spool, seq))
        stretch = self._live.get(spool)
        if stretch is not None and stretch.first <= seq < stretch.next:
            stretch.first = seq + 1
        self._walk_again()

    def _forget_sent(self) -> None:
        self._flying.clear()
        self._late.clear()
        self._unacked.clear()
        self._patience.rest()

    def _progress(self, count: int) -> None:
        self._window = min(self._window + count, MOST_UNACKED)
        self._patience.renew()
        if self._keeping.waiting:
            self._patience.begin(self._clock.uptime_s())

    def _retry(self) -> None:
        """Nobody answered for a while: send again, one record until there is an answer."""
        now_s = self._clock.uptime_s()
        self._patience.rest()
        if self._flying and now_s - self._moved_s < RETRY_S:
            self._patience.begin(now_s)  # the way is slow, not broken: more would not help
        elif self._keeping.waiting:
            self._patience.double()
            self._window = 1
            self._forget_sent()
            stretch = self._live[self._current]
            stretch.first = stretch.next  # what was sent is backlog now
            self._live = {self._current: stretch}
            self._walk_again()


@dataclass
class _Stretch:
    """Numbers from first to next - 1 were sent as new records; next will be, when it is there."""

    first: int
    next: int
