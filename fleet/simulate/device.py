"""One simulated device: a connection of its own, what it says there, and its fetch."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec import Struct

from fleet.simulate.believing import Believing
from fleet.simulate.getting import Getter
from fleet.simulate.telling import BOARD, Running, Teller
from wire import topics
from wire.backoff import Backoff
from wire.block.client import BlockClient, FetchTerms
from wire.deployments import Who
from wire.link import Connected, Disconnected, Link, LinkEvent, MakeWill, Post, Received, Will
from wire.messages import Presence, Update, UpdatePhase, parse, to_json
from wire.troubles import Refused, Trouble
from wire.trust.trust import Bundle

CORRECT_S = 1.0  # between two corrections of an old will
SAY_PERCENT = 25  # between two words about how far a fetch is
TERMS = FetchTerms()
NO_BELL = "no depot has told yet which models there are: start `vedette fleet depot`"

MakeLink = Callable[[str, Post, MakeWill], Link]  # client id, where events go, will


@dataclass(frozen=True)
class Place:
    """Where a device is. believing: what it trusts; None: it takes no models at all. pipeline: its
    only one. period_s: between two telemetry records. spread_s: how long it may wait after the
    bell."""

    fleet: str
    believing: Believing | None
    pipeline: str
    period_s: float
    spread_s: float


@dataclass
class Counted:
    """Of one device. apart: why it is not connected, once it was tried. lost: connections.
    is_up_to_date: what the newest bell asks for is done. has_nothing: nothing is deployed to its
    pipeline. fetches_s: how long each model took, from the bell on. trouble: that lasts."""

    is_connected: bool = False
    apart: str | None = None
    lost: int = 0
    is_up_to_date: bool = False
    has_nothing: bool = False
    fetches_s: list[float] = field(default_factory=list)
    content_bytes: int = 0
    trouble: str | None = None


class SimulatedDevice:
    """`tell` on one thread of the caller's; what the link says is taken on the link's."""

    def __init__(self, name: str, place: Place, make_link: MakeLink) -> None:
        self.name = name
        self.counted = Counted()
        self._place = place
        self._teller = Teller(name, place.pipeline, place.period_s)
        self._lock = threading.Lock()  # over the teller
        self._session = ""
        self._said_s = 0.0
        self._bell: tuple[bytes, float] | None = None  # and when it was heard
        self._news = threading.Condition()
        self._is_closed = False
        self._thread: threading.Thread | None = None
        self._link = make_link(name, self._post, self._will)
        asks = topics.request(place.fleet, name)
        self._client = BlockClient(self._link, place.fleet, asks, TERMS)
        for pattern in (
            topics.presence(place.fleet, name),
            topics.command(place.fleet, name),
            topics.ack(place.fleet, name),
            topics.bell(place.fleet),
        ):
            self._link.subscribe(pattern)

    @property
    def received_bytes(self) -> int:
        """Of blocks, wanted or not."""
        return self._client.received_bytes

    @property
    def runs(self) -> str | None:
        """The digest of what it runs."""
        runs = self._teller.runs
        return None if runs is None else runs.digest

    def open(self) -> None:
        self._link.open()

    def say_goodbye(self) -> None:
        """Say that we leave, and stop fetching. `close` afterwards."""
        with self._news:
            self._is_closed = True
            self._news.notify()
        self._client.close()
        if self.counted.is_connected:
            self._say(topics.presence, self._teller.presence(self._session, online=False))

    def close(self) -> None:
        self._link.close()
        if self._thread is not None:
            self._thread.join()

    def tell(self) -> None:
        """Publish a telemetry record."""
        with self._lock:
            record = self._teller.telemetry()
        self._link.publish(topics.telemetry(self._place.fleet, self.name), to_json(record))

    def _post(self, event: LinkEvent) -> None:
        if self._client.post(event):
            return
        if isinstance(event, Connected):
            self._session = event.session
            self.counted.is_connected, self.counted.apart = True, None
            if self._place.believing is not None and self._bell is None:
                self.counted.trouble = NO_BELL
            self._say_presence()
            self._say_state()
        elif isinstance(event, Disconnected):
            self.counted.lost += self.counted.is_connected
            self.counted.is_connected, self.counted.apart = False, event.why
        elif isinstance(event, Received):
            self._receive(event)

    def _receive(self, message: Received) -> None:
        if message.topic == topics.bell(self._place.fleet):
            if self._place.believing is not None:
                self._ring(message.payload)
        elif message.topic == topics.presence(self._place.fleet, self.name):
            self._look_at(message.payload)

    def _ring(self, bell: bytes) -> None:
        """Wake the fetch; its thread begins with the first bell."""
        with self._news:
            if self._is_closed:
                return
            if self._bell is not None and self._bell[0] == bell:
                return
            if self._bell is None:
                self.counted.trouble = None
            self._bell = (bell, time.monotonic())
            self.counted.is_up_to_date = False
            if self._thread is None:
                self._thread = threading.Thread(target=self._fetch_all, name="fetch", daemon=True)
                self._thread.start()
            self._news.notify()

    def _look_at(self, payload: bytes) -> None:
        """An old will may say that we are not here."""
        try:
            presence = parse(payload, Presence)
            is_right = presence.online and presence.session == self._session
        except Refused:
            is_right = False
        if not is_right and time.monotonic() - self._said_s > CORRECT_S and not self._is_closed:
            self._say_presence()

    def _will(self, session: str) -> Will:
        presence = self._teller.presence(session, online=False)
        return Will(topics.presence(self._place.fleet, self.name), to_json(presence))

    def _say_presence(self) -> None:
        self._said_s = time.monotonic()
        self._say(topics.presence, self._teller.presence(self._session, online=True))

    def _say_state(self) -> None:
        with self._lock:
            state = self._teller.state()
        self._say(topics.state, state)

    def _say(self, topic: Callable[[str, str], str], message: Struct) -> None:
        """Retained."""
        self._link.publish(topic(self._place.fleet, self.name), to_json(message), retain=True)

    def _fetch_all(self) -> None:
        """The fetch thread: what each bell asks for, until the end."""
        assert self._place.believing is not None, "it takes no models"
        who = Who(self.name, (), BOARD)
        getter = Getter(self._place.believing, self._client, who, self._place.pipeline)
        backoff = Backoff()
        done: bytes | None = None
        while (rung := self._await_bell(done)) is not None:
            bell, heard_s = rung
            try:
                self._fetch(getter, bell, heard_s)
                done, backoff = bell, Backoff()
                with self._news:
                    self.counted.is_up_to_date = self._bell is not None and self._bell[0] == bell
                self._trouble(None)
            except Trouble as trouble:
                if self._is_closed:
                    return
                self._trouble(str(trouble))
                with self._news:
                    self._news.wait_for(lambda: self._is_closed, backoff.next_s(0.0))

    def _await_bell(self, done: bytes | None) -> tuple[bytes, float] | None:
        """What the bell says, if it is not what was done; None at the end."""
        with self._news:
            while not self._is_closed:
                if self._bell is not None and self._bell[0] != done:
                    wait_s = self._place.spread_s * random.random()  # noqa: S311 - no secret
                    self._news.wait_for(lambda: self._is_closed, wait_s)
                    return None if self._is_closed else self._bell
                self._news.wait()
        return None

    def _fetch(self, getter: Getter, bell: bytes, heard_s: float) -> None:
        said = getter.said(bell)
        bundle = getter.wanted(said)
        self._teller.trusted = said.trusted
        self.counted.has_nothing = bundle is None
        if bundle is None or bundle.digest == self.runs:
            self._say_state()
            return
        deployment, steps = said.trusted.deployments, [0]
        self._phase("fetching", bundle, deployment, 0)

        def progress(have_bytes: int) -> None:
            percent = 100 * have_bytes // max(1, bundle.size)
            if percent >= steps[0] + SAY_PERCENT and percent < 100:
                steps[0] = percent
                self._phase("fetching", bundle, deployment, percent)

        getter.get(bundle, progress, lambda: self._is_closed)
        self.counted.content_bytes += bundle.size
        self.counted.fetches_s.append(time.monotonic() - heard_s)
        self._teller.runs = Running(bundle.variant.model, bundle.variant.version, bundle.digest)
        self._phase("trial", bundle, deployment)
        self._phase("good", bundle, deployment)

    def _phase(
        self, phase: UpdatePhase, bundle: Bundle, deployment: int, percent: int | None = None
    ) -> None:
        """Say how far the update is: in the state, and a new phase as an event."""
        variant = bundle.variant
        before = self._teller.update
        with self._lock:
            self._teller.update = Update(
                phase, variant.model, variant.version, bundle.digest, deployment,
                time.time(), percent,
            )  # fmt: skip
            is_new = before is None or before.phase != phase
            text = f"{variant.model} {variant.version}: {phase}"
            event = self._teller.event(text) if is_new else None
        if event is not None:
            self._link.publish(topics.event(self._place.fleet, self.name), to_json(event))
        self._say_state()

    def _trouble(self, why: str | None) -> None:
        self.counted.trouble = why
        faults = () if why is None else (f"trust: {why}",)
        if faults != self._teller.faults:
            with self._lock:
                self._teller.faults = faults
            self._say_state()
