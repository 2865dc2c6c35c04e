"""Files over a link: asked for, served, put together; over losses, garbage and an absent depot."""

from __future__ import annotations

import hashlib
import io
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from wire import topics
from wire.block_client import BlockClient, FetchTerms
from wire.block_server import BlockServer
from wire.blocks import BLOCK, NoSuchFile
from wire.link import LinkEvent, Received
from wire.memory_link import MemoryBroker
from wire.part import Part
from wire.release import file_key

ASK = topics.request("yard", "door")


def digests(content: bytes) -> bytes:
    """The list of its block digests."""
    blocks = [content[at : at + BLOCK] for at in range(0, max(1, len(content)), BLOCK)]
    return b"".join(hashlib.sha256(block).digest() for block in blocks)


class Shelves(dict[str, bytes]):
    """A library in memory."""

    def open(self, key: str) -> BinaryIO | None:
        return io.BytesIO(self[key]) if key in self else None


class Depot:
    """A server with a thread and a link of its own."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.library = Shelves()
        self._requests: list[bytes] = []
        self._changed = threading.Condition()
        self._is_over = False
        self._link = broker.link("depot", self._post)
        self.server = BlockServer(self._link.publish, "yard", self.library)
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Depot:
        self._link.subscribe(ASK)
        self._link.open()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify()
        self._thread.join()
        self.server.close()
        self._link.close()

    def _post(self, event: LinkEvent) -> None:
        if isinstance(event, Received):
            with self._changed:
                self._requests.append(event.payload)
                self._changed.notify()

    def _run(self) -> None:
        wait_s = 0.0
        while not self._is_over:
            with self._changed:
                if not self._requests:
                    self._changed.wait(wait_s)
                requests, self._requests = self._requests, []
            for request in requests:
                self.server.asked("door", request)
            wait_s = self.server.tick()


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
def depot(broker: MemoryBroker) -> Iterator[Depot]:
    with Depot(broker) as depot:
        yield depot


@pytest.fixture
def client(broker: MemoryBroker) -> Iterator[BlockClient]:
    clients: list[BlockClient] = []
    link = broker.link("door", lambda event: clients[0].post(event))
    clients.append(BlockClient(link, "yard", ASK, FetchTerms(read_s=5.0)))
    link.open()
    yield clients[0]
    link.close()


def test_a_large_file_comes_whole(depot: Depot, client: BlockClient, tmp_path: Path) -> None:
    content = random.Random(1).randbytes(100 * BLOCK + 77)
    key = hashlib.sha256(content).hexdigest()
    depot.library[key] = content
    part = Part(tmp_path / "model.zip", len(content), key, digests(content))
    told: list[int] = []
    client.fetch(key, part, told.append, lambda: False)
    assert part.finish().read_bytes() == content
    assert told == sorted(told)
    assert told[-1] == len(content)
    assert client.received_bytes <= len(content) + 101 * 16


def test_a_small_file_is_read_and_read_again(depot: Depot, client: BlockClient) -> None:
    path = "metadata/timestamp.json"
    depot.library[file_key(path)] = b"1"
    assert client.read(path, 100) == b"1"
    depot.library[file_key(path)] = b"2"
    assert client.read(path, 100) == b"2"
    with pytest.raises(NoSuchFile):
        client.read("metadata/2.root.json", 100)
