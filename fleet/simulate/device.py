"""One simulated device: a connection of its own, what it says there, and its fetch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from msgspec import Struct

from fleet.simulate.believing import Asker, Believing
from fleet.simulate.door import Door
from fleet.simulate.obeying import Obedient
from fleet.simulate.records import Records
from fleet.simulate.running import made_up
from fleet.simulate.telling import WATCH_S, Saying, Teller
from fleet.simulate.updating import Followed, Follower
from wire import topics
from wire.block.client import BlockClient, FetchTerms
from wire.link import (
    Connected,
    Delivered,
    Disconnected,
    Link,
    LinkEvent,
    MakeWill,
    Post,
    Received,
    Will,
)
from wire.messages import Ack, Presence, Reply, parse, to_json
from wire.reactor import Reactor, Routine
from wire.troubles import Refused

CORRECT_S = 1.0  # between two corrections of an old will
MUTE_S = 5.0  # from the connection on, until who is not heard counts as mute
EARLY = 0.9  # of a period
END_S = 5.0  # for a fetch that is to end
TERMS = FetchTerms()
MUTE = "the broker's rules do not let it speak under its name"
NO_BELL = "no depot has told yet which models there are: start `vedette fleet depot`"

MakeLink = Callable[[str, Post, MakeWill], Link]  # client id, where events go, will


@dataclass(frozen=True)
class Place:
    """Where a device is. believing: what it trusts; None: it takes no models at all. pipeline: its
    only one. period_s: between two telemetry records. spread_s: how long it may wait after the
    bell. acknowledged_by: whose word makes a record leave. reactor: drives it, and its link.
    snapshots: whether it sends pictures, which are made up."""

    fleet: str
    believing: Believing | None
    pipeline: str
    period_s: float
    spread_s: float
    acknowledged_by: Literal["broker", "registry"]
    reactor: Reactor
    snapshots: bool = False


class SimulatedDevice:
    """Everything happens on the reactor's thread, but `say_goodbye` and `close`. apart: why it is
    not connected, once it was tried. lost: connections that broke."""

    def __init__(self, name: str, place: Place, make_link: MakeLink) -> None:
        self.name = name
        self.is_connected = False
        self.apart: str | None = None
        self.lost = 0
        self._place = place
        self._teller = Teller(name, place.pipeline, place.period_s, place.snapshots)
        if place.believing is None:
            self._teller.runs = made_up(self._teller.character)
        self._session = ""
        self._said_s = self._connected_s = 0.0
        self._said_number: int | None = None
        self._is_heard = self._is_told_refusals = False
        self._is_closed = False
        self._link = make_link(name, self._post, self._will)
        self.records = Records(self._send, place.acknowledged_by == "registry")
        self._routine: Routine = place.reactor.routine()
        asks = topics.request(place.fleet, name)
        self._client = BlockClient(self._link, place.fleet, asks, TERMS, bell=self._routine)
        asker = Asker(self._client, self._routine)
        self._told_s: float | None = None  # when the newest record was made
        self._obedient = Obedient(
            Door(place.fleet, name, place.snapshots), place.pipeline, self._teller, self,
            place.acknowledged_by,
        )  # fmt: skip
        self._follower = Follower(self._teller, self, asker, place.spread_s)
        for pattern in (
            topics.presence(place.fleet, name),
            topics.command(place.fleet, name),
            topics.ack(place.fleet, name),
            topics.bell(place.fleet),
        ):
            self._link.subscribe(pattern)

    @property
    def followed(self) -> Followed:
        return self._follower.followed

    @property
    def is_heard(self) -> bool:
        """Whether the broker took what it said of itself in this connection, as far as is known."""
        return self.is_connected and self._is_heard

    @property
    def is_mute(self) -> bool:
        """Whether the broker throws away what it says."""
        waited_s = time.monotonic() - self._connected_s
        return self.is_connected and not self._is_heard and waited_s > MUTE_S

    @property
    def trouble(self) -> str | None:
        """What it is hindered by."""
        return self.apart or (MUTE if self.is_mute else None) or self.followed.trouble

    @property
    def received_bytes(self) -> int:
        """Of blocks, wanted or not."""
        return self._client.received_bytes

    def open(self) -> None:
        self._link.open()
        if self._place.believing is not None:
            self._routine.start(
                self._follower.following(self.name, self._place.pipeline, self._place.believing)
            )

    def say_goodbye(self) -> None:
        """Say that we leave, and stop fetching. `close` afterwards. Any thread."""
        self._is_closed = True
        self._follower.close()
        self._client.close()
        if self.is_connected:
            self._say(topics.presence, self._presence(self._session, online=False))

    def close(self) -> None:
        """Any thread but the reactor's."""
        self._routine.join(END_S)
        self._link.close()

    def tell(self, now_s: float) -> None:
        """A telemetry record is due, and perhaps something is new."""
        if (saying := self._teller.turned()) is not None:
            self.say(saying)
            self.say_state()
        # who is watched tells more often: a window begins where the one before has ended
        since_s = None if self._told_s is None else now_s - self._told_s
        is_early = since_s is not None and since_s < EARLY * self._place.period_s
        self._told_s = now_s
        self.records.add(self._teller.telemetry(since_s if is_early else None), now_s)

    def tick(self, now_s: float) -> None:
        """About once a second: what waits goes on, and what was commanded."""
        self.records.tick(now_s)
        self._obedient.tick(now_s)
        if self._teller.is_watched and now_s - (self._told_s or 0.0) >= WATCH_S:
            self.tell(now_s)

    def say(self, saying: Saying) -> None:
        """As an event."""
        self.records.add(self._teller.said(saying), time.monotonic())

    def obey(self, keys: tuple[str, ...]) -> None:
        self._obedient.door.keys = keys

    def answer(self, reply: Reply) -> None:
        """To a command."""
        self._link.publish(topics.reply(self._place.fleet, self.name), to_json(reply))

    def show(self, identity: str, jpeg: bytes) -> bool:
        topic = topics.snapshot(self._place.fleet, self.name, identity)
        return self._link.publish(topic, jpeg) is not None

    @property
    def answered(self) -> int:
        """Commands that were carried out, or could not be."""
        return self._obedient.door.answered

    def say_state(self) -> None:
        self._say(topics.state, self._teller.state(self._place.acknowledged_by))

    def _post(self, event: LinkEvent) -> None:
        if isinstance(event, Delivered):
            self.records.delivered(event.number)
            # MQTT 3.1.1 confirms also what is thrown away: there, what comes back counts alone
            if self._is_told_refusals and event.number == self._said_number:
                self._is_heard = True
        elif self._client.post(event):
            return
        elif isinstance(event, Connected):
            self._session = event.session
            self.is_connected, self.apart = True, None
            self._connected_s, self._is_heard = time.monotonic(), False
            self._is_told_refusals = event.protocol == "MQTT 5"
            if self._place.believing is not None and not self._follower.was_rung:
                self.followed.trouble = NO_BELL
            self._say_presence()
            self.say_state()
            self.records.connected()
        elif isinstance(event, Disconnected):
            self.lost += self.is_connected
            self.is_connected, self.apart = False, event.why
            self.records.disconnected()
        elif isinstance(event, Received) and not self._is_closed:
            self._receive(event)

    def _receive(self, message: Received) -> None:
        fleet = self._place.fleet
        if message.topic == topics.bell(fleet):
            if self._place.believing is not None:
                self._follower.ring(message.payload)
        elif message.topic == topics.command(fleet, self.name):
            if not message.retained:
                self._obedient.take(message.payload, time.monotonic())
        elif message.topic == topics.presence(fleet, self.name):
            self._look_at(message.payload)
        elif message.topic == topics.ack(fleet, self.name):
            try:
                self.records.acked(parse(message.payload, Ack), time.monotonic())
            except Refused:
                return

    def _look_at(self, payload: bytes) -> None:
        """An old will may say that we are not here."""
        try:
            presence = parse(payload, Presence)
            is_right = presence.online and presence.session == self._session
        except Refused:
            is_right = False
        self._is_heard |= is_right
        if not is_right and time.monotonic() - self._said_s > CORRECT_S:
            self._say_presence()

    def _presence(self, session: str, online: bool) -> Presence:
        return self._teller.presence(session, self.records.spool, online)

    def _will(self, session: str) -> Will:
        payload = to_json(self._presence(session, online=False))
        return Will(topics.presence(self._place.fleet, self.name), payload)

    def _say_presence(self) -> None:
        self._said_s = time.monotonic()
        presence = self._presence(self._session, online=True)
        self._said_number = self._say(topics.presence, presence)

    def _say(self, topic: Callable[[str, str], str], message: Struct) -> int | None:
        """Retained. The number of the message."""
        return self._link.publish(
            topic(self._place.fleet, self.name), to_json(message), retain=True
        )

    def _send(self, kind: Literal["telemetry", "event"], payload: bytes) -> int | None:
        topic = topics.telemetry if kind == "telemetry" else topics.event
        return self._link.publish(topic(self._place.fleet, self.name), payload)
