"""Between MQTT and a web server: asks it once for each file that somebody asks for by MQTT.

Blocks are asked for by a key, the digest of a path, and no web server knows files by that. So the
side that asks tells the bridge the path first, here in one process; all else goes by the broker.
"""

from __future__ import annotations

import io
import queue
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import BinaryIO

from wire import topics
from wire.block.blocks import NoSuchFile
from wire.block.client import BlockClient, FetchTerms
from wire.block.server import BlockServer
from wire.config import Broker
from wire.link import Connected, LinkEvent, Received
from wire.mqtt.mqtt import MqttLink
from wire.release import file_key
from wire.troubles import Trouble, Unavailable
from wire.trust.updating import Source

FLEET, DEVICE, DEPOT = "conformance", "client", "bridge"
LARGEST = 64 * 1024 * 1024  # bytes of a file; who asked may set a lower bound
CONNECT_S = 10.0
READ_S = 10.0
IDLE_S = 0.05


class OneByOne:
    """The library of the bridge: one file at a time, which was asked for just now."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._path = ""
        self._answer: bytes | Trouble | None = None  # None: not asked for yet

    def expect(self, path: str) -> None:
        """From now on this one is served, and what was got before is forgotten."""
        with self._lock:
            self._path, self._answer = path, None

    def open(self, key: str) -> BinaryIO | None:
        with self._lock:
            if key != file_key(self._path):
                return None
            if self._answer is None:
                try:
                    self._answer = self._source.read(self._path, LARGEST)
                except Trouble as trouble:
                    self._answer = trouble
            if isinstance(self._answer, NoSuchFile):
                return None
            if isinstance(self._answer, Trouble):
                raise OSError(str(self._answer))
            return io.BytesIO(self._answer)


class Bridge:
    """Serves blocks on a thread of its own. Use it in a `with`."""

    def __init__(self, broker: Broker, library: OneByOne) -> None:
        self._inbox: queue.Queue[LinkEvent] = queue.Queue()
        self._link = MqttLink(broker, DEPOT, self._inbox.put)
        self._server = BlockServer(self._link.publish, FLEET, library)
        self._is_over = threading.Event()
        self._is_ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="bridge")

    def __enter__(self) -> Bridge:
        self._link.subscribe(topics.from_devices(FLEET, "request"))
        self._link.open()
        self._thread.start()
        if not self._is_ready.wait(CONNECT_S):
            self.__exit__()
            raise Unavailable("the bridge does not reach the broker: look at --broker")
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()
        self._link.close()
        self._server.close()

    def _serve(self) -> None:
        wait_s = IDLE_S
        while not self._is_over.is_set():
            with suppress(queue.Empty):
                self._take(self._inbox.get(timeout=min(IDLE_S, max(wait_s, 0.001))))
            wait_s = self._server.tick()

    def _take(self, event: LinkEvent) -> None:
        if isinstance(event, Connected):
            self._is_ready.set()
        elif isinstance(event, Received) and (told := topics.told(event.topic)) is not None:
            self._server.asked(told.device, event.payload)


class ByMqtt:
    """As a device reads: blocks by MQTT. A Source."""

    def __init__(self, client: BlockClient, library: OneByOne) -> None:
        self._client = client
        self._library = library

    def read(self, path: str, most_bytes: int) -> bytes:
        self._library.expect(path)
        return self._client.read(path, most_bytes)


@contextmanager
def by_mqtt(source: Source, url: str) -> Iterator[ByMqtt]:
    """The same files by a broker. Raises Unavailable."""
    broker, library = Broker(url), OneByOne(source)
    is_connected = threading.Event()

    def hear(event: LinkEvent) -> None:
        client.post(event)
        if isinstance(event, Connected):
            is_connected.set()

    with ExitStack() as stack:
        stack.enter_context(Bridge(broker, library))
        link = MqttLink(broker, DEVICE, hear)
        client = BlockClient(link, FLEET, topics.request(FLEET, DEVICE), FetchTerms(read_s=READ_S))
        stack.callback(link.close)
        stack.callback(client.close)
        link.open()
        if not is_connected.wait(CONNECT_S):
            raise Unavailable("the client does not reach the broker: look at --broker")
        yield ByMqtt(client, library)
