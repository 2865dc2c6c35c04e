"""A small fleet for tests: real signatures, and a depot that serves its files over any link."""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import msgspec

from fleet.roles import targets as roles_targets
from fleet.roles.targets import Target
from fleet.signer.signer import Signer
from tests.depot_folder import FLEET, Yard, block_digests, make_yard
from wire import offers, topics
from wire.block.server import BlockServer, ServeTerms
from wire.deployments import Deployment, Gates, Rule
from wire.envelope import sealed
from wire.link import Connected, Link, LinkEvent, Post, Received
from wire.offers import Wish
from wire.release import Variant, blocks_path, bundle_path, file_key


class SmallFleet:
    """serves: whether the depot answers. requests: that came so far, by device."""

    def __init__(
        self, place: Path, make_link: Callable[[str, Post], Link], yard: Yard | None = None
    ) -> None:
        """make_link: takes a client id, and where events go. yard: a fleet that is there already;
        None: a new one."""
        self.yard: Yard = make_yard(place) if yard is None else yard
        self.signer = Signer(self.yard.depot)
        self.serves = True
        self.requests: Counter[str] = Counter()
        self.most_blocks: int | None = None  # after so many it falls silent
        self._place = place
        self._targets = self.yard.targets
        self._asked: queue.SimpleQueue[Received | None] = queue.SimpleQueue()
        self._is_connected = threading.Event()
        self._link = make_link("depot", self._post)
        self._server = BlockServer(self._link.publish, FLEET, self, ServeTerms(gap_s=0.0))
        self._link.subscribe(topics.from_devices(FLEET, "request"))
        self._link.open()
        assert self._is_connected.wait(20)
        self._thread = threading.Thread(target=self._run, name="depot")
        self._thread.start()

    def __enter__(self) -> SmallFleet:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._asked.put(None)
        self._thread.join()
        self._link.close()
        self._server.close()
        self.signer.close()

    @property
    def root(self) -> Path:
        return self.yard.place / "root.json"

    @property
    def published_bytes(self) -> int:
        return self._server.published_bytes

    @property
    def blocks(self) -> int:
        return self._server.published_blocks

    def open(self, key: str) -> BinaryIO | None:
        """As a Library: the file of that key."""
        for path in self.signer.served():
            if file_key(path) == key:
                return open(self.yard.depot / path, "rb")
        return None

    def release(self, version: str, content: bytes = b"TFL3") -> str:
        """Put one more version of `digits` in force. Returns the digest of its bundle."""
        return self._put_in_force(version, self.yard.with_model(version, content))

    def _put_in_force(self, version: str, targets: bytes) -> str:
        files = self.yard.staged(targets, self._place / f"staged-{version}")
        self.signer.take_release([], targets, files)
        self.yard.targets = targets
        path = f"models/digits/{version}/tflite.zip"
        return next(f.digest for f in self.signer.held.files.values() if f.path == path)

    def release_bytes(self, version: str, content: bytes) -> str:
        """Put anything in force as if it were a bundle: the release key signs what it is given."""
        path, digest = bundle_path("digits", version, "tflite"), hashlib.sha256(content).hexdigest()
        digests = block_digests(content)
        named = Target(path, digest, len(content), Variant("digits", version, "tflite"))
        self.yard.files |= {path: content, blocks_path(path): digests}
        targets = self.yard.signed(roles_targets.with_bundle(self.yard.targets, named, digests))
        return self._put_in_force(version, targets)

    def deploy(self, *rules: Rule, pipeline: str = "lane") -> None:
        """Let devices run by these rules, and ring the bell."""
        now = int(time.time())
        after = self.signer.versions.deployments
        wish = Wish(FLEET, f"w{after}", now, now + 300, after, Deployment(pipeline, rules))
        payload = sealed(offers.DOMAIN, msgspec.json.encode(wish), self.yard.command_key)
        self.signer.deploy(FLEET, wish.id, payload)
        self.ring()

    def ring(self) -> None:
        self._link.publish(topics.bell(FLEET), self.signer.timestamp, retain=True)

    def _post(self, event: LinkEvent) -> None:
        if isinstance(event, Received):
            self._asked.put(event)
        elif isinstance(event, Connected):
            self._is_connected.set()

    def _run(self) -> None:
        while True:
            wait_s = self._server.tick() if self._may_serve() else 0.05
            try:
                message = self._asked.get(timeout=min(max(wait_s, 0.001), 0.05))
            except queue.Empty:
                continue
            if message is None:
                return
            told = topics.told(message.topic)
            if told is not None:
                self.requests[told.device] += 1
                self._server.asked(told.device, message.payload)

    def _may_serve(self) -> bool:
        if self.most_blocks is not None and self._server.published_blocks >= self.most_blocks:
            return False
        return self.serves


def rule(version: str, gates: Gates = Gates(), attempt: int = 0) -> Rule:  # noqa: B008 - frozen
    """Everybody runs this version of `digits`."""
    return Rule("digits", version, gates=gates, attempt=attempt)
