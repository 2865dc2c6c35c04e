"""The link over MQTT: the one file that knows paho.

One thread of ours connects, runs paho's loop, and waits between attempts. Every connection is a
fresh paho client: nothing of an old one is sent again. Events are posted on that thread only.
"""

from __future__ import annotations

import logging
import secrets
import socket
import threading
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wire import mqtt_words as words
from wire.backoff import Backoff
from wire.config import Broker
from wire.link import Connected, Delivered, Disconnected, LinkEvent, MakeWill, Post, Received, Will
from wire.mqtt_proofs import Proofs, proofs_of
from wire.mqtt_url import address_of
from wire.mqtt_waiting import Waiting
from wire.troubles import Trouble

if TYPE_CHECKING:
    from paho.mqtt.client import (
        Client,
        ConnectFlags,
        DisconnectFlags,
        MQTTMessage,
        PayloadType,
    )
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

MQTT_5, MQTT_3_1_1 = 5, 4
NAMES = {MQTT_5: "MQTT 5", MQTT_3_1_1: "MQTT 3.1.1"}
CONNECT_S = 10.0  # for TCP, TLS and the web socket, each
ANSWER_S = 10.0  # for CONNACK and every SUBACK
GOODBYE_S = 0.4  # for DISCONNECT to leave
LOOP_S = 1.0
WINDOW = 20  # messages on their way at a time, unless the broker takes less
MOST_WAITING = 4 * 1024 * 1024  # bytes
LARGEST_RECEIVED = 1024 * 1024  # bytes: MQTT 5 brokers send us nothing larger
SHORT_LIFE_S = 60.0
SUSPICIOUS = 3  # short lives in a row

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ended:
    """How a connection ended. mute: without a word before CONNACK. window: it takes less at a time,
    connect again at once."""

    why: str
    taken_over: bool = False
    lasted_s: float = 0.0
    wrong_version: bool = False
    mute: bool = False
    broken: bool = False
    window: int | None = None


class MqttLink:
    """The Link over MQTT 5, or 3.1.1 where the broker speaks no 5."""

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        post: Post,
        will: MakeWill | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        """Check the config and the files it names. Raises Refused and Unavailable."""
        self._broker = broker
        self._client_id = client_id
        self._post = post
        self._make_will = will
        self._backoff = backoff or Backoff()
        self._address = address_of(broker.url)
        proofs_of(broker, self._address, client_id)
        self._patterns: list[str] = []
        self._lock = threading.Lock()  # _patterns and _life change together
        self._life: _Life | None = None
        self._lives = 0
        self._versions: tuple[int, ...] = (MQTT_5, MQTT_3_1_1)  # narrowed when one was accepted
        self._window = WINDOW
        self._short_lives = 0
        self._stopping = threading.Event()
        # daemon: looking up a name may hang, and must not hold up the end of the process
        self._thread = threading.Thread(target=self._supervise, name="mqtt", daemon=True)

    def open(self) -> None:
        if self._thread.ident is None and not self._stopping.is_set():
            self._thread.start()

    def subscribe(self, pattern: str) -> None:
        with self._lock:
            if pattern not in self._patterns:
                self._patterns.append(pattern)
                if self._life is not None:
                    self._life.subscribe(pattern)

    def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False
    ) -> int | None:
        life = self._life
        return None if life is None else life.publish(topic, payload, qos, retain)

    def close(self) -> None:
        self._stopping.set()
        with self._lock:
            if self._life is not None:
                self._life.leave()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(GOODBYE_S * 2)

    def _supervise(self) -> None:
        while not self._stopping.is_set():
            try:
                ended = self._attempt()
            except Exception:  # a bug, which must not silence the device: said with its traceback
                log.exception("the link to the broker failed")
                ended = Ended("a fault in this program, see its log")
            again_s = self._backoff.next_s(ended.lasted_s)
            self._tell(Disconnected(ended.why, again_s, ended.taken_over))
            self._stopping.wait(again_s)

    def _attempt(self) -> Ended:
        """Connect with the versions that may work; each gives one life. Returns how it ended."""
        ended = Ended("")
        for version in self._versions:
            ended = self._live(version)
            if ended.window is not None:
                self._window = ended.window
                ended = self._live(version)
            if not (ended.wrong_version or ended.mute) or self._stopping.is_set():
                return ended
        if ended.wrong_version:  # of the version that worked before: another broker, ask anew
            self._versions = (MQTT_5, MQTT_3_1_1)
        return ended

    def _live(self, version: int) -> Ended:
        """One connection from CONNECT to its end."""
        try:
            proofs = proofs_of(self._broker, self._address, self._client_id)
        except Trouble as trouble:
            return Ended(str(trouble))
        session = secrets.token_hex(8)
        will = self._make_will(session) if self._make_will else None
        self._lives += 1
        client = self._client(version, proofs, will)
        life = _Life(client, self._tell, session, self._lives << 16)
        try:
            if trouble_words := self._connect(client):
                return Ended(trouble_words)
            with self._lock:
                life.patterns = list(self._patterns)
                self._life = life
            ended = life.run(self._stopping, self._address, self._broker.keepalive_s)
        finally:
            with self._lock:
                self._life = None
            client.reinitialise()  # closes its sockets, and forgets us
        if life.accepted_s is not None:
            self._versions = (version,)
        return self._with_suspicion(ended, version)

    def _with_suspicion(self, ended: Ended, version: int) -> Ended:
        """MQTT 3.1.1 has no word for a connection that was taken over: the broker just closes."""
        short = version == MQTT_3_1_1 and ended.broken and ended.lasted_s < SHORT_LIFE_S
        self._short_lives = self._short_lives + 1 if short else 0
        if self._short_lives < SUSPICIOUS:
            return ended
        return replace(ended, why=f"{ended.why}, again: perhaps {words.TAKEN_OVER}")

    def _client(self, version: int, proofs: Proofs, will: Will | None) -> Client:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

        client = Client(
            CallbackAPIVersion.VERSION2,
            self._client_id,
            protocol=MQTTProtocolVersion(version),
            transport="tcp" if self._address.path is None else "websockets",
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_S
        client.max_inflight_messages = self._window
        client.username_pw_set(proofs.username, proofs.password)
        if proofs.tls is not None:
            client.tls_set_context(proofs.tls)
        if self._address.path is not None:
            client.ws_set_options(self._address.path)
        if will is not None:
            client.will_set(will.topic, will.payload, qos=1, retain=True)
        return client

    def _connect(self, client: Client) -> str | None:
        """Connect and send CONNECT. Returns why it could not be done, None if it was."""
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        properties = None
        if client.protocol == MQTT_5:
            properties = Properties(PacketTypes.CONNECT)
            properties.MaximumPacketSize = LARGEST_RECEIVED
        # paho pings after one keepalive and gives up after the second: so noticed in 1.5 of ours
        keepalive_s = max(1, int(self._broker.keepalive_s * 0.7))
        try:
            client.connect(
                self._address.host, self._address.port, keepalive_s, properties=properties
            )
        except (OSError, ValueError) as error:
            close_sockets_of(error)
            return words.no_connection(self._address, error)
        return None

    def _tell(self, event: LinkEvent) -> None:
        if self._stopping.is_set():
            return
        try:
            self._post(event)
        except Exception:  # a bug of the receiver must end neither this thread nor paho's loop
            log.exception("%s could not be posted", type(event).__name__)


class _Life:
    """One connection. Everything but publish and subscribe happens on the link's thread."""

    def __init__(self, client: Client, tell: Post, session: str, first: int) -> None:
        """first: numbers of messages count from here, so that they differ in every life."""
        self.patterns: list[str] = []
        self.accepted_s: float | None = None
        self._client = client
        self._tell = tell
        self._session = session
        self._first = first
        self._ended: Ended | None = None
        self._ready = False
        self._most_bytes: int | None = None
        self._asked: dict[int, str] = {}  # SUBSCRIBE -> pattern
        self._asking = threading.Lock()
        self._early: list[Received] = []
        self._quiet: set[int] = set()  # on their way with QoS 0
        self._quietly = threading.Lock()
        self._waiting = Waiting(MOST_WAITING)
        self._refused_once = False
        self._tls_said = ""
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect
        client.on_log = self._on_log
        # with this set, paho writes in its loop only, and publish() never on its caller's thread
        client.on_socket_register_write = lambda *_: None

    def run(self, stopping: threading.Event, address: Address, keepalive_s: int) -> Ended:
        """Turn paho's loop until the connection ends, or we leave."""
        answer_by = time.monotonic() + ANSWER_S
        leave_by: float | None = None
        while self._client.loop(LOOP_S if leave_by is None else 0.05) == 0:
            now = time.monotonic()
            if leave_by is None and (stopping.is_set() or self._ended is not None):
                self.leave()
                leave_by = now + GOODBYE_S
            elif leave_by is None and not self._ready and now > answer_by:
                self._ended = Ended(words.silent(address, ANSWER_S))
            elif leave_by is not None and now > leave_by:
                break
        self._ready = False
        ended = self._ended or self._how_it_broke(address, keepalive_s)
        since = time.monotonic() if self.accepted_s is None else self.accepted_s
        return replace(ended, lasted_s=time.monotonic() - since)

    def _how_it_broke(self, address: Address, keepalive_s: int) -> Ended:
        if self._deaf:
            return Ended(words.deaf(address, keepalive_s))
        if self.accepted_s is not None:
            return Ended(words.broken(address, self._waiting.largest()), broken=True)
        if self._tls_said:
            return Ended(words.no_handshake(address, self._tls_said))
        return Ended(words.mute(address), mute=True)

    def leave(self) -> None:
        """Say DISCONNECT, so that no will goes out. Any thread."""
        self._client.disconnect()

    def subscribe(self, pattern: str) -> None:
        """Any thread."""
        with self._asking:
            if self.accepted_s is None:
                self.patterns.append(pattern)
            else:
                self._ask(pattern)

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> int | None:
        """Any thread."""
        size = packet_bytes(topic, payload)
        too_large = self._most_bytes is not None and size > self._most_bytes
        if not self._ready or too_large or not self._waiting.admit(size + OVERHEAD):
            return None
        with self._quietly if qos == 0 else nullcontext():
            told = self._client.publish(topic, payload, qos, retain)
            if qos == 0:
                self._quiet.add(told.mid)
        if told.rc != 0:
            self._waiting.drop(size)
            return None
        self._waiting.name(told.mid, size)
        return 0 if qos == 0 else self._first + told.mid
