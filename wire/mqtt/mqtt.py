"""The link over MQTT: the one file that knows paho.

A thread of its own connects, moves the bytes, and waits between attempts; or a reactor, for many.
Every connection is a fresh paho client: nothing of an old one is sent again. Events are posted
there only.
"""

from __future__ import annotations

import logging
import math
import secrets
import socket
import ssl
from functools import cache
from typing import TYPE_CHECKING

from wire.backoff import Backoff
from wire.config import Broker
from wire.link import LinkEvent, MakeWill, Post, Received, Unsubscribe
from wire.mqtt import words
from wire.mqtt.bell import OwnThread
from wire.mqtt.inward import LARGEST
from wire.mqtt.life import FLUSH_S, GOODBYE_S, Life
from wire.mqtt.limits import limits_of
from wire.mqtt.proofs import Proofs, check, proofs_of
from wire.mqtt.socket import Buffer, Wiring
from wire.mqtt.terms import TURN_S, Terms
from wire.mqtt.tries import MQTT_5, NAMES, Ended, Offer, Tries, again_and_again
from wire.mqtt.url import address_of
from wire.mqtt.waiting import Sent, packet_bytes
from wire.pulse import Pulse
from wire.reactor import Reactor
from wire.subscriptions import Subscriptions
from wire.troubles import Trouble
from wire.turns import Aside, Driver, Turns

if TYPE_CHECKING:
    from paho.mqtt.client import Client, DisconnectFlags, MQTTMessage
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

CONNECT_S = 10.0  # for TCP, TLS and the web socket, each
SHARED_TURN_S = 5.0  # between two looks at a silent connection, where there are many

log = logging.getLogger("vedette.link")


class MqttLink:
    """The Link over MQTT 5, or 3.1.1 where the broker speaks no 5."""

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        post: Post,
        will: MakeWill | None = None,
        backoff: Backoff | None = None,
        pulse: Pulse | None = None,
        reactor: Reactor | None = None,
    ) -> None:
        """reactor: drives it; None: a thread of its own. Raises Refused for a config that can never
        work; files are read when connecting."""
        self._broker = broker
        self._client_id = client_id
        self._post = post
        self._make_will = will
        self._backoff = backoff or Backoff()
        self._address = address_of(broker.url)
        check(broker, self._address)
        self._tries = Tries()
        pulse = pulse or Pulse("mqtt", math.inf)
        self._driver: Driver = OwnThread() if reactor is None else reactor.routine()
        self._terms = Terms(
            self._address, broker.keepalive_s, self._tell, pulse=pulse, bell=self._driver,
            turn_s=TURN_S if reactor is None else SHARED_TURN_S,
        )  # fmt: skip
        self._lock = self._terms.lock  # over _wiring, _life and all in it
        patterns = self._terms.patterns
        self._subscriptions = Subscriptions(patterns, self._lock, lambda: self._life)
        self._stopping = self._terms.stopping
        self._wiring: Wiring | None = None
        self._life: Life | None = None
        self._is_open = False

    def open(self) -> None:
        if not self._is_open and not self._stopping.is_set():
            self._is_open = True
            self._driver.start(again_and_again(self._tries, self._live, self._backoff, self._terms))

    def subscribe(self, pattern: str) -> Unsubscribe:
        return self._subscriptions.add(pattern)

    def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False
    ) -> int | None:
        with self._lock:
            if self._life is None or self._stopping.is_set():
                return None
            return self._life.publish(topic, payload, qos, retain)

    def close(self) -> None:
        self._stopping.set()
        with self._lock:
            if self._wiring is not None and self._life is None:
                self._wiring.abandon()
        self._driver.ring()
        self._driver.join(FLUSH_S + 3 * GOODBYE_S)

    def _live(self, offer: Offer) -> Turns[Ended]:
        """One connection from CONNECT to its end."""
        found: list[tuple[Client, Wiring, str] | Ended] = []
        try:
            yield Aside(lambda: found.append(self._dial(offer)))
            if isinstance(dialled := found[0], Ended):
                return dialled
            client, wiring, session = dialled
            wire = _PahoWire(client, wiring)
            life = Life(wire, wiring, NAMES[client.protocol], session, self._terms)
            _take_notes(client, wiring, life)
            with self._lock:
                self._life = life
            return (yield from life.run(offer.answer_s))
        finally:
            with self._lock:
                held, self._life, self._wiring = self._wiring, None, None
            if held is not None:
                held.close()

    def _dial(self, offer: Offer) -> tuple[Client, Wiring, str] | Ended:
        """Connect, and send CONNECT; with the session, or how that failed. It may take long."""
        try:
            proofs = proofs_of(self._broker, self._address, self._client_id)
        except Trouble as trouble:
            return Ended(str(trouble), refused=True)
        session = secrets.token_hex(8)
        will = self._make_will(session) if self._make_will else None
        wiring = Wiring(self._address, proofs.tls, CONNECT_S)
        wiring.is_5 = offer.version == MQTT_5
        client = _client(offer, self._client_id, wiring, proofs)
        if self._address.path is not None:
            client.transport = "websockets"
            client.ws_set_options(self._address.path)
        if will is not None:
            client.will_set(will.topic, will.payload, qos=1, retain=True)
        with self._lock:
            self._wiring = wiring
        ended = Ended("") if self._stopping.is_set() else self._connect(client)
        return (client, wiring, session) if ended is None else ended

    def _connect(self, client: Client) -> Ended | None:
        """Connect and send CONNECT. Returns how that failed, None if it did not."""
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        properties = None
        if client.protocol == MQTT_5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.MaximumPacketSize = LARGEST
        where = (self._address.host, self._address.port)
        try:
            client.connect(*where, self._broker.keepalive_s, properties=properties)
        except (OSError, ValueError) as error:
            why = words.no_connection(self._address, error)
            return Ended(why, refused=isinstance(error, ssl.SSLCertVerificationError))
        return None

    def _tell(self, event: LinkEvent) -> None:
        try:
            self._post(event)
        except Exception:  # a bug of the receiver must not end this thread
            log.exception("%s could not be posted", type(event).__name__)


@cache
def _client_class() -> type[Client]:
    """paho's client on sockets of ours: paho leaves them open when TLS fails, and loses the rest
    of a web socket's frame when the socket is full."""
    from paho.mqtt.client import Client

    class WiredClient(Client):
        _userdata: Wiring

        def _create_socket_connection(self) -> socket.socket:
            return self._userdata.dial()

        def _ssl_wrap_socket(self, tcp_sock: socket.socket) -> socket.socket:  # type: ignore[override]
            return self._userdata.encrypt(tcp_sock)

        def _sock_recv(self, bufsize: int) -> bytes:
            return self._userdata.receive(bufsize, super()._sock_recv)

        def _sock_send(self, buf: Buffer) -> int:
            return self._userdata.send(buf, super()._sock_send)

        def _sock_close(self) -> None:
            self._userdata.hang_up(super()._sock_close)

        def _check_keepalive(self) -> None:
            self._ping_t = 0.0  # its answer may wait behind what comes: any byte is a sign of life
            super()._check_keepalive()

    return WiredClient


def _client(offer: Offer, client_id: str, wiring: Wiring, proofs: Proofs) -> Client:
    from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

    client = _client_class()(
        CallbackAPIVersion.VERSION2, client_id, userdata=wiring,
        protocol=MQTTProtocolVersion(offer.version), reconnect_on_failure=False,
    )  # fmt: skip
    client.max_inflight_messages = offer.window
    client.connect_timeout = CONNECT_S
    client.username_pw_set(proofs.username, proofs.password)
    if proofs.tls is not None:
        client.tls_set_context(proofs.tls)
    return client


class _PahoWire:
    """paho behind the seam Wire."""

    def __init__(self, client: Client, wiring: Wiring) -> None:
        self._client = client
        self._wiring = wiring
        # with this set, paho writes only when it is turned, never in publish on its caller's thread
        client.on_socket_register_write = lambda *_: None

    def fileno(self) -> int | None:
        socket_ = self._client.socket()
        return None if socket_ is None or socket_.fileno() < 0 else socket_.fileno()

    def pending(self) -> bool:
        asked = getattr(self._client.socket(), "pending", None)  # TLS and web sockets have it
        return asked is not None and asked() > 0

    def wants_to_write(self) -> bool:
        return self._wiring.wants_to_write or self._client.want_write()

    def turn(self, readable: bool, writable: bool) -> None:
        if readable:
            self._wiring.read(self._client.loop_read)
        if writable:
            self._wiring.write(self._client.loop_write)
        self._client.loop_misc()

    def send(
        self, number: int, topic: str, payload: bytes, retain: bool
    ) -> tuple[int, Sent] | None:
        told = self._client.publish(topic, payload, 1 if number else 0, retain)
        if told.rc != 0:
            return None
        return told.mid, Sent(number, topic, packet_bytes(topic, payload), told.is_published)

    def ask(self, patterns: list[str]) -> int | None:
        code, mid = self._client.subscribe([(pattern, 1) for pattern in patterns])
        return mid if code == 0 else None

    def forget(self, pattern: str) -> None:
        self._client.unsubscribe(pattern)

    def leave(self) -> None:
        self._client.disconnect()


def _take_notes(client: Client, wiring: Wiring, life: Life) -> None:
    """Tell the life what the broker says."""

    def connected(
        client: Client, _: object, _flags: object, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            why, refused = words.broker_said(reason.value), reason.value in words.REFUSALS
            wrong_version = reason.value == words.WRONG_VERSION
            life.ended(Ended(why, wrong_version=wrong_version, refused=refused))
            return
        life.keepalive_s = client.keepalive
        life.accepted(limits_of(properties), client.max_inflight_messages)

    def disconnected(
        _client: Client, _: object, flags: DisconnectFlags, reason: ReasonCode, *_more: object
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            is_lost = reason.value == words.SESSION_TAKEN_OVER
            life.ended(Ended(words.broker_said(reason.value), taken_over=is_lost))

    def received(_client: Client, _: object, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        life.received(Received(topic, bytes(message.payload), bool(message.retain)))

    wiring.opened(life.received, client.want_write)
    client.on_connect = connected
    client.on_disconnect = disconnected
    client.on_message = received
    client.on_subscribe = lambda _c, _u, mid, told, _p: life.answered(mid, [r.value for r in told])
    client.on_publish = lambda _c, _u, mid, reason, _p: life.taken(mid, reason.value)
