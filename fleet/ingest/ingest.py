"""Takes records from the broker into the registry and acknowledges what is durable.

One thread decides: it gathers a batch, stores it, and only then publishes how far the records of
each device are stored. What cannot be stored now is kept for a while, and not acknowledged: devices
send it again. Several ingesters of one database share records by MQTT's shared subscriptions; those
of another database get all of them, too.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Literal

import msgspec
from msgspec import Struct

from fleet.ingest.inbox import IngestInbox
from fleet.registry.registry import Registry
from fleet.registry.words import Heard, HeardKind, Service, Written
from wire import topics
from wire.link import Connected, Disconnected, Link, LinkEvent, Post, Received, Unsubscribe
from wire.messages import Ack
from wire.troubles import Unavailable

NAME = "ingest"
GROUP = "vedette-registry"  # of the shared subscriptions; the database's identity follows
MOST = 4000  # messages in a batch
GATHER_S = 0.3
TURN_S = 1.0
AGAIN_S = 1.0  # between two tries to store
REPORT_S = 5.0
RECORDS: tuple[HeardKind, ...] = ("telemetry", "event")
RETAINED: tuple[HeardKind, ...] = ("presence", "state")
KINDS: dict[str, HeardKind] = {kind: kind for kind in (*RECORDS, *RETAINED)}

MakeLink = Callable[[str, Post], Link]  # client id, where events go
Sharing = Literal["shared", "alone"]

log = logging.getLogger("vedette.ingest")


class Counts(Struct):
    """Since the start. stored, duplicates: records. refused: messages that cannot be read or for
    which there is no room; dropped: that came while nothing could be stored, and come again."""

    batches: int = 0
    messages: int = 0
    stored: int = 0
    duplicates: int = 0
    refused: int = 0
    dropped: int = 0
    acks: int = 0


class Ingest:
    """Between the broker and the registry, which is opened and closed by the caller. `step` again
    and again, on one thread."""

    def __init__(
        self,
        fleet: str,
        registry: Registry,
        make_link: MakeLink,
        holder: str,
        sharing: Sharing = "shared",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """holder: of this process, random. sharing: "alone" where the broker knows no shared
        subscriptions. clock: Unix seconds."""
        self.counts = Counts()
        self.inbox = IngestInbox()
        self._fleet = fleet
        self._registry = registry
        self._holder = holder
        self._sharing = sharing
        self._clock = clock
        self._link = make_link(f"ingest-{holder}"[:64], self.inbox.post)
        self._broker: str | None = "connecting"  # what is wrong with the connection
        self._database: str | None = None  # what is wrong with it
        self._is_stuck = False  # and records came that could not be stored
        self._held: list[Heard] = []  # could not be stored yet
        self._again_s = 0.0
        self._reported_s = 0.0
        self._said: str | None = None  # the trouble that was reported
        self._retained: list[Unsubscribe] = []
        self._ack = msgspec.json.Encoder()

    def open(self) -> None:
        """Begin to take records in."""
        group = f"{GROUP}-{self._registry.identity}"
        for kind in RECORDS:
            pattern = topics.from_devices(self._fleet, kind)
            is_shared = self._sharing == "shared"
            self._link.subscribe(topics.shared(group, pattern) if is_shared else pattern)
        self._link.open()

    def keep_retained(self) -> None:
        """From now on, take in presence and state too: one process of all does."""
        if not self._retained:
            patterns = [topics.from_devices(self._fleet, kind) for kind in RETAINED]
            self._retained = [self._link.subscribe(pattern) for pattern in patterns]

    def leave_retained(self) -> None:
        """Another process does."""
        for unsubscribe in self._retained:
            unsubscribe()
        self._retained = []

    def step(self, timeout_s: float = TURN_S) -> None:
        """Wait for something, and store what came."""
        now_s = time.monotonic()
        if self._held and now_s < self._again_s:
            timeout_s = min(timeout_s, self._again_s - now_s)
            events = self.inbox.take(0, 0.0, timeout_s) if self._is_full else self._gather(0.0)
            if not events:
                time.sleep(min(0.05, timeout_s))
        else:
            events = self._gather(timeout_s)
        for event in events:
            self._take(event)
        if self._held and time.monotonic() >= self._again_s:
            self._store()
        self._report()

    def status(self) -> str:
        """One line for systemctl status."""
        trouble, counts = self.trouble, self.counts
        return (
            f"{'connected' if trouble is None else trouble}; {counts.stored} records stored, "
            f"{counts.duplicates} came again, {counts.refused} refused"
        )

    @property
    def trouble(self) -> str | None:
        """What is wrong now, a sentence."""
        return self._database or self._broker

    def counted(self) -> Counts:
        self.counts.dropped = self.inbox.dropped
        return self.counts

    def wake(self) -> None:
        """Let `step` return at once. Any thread."""
        self.inbox.wake()

    def close(self) -> None:
        """End in order. What came and is not stored was not acknowledged."""
        self.inbox.close()
        self._link.close()

    @property
    def _is_full(self) -> bool:
        return len(self._held) >= MOST

    def _gather(self, timeout_s: float) -> list[LinkEvent]:
        return self.inbox.take(MOST - len(self._held), GATHER_S, timeout_s)

    def _take(self, event: LinkEvent) -> None:
        if isinstance(event, Received):
            told = topics.told(event.topic)
            kind = None if told is None else KINDS.get(told.kind)
            if told is None or kind is None or told.fleet != self._fleet:
                return
            self.counts.messages += 1
            at_s = self._clock()
            self._held.append(Heard(told.device, kind, event.payload, at_s, event.retained))
        elif isinstance(event, Connected):
            self._broker = None
            log.info("connected to the broker, %s", event.protocol)
        elif isinstance(event, Disconnected):
            if self._broker != event.why:
                log.warning("no connection to the broker: %s", event.why)
            self._broker = event.why

    def _store(self) -> None:
        try:
            written = self._registry.write(self._held)
        except Unavailable as error:
            self._again_s = time.monotonic() + AGAIN_S
            self.inbox.nobody_takes(is_stuck=True)
            if not self._is_stuck:
                log.error("nothing is stored and nothing acknowledged: %s", error)
            self._is_stuck, self._database = True, str(error)
            return
        self._held.clear()
        self._note_answer()
        self._count(written)
        for floor in written.acks:
            ack = self._ack.encode(Ack(floor.spool, floor.seq))
            self._link.publish(topics.ack(self._fleet, floor.device), ack, qos=0)

    def _note_answer(self) -> None:
        if self._is_stuck:
            log.info("records are stored again")
            self.inbox.nobody_takes(is_stuck=False)
        elif self._database is not None:
            log.info("the database answers again")
        self._is_stuck, self._database = False, None

    def _count(self, written: Written) -> None:
        counts = self.counts
        counts.batches += 1
        counts.stored += written.stored
        counts.duplicates += written.duplicates
        counts.acks += len(written.acks)
        if written.refused and not counts.refused:
            log.warning("a message was refused, and the first of them is: %s", written.why)
        counts.refused += written.refused

    def _report(self) -> None:
        """Say in the database how it goes, for who looks at it from another process."""
        now_s = time.monotonic()
        if now_s - self._reported_s < REPORT_S and self._said == self.trouble:
            return
        self._reported_s, self._said = now_s, self.trouble
        service = Service(NAME, self._holder, self._clock(), self.status(), self.trouble)
        try:
            self._registry.report(service)
        except Unavailable as error:
            if self._database is None:
                log.error("the database: %s", error)
            self._database = str(error)
        else:
            if not self._is_stuck:
                self._note_answer()
