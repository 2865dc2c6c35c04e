"""A real depot process, and an operator and devices that talk to it over a real broker."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import msgspec

from fleet.depot.depot import Depot
from fleet.inbox import Inbox
from fleet.signer.signer import Signer
from tests import warm
from tests.brokers import Mosquitto
from tests.depot_folder import FLEET, Yard, write_fleet_toml
from wire import topics
from wire.backoff import Backoff
from wire.block.client import BlockClient, FetchTerms
from wire.block.server import BlockServer, ServeTerms
from wire.config import Broker
from wire.link import Connected, LinkEvent, Post, Received
from wire.mqtt.mqtt import MqttLink
from wire.offers import Offer, OfferAnswer, OfferedFile, OfferKind, offered_key

PROJECT = Path(__file__).parents[2]
PATIENCE_S = 60.0
AGAIN_S = 1.0


def until(what: str, is_so: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
    """Wait until something is so, and fail if it does not come."""
    end_s = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < end_s, what
        time.sleep(0.02)


class DepotProcess:
    """`vedette fleet depot` on a yard's folder. lines: what it said."""

    def __init__(self, yard: Yard, broker: Mosquitto, *options: str) -> None:
        folder = write_fleet_toml(yard, broker.port)
        words = ["fleet", "depot", "--dir", str(folder), *options]
        self._process = warm.Process(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def cpu_s(self) -> float:
        """Processor time that it has taken so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def wait_for(self, words: str) -> None:
        until(f"{words!r} in {self.lines}", lambda: any(words in line for line in self.lines))

    def end(self) -> tuple[int, str]:
        """SIGTERM. The exit code and what is on standard output."""
        self._process.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> tuple[int, str]:
        code = self._process.wait(PATIENCE_S)
        self._reader.join()
        assert self._process.stdout is not None
        return code, self._process.stdout.read()

    def kill(self) -> None:
        if self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE_S)
        self._reader.join()

    def __enter__(self) -> DepotProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._process.stdout.close()
        self._process.stderr.close()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.lines.append(line)


class _Files:
    """A library of contents in memory."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}

    def open(self, key: str) -> BinaryIO | None:
        content = self.contents.get(key)
        return None if content is None else io.BytesIO(content)


class Peer:
    """Somebody at the broker who fetches, offers and listens. A `with`."""

    def __init__(self, broker: Mosquitto, name: str, ask_topic: str, **terms: int) -> None:
        """terms: of ServeTerms, for what we serve."""
        self.heard: list[Received] = []
        self._sent_s = 0.0
        self._own: set[str] = set()  # offers
        self._inbox = Inbox()
        self._files = _Files()
        self._is_connected = threading.Event()
        self.link = MqttLink(
            Broker(f"mqtt://127.0.0.1:{broker.port}"), name, self._post, backoff=Backoff(most_s=0.3)
        )
        self.files = BlockClient(self.link, FLEET, ask_topic, FetchTerms(read_s=20.0))
        self._server = BlockServer(self.link.publish, FLEET, self._files, ServeTerms(**terms))
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Peer:
        for pattern in (topics.offers(FLEET, "answer"), topics.offers(FLEET, "want")):
            self.link.subscribe(pattern)
        self.link.subscribe(topics.bell(FLEET))
        self.link.open()
        self._thread.start()
        assert self._is_connected.wait(PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self.files.close()
        self._ends.set()
        self._inbox.close()
        self._thread.join()
        self.link.close()
        self._server.close()

    @property
    def served_bytes(self) -> int:
        return self._server.published_bytes

    def answers(self, identity: str) -> list[OfferAnswer]:
        topic = topics.offer(FLEET, identity, "answer")
        return [
            msgspec.json.decode(one.payload, type=OfferAnswer)
            for one in list(self.heard)
            if one.topic == topic
        ]

    def offer(self, identity: str, kind: OfferKind, files: Mapping[str, bytes]) -> None:
        """Say what we have, and serve it from now on. files: contents by path."""
        self._own.add(identity)
        self._files.contents |= {offered_key(identity, path): each for path, each in files.items()}
        named = tuple(
            OfferedFile(path, hashlib.sha256(content).hexdigest(), len(content))
            for path, content in files.items()
        )
        self.send(identity, "offer", msgspec.json.encode(Offer(identity, kind, named)))

    def send(self, identity: str, part: topics.OfferPart, payload: bytes) -> None:
        """As often as it takes until the depot has heard it."""
        topic = topics.offer(FLEET, identity, part)

        def is_heard() -> bool:
            if self.answers(identity):
                return True
            if time.monotonic() - self._sent_s > AGAIN_S:
                self._sent_s = time.monotonic()
                self.link.publish(topic, payload)
            return False

        self._sent_s = 0.0
        until(f"an answer to {identity}", is_heard)

    def outcome(self, identity: str) -> OfferAnswer:
        """The last word on an offer or a wish."""

        def is_over() -> bool:
            return any(answer.phase != "fetching" for answer in self.answers(identity))

        until(f"an end of {identity}", is_over)
        return next(answer for answer in self.answers(identity) if answer.phase != "fetching")

    def _post(self, event: LinkEvent) -> None:
        if isinstance(event, Connected):
            self._is_connected.set()
        if not self.files.post(event):
            self._inbox.post(event)

    def _serve(self) -> None:
        while not self._ends.is_set():
            event = self._inbox.take(max(0.0, min(0.1, self._server.tick())))
            if isinstance(event, Received):
                self.heard.append(event)
                place = topics.offered(event.topic)
                if place is not None and place.part == "want" and place.id in self._own:
                    self._server.asked("depot", event.payload)


@contextlib.contextmanager
def operator(broker: Mosquitto, name: str = "operator", **terms: int) -> Iterator[Peer]:
    with Peer(broker, name, topics.offer(FLEET, name, "ask"), **terms) as peer:
        yield peer


@contextlib.contextmanager
def device(broker: Mosquitto, name: str = "door") -> Iterator[Peer]:
    with Peer(broker, name, topics.request(FLEET, name)) as peer:
        yield peer


def timestamp_of(yard: Yard) -> bytes:
    """What is in force in a depot's folder."""
    return (yard.depot / "metadata" / "timestamp.json").read_bytes()


def bell_of(peer: Peer) -> bytes | None:
    """The newest that was rung."""
    rung = [one.payload for one in list(peer.heard) if one.topic == topics.bell(FLEET)]
    return rung[-1] if rung else None


def rand_model(size: int) -> bytes:
    """A model file in which no two blocks are the same."""
    return random.Random(size).randbytes(size)


class Running:
    """A depot in this process, stepped on a thread of its own. A `with`."""

    def __init__(self, yard: Yard, broker: Mosquitto, fetch: FetchTerms) -> None:
        self.signer = Signer(yard.depot)

        def make(client_id: str, post: Post) -> MqttLink:
            url = f"mqtt://127.0.0.1:{broker.port}"
            return MqttLink(Broker(url), client_id, post, backoff=Backoff(most_s=0.3))

        self.depot = Depot(FLEET, self.signer, make, ServeTerms(), fetch)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Running:
        self.depot.open()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self.depot.inbox.wake()
        self._thread.join()
        self.depot.close()
        self.signer.close()

    def _run(self) -> None:
        while not self._ends.is_set():
            self.depot.step()
