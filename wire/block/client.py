"""Gets files over MQTT, block by block, from whoever serves them. See wire/block/blocks.py."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from wire import topics
from wire.block.asking import Asking
from wire.block.blocks import BLOCK, BlockRequest, NoSuchFile
from wire.block.bucket import Bucket
from wire.block.reading import Filling, PartTaking, Reading, Taking
from wire.block.window import Window
from wire.link import Connected, Disconnected, Link, LinkEvent, Received
from wire.release import TARGETS, file_key
from wire.troubles import Refused, Unavailable
from wire.turns import Ring, Ringing, Turns, Wait, drive

MOST_WAITING = 256  # payloads that came and were not looked at; more are lost, and asked for again
LONGEST_PAYLOAD = BLOCK + 64
POLL_S = 0.25  # between looks at is_over, and at a link that takes nothing
MANY = 16  # blocks that are taken together, where so many are on their way
MOST_AT_ONCE = 32  # blocks looked at before more is asked for
GATHER_S = 0.002  # at most
REST_S, QUIET_S = 2.0, 1.0  # for what was asked for before a fetch was ended: in all, of silence
KIB = 1024


@dataclass(frozen=True)
class FetchTerms:
    """kib_per_s: what is asked for in a second, None: no limit. window, most_window: blocks on
    their way, at first and at most. read_s: patience with a small file, with or without a
    connection. patience_s: without a single good block of a large one, while connected."""

    kib_per_s: int | None = None
    window: int = 32
    most_window: int = 128
    read_s: float = 30.0
    patience_s: float = 120.0


class _Ended(Unavailable):
    """Somebody wants the fetch to end. What is on its way may still be taken."""


class BlockClient:
    """One file at a time, for one thread. `post` and `close` on any thread.

    received_bytes: of block payloads that came so far, wanted or not.
    """

    def __init__(
        self,
        link: Link,
        fleet: str,
        request_topic: str,
        terms: FetchTerms = FetchTerms(),
        clock: Callable[[], float] = time.monotonic,
        bell: Ringing | None = None,
    ) -> None:
        """request_topic: where we say what we lack; a device may name any of its shards. bell: of
        who drives `reading` and `fetching`; None: `read` and `fetch` are called."""
        self.received_bytes = 0
        self._link = link
        self._fleet = fleet
        self._request_topic = request_topic
        self._terms = terms
        self._clock = clock
        rate = math.inf if terms.kib_per_s is None else float(terms.kib_per_s * KIB)
        # what comes at once and is not written yet is lost by kill -9: with a cap, little does
        self._bucket = Bucket(rate, max(BLOCK, rate / 32), clock)
        self._gather_s = GATHER_S if terms.kib_per_s is None else 0.0
        self._own = Ring()
        self._bell: Ringing = bell or self._own
        self._lock = threading.Lock()  # over all below
        self._prefix: str | None = None  # of the topics of the file that is fetched now
        self._came: deque[tuple[int, bytes]] = deque()
        self._turns = 0  # how often the connection came or went
        self._is_down = False
        self._is_closed = False

    def post(self, event: LinkEvent) -> bool:
        """Take what the link says. True: it was a block, and is nobody else's."""
        if isinstance(event, Received):
            return self._hear(event)
        if isinstance(event, Connected | Disconnected):
            with self._lock:
                self._is_down = isinstance(event, Disconnected)
                self._turns += 1
            self._bell.ring()
        return False

    def read(self, path: str, most_bytes: int) -> bytes:
        """A whole small file of the layout in wire/release.py. Asked again, it is fetched again.

        Raises NoSuchFile, Unavailable (no answer in time), Refused (only what is too large, or
        has not the digest that stands in the name).
        """
        return drive(self.reading(path, most_bytes), self._own)

    def fetch(
        self,
        key: str,
        part: Filling,
        progress: Callable[[int], None],
        is_over: Callable[[], bool],
        room: Callable[[], float] = lambda: math.inf,
    ) -> None:
        """Until the part is whole and right. progress: is told how many bytes are there. room: how
        many more may come now; less than a block more than that is asked for.

        Over the loss of the link and of the other side. Raises Unavailable when is_over says so
        (asked at least twice a second; what was asked for is waited for, two seconds at most),
        after no good block for long, or when the disk does not take more; Refused if the list of
        block digests is of another file. What came is kept.
        """
        drive(self.fetching(key, part, progress, is_over, room), self._own)

    def reading(self, path: str, most_bytes: int) -> Turns[bytes]:
        """As `read`."""
        key = file_key(path)
        reading = Reading(most_bytes, key if path.startswith(TARGETS) else None)
        until = self._clock() + self._terms.read_s

        def check(_idle_s: float, _news: bool) -> None:
            if self._clock() < until:
                return
            if reading.why_not is not None:
                raise Refused(f"{path} cannot be used: {reading.why_not}")
            if reading.is_absent:
                raise NoSuchFile(f"there is no {path}")
            raise Unavailable(self._no_answer(path, self._terms.read_s))

        yield from self._get(key, reading, check)
        if reading.content is None:
            raise NoSuchFile(f"there is no {path}")
        return reading.content

    def fetching(
        self,
        key: str,
        part: Filling,
        progress: Callable[[int], None],
        is_over: Callable[[], bool],
        room: Callable[[], float] = lambda: math.inf,
    ) -> Turns[None]:
        """As `fetch`."""
        taking = PartTaking(part)

        def check(idle_s: float, news: bool) -> None:
            if news:
                progress(part.have_bytes)
            if is_over():
                raise _Ended(f"fetching {part.path.name} was ended; what came is kept")
            if idle_s > self._terms.patience_s:
                if taking.is_absent:
                    raise NoSuchFile(f"the depot says that it has no {part.path.name}")
                why = f" ({taking.why_not})" if taking.why_not else ""
                raise Unavailable(self._no_answer(part.path.name, idle_s) + why)

        try:
            yield from self._get(key, taking, check, room)
        finally:
            part.settle()
            progress(part.have_bytes)

    def close(self) -> None:
        """Whatever is fetched ends with Unavailable."""
        self._is_closed = True
        self._bell.ring()

    def _get(
        self,
        key: str,
        taking: Taking,
        check: Callable[[float, bool], None],
        room: Callable[[], float] = lambda: math.inf,
    ) -> Turns[None]:
        """check(seconds without a good block while connected, whether one came just now)."""
        window = Window(self._terms.window, self._terms.most_window)
        asking = Asking(taking, window, self._bucket, self._clock, room=room)
        turns, good_s, news = self._turns, self._clock(), True
        with self._listening(key):
            while not taking.verify():
                try:
                    check(self._clock() - good_s, news)
                except _Ended:
                    yield from self._take_the_rest(taking, asking, window)
                    raise
                wait_s = self._ask(asking, key)
                came = yield from self._wait(min(wait_s, POLL_S), asking.outstanding)
                news = self._take(came, taking, asking)
                if news or self._is_down:
                    good_s = self._clock()
                if self._turns != turns:
                    turns = self._turns
                    asking.begin_again()

    def _take_the_rest(self, taking: Taking, asking: Asking, window: Window) -> Turns[None]:
        """What was asked for comes in any case, and would have to come again: take it, if it does
        so soon."""
        turns, heard_s = self._turns, self._clock()
        until_s = heard_s + REST_S
        while asking.outstanding and turns == self._turns and not self._is_down:
            wait_s = min(until_s, heard_s + min(window.rto_s, QUIET_S)) - self._clock()
            if wait_s <= 0:
                return
            came = yield from self._wait(wait_s, asking.outstanding)
            if self._take(came, taking, asking):
                heard_s = self._clock()

    def _ask(self, asking: Asking, key: str) -> float:
        """Ask for what is due. Returns seconds until more is."""
        if self._is_down:
            return POLL_S
        is_stuck: list[bool] = []

        def send(ranges: tuple[tuple[int, int], ...]) -> bool:
            payload = msgspec.json.encode(BlockRequest(key, ranges))
            topic = topics.sharded(self._request_topic, key)
            if self._link.publish(topic, payload, qos=0) is None:
                is_stuck.append(True)
            return not is_stuck

        wait_s = asking.tick(send)
        return POLL_S / 5 if is_stuck else wait_s

    @staticmethod
    def _take(came: list[tuple[int, bytes]], taking: Taking, asking: Asking) -> bool:
        """Whether anything of it was good."""
        good = [number for number, payload in came if taking.take(number, payload)]
        for number in good:
            asking.arrived(number)
        return bool(good)

    def _hear(self, event: Received) -> bool:
        place = topics.block_place(event.topic)
        prefix = self._prefix
        if place is not None and prefix is not None and event.topic.startswith(prefix):
            with self._lock:
                self.received_bytes += len(event.payload)
                is_wanted = self._prefix == prefix and len(event.payload) <= LONGEST_PAYLOAD
                if is_wanted and len(self._came) < MOST_WAITING:
                    self._came.append((place.number, event.payload))
                    if len(self._came) in (1, MANY):
                        self._bell.ring()
        return place is not None

    @contextlib.contextmanager
    def _listening(self, key: str) -> Iterator[None]:
        """Take in what comes of one file."""
        pattern = topics.blocks_of(self._fleet, key)
        with self._lock:
            self._came.clear()
            self._prefix = pattern.removesuffix("+")
        unsubscribe = self._link.subscribe(pattern)
        try:
            yield
        finally:
            unsubscribe()
            with self._lock:
                self._prefix = None
                self._came.clear()

    def _wait(self, timeout_s: float, outstanding: int) -> Turns[list[tuple[int, bytes]]]:
        """What came, or nothing, when the connection came or went, or in vain."""
        yield from self._until(1, timeout_s)
        if self._gather_s and outstanding >= MANY > len(self._came) > 0:
            yield from self._until(MANY, self._gather_s)  # more is coming: take it together
        if self._is_closed:
            raise Unavailable("fetching was ended: this program stops")
        with self._lock:
            count = min(len(self._came), MOST_AT_ONCE)
            return [self._came.popleft() for _ in range(count)]

    def _until(self, many: int, timeout_s: float) -> Turns[None]:
        """So many payloads came, or the connection came or went, or the time is over."""
        until_s, turns = self._clock() + timeout_s, self._turns
        while len(self._came) < many and turns == self._turns and not self._is_closed:
            if (left_s := until_s - self._clock()) <= 0:
                return
            yield Wait(left_s)

    def _no_answer(self, name: str, waited_s: float) -> str:
        if self._is_down:
            return f"{name} cannot be fetched: there is no connection to the broker"
        return (
            f"nobody answered for {waited_s:.0f} s who has {name}: is the depot running, and does"
            " the broker let it?"
        )
