"""Files over a link: asked for, served, put together; over losses, garbage and an absent depot."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import random
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire import topics
from wire.block.blocks import BLOCK, Block, NoSuchFile, packed
from wire.block.client import BlockClient, FetchTerms
from wire.block.part import Part
from wire.block.reading import Reading
from wire.block.server import BlockServer
from wire.link import LinkEvent, Received
from wire.memory_link import MemoryBroker
from wire.release import file_key
from wire.troubles import Refused, Unavailable

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
        self._link.subscribe(topics.from_devices("yard", "request"))
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
    clients.append(BlockClient(link, "yard", ASK, FetchTerms(read_s=2.0, patience_s=2.0)))
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


def test_a_malicious_broker_that_answers_first_with_garbage(
    broker: MemoryBroker, depot: Depot, client: BlockClient, tmp_path: Path
) -> None:
    """Before every right block come wrong ones; they cost their bytes and nothing else."""
    content = random.Random(1).randbytes(20 * BLOCK + 77)
    key = hashlib.sha256(content).hexdigest()
    depot.library[key] = content
    plain = broker.carry

    def garbled(topic: str, payload: bytes, retain: bool) -> None:
        place = topics.block_place(topic)
        if place is not None:
            right = packed(Block(len(content), bytes(len(payload) - 9)))
            lies = (b"", b"x", payload[:-1], payload + b"x", right, packed(Block(None, b"")))
            for lie in (*lies, packed(Block(5, b"12345")), b"\1" + b"\xff" * 40):
                plain(topic, lie, retain)
            plain(topics.block("yard", key, 10**8), payload, retain)
            plain(topic.replace("yard", "other"), right, retain)
        plain(topic, payload, retain)

    broker.carry = garbled  # type: ignore[method-assign]
    part = Part(tmp_path / "model.zip", len(content), key, digests(content))
    client.fetch(key, part, lambda _: None, lambda: False)
    assert part.finish().read_bytes() == content
    path = f"targets/models/digits/7/{key}.tflite.blocks"
    assert client.read(path, len(content)) == content


def test_no_such_file_is_believed_of_metadata_only(depot: Depot, client: BlockClient) -> None:
    began = time.monotonic()
    with pytest.raises(NoSuchFile, match=r"there is no metadata/2\.root\.json"):
        client.read("metadata/2.root.json", 100)
    assert time.monotonic() - began < 1.0, "it is an answer, and no silence"
    with pytest.raises(NoSuchFile):  # what has a digest may come from somebody else
        client.read(f"targets/keys/{'0' * 64}.commands.json", 100)
    assert time.monotonic() - began > 1.0


def test_what_is_too_large_is_refused(depot: Depot, client: BlockClient) -> None:
    depot.library[file_key("metadata/timestamp.json")] = bytes(101)
    with pytest.raises(Refused, match="101 bytes, and 100 are the most"):
        client.read("metadata/timestamp.json", 100)


@pytest.mark.slow
def test_nobody_answers(client: BlockClient, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="nobody answered for 2 s who has metadata/timestamp"):
        client.read("metadata/timestamp.json", 100)
    part = Part(tmp_path / "m.zip", 5, "0" * 64, bytes(32))
    with pytest.raises(Unavailable, match="nobody answered"):
        client.fetch("0" * 64, part, lambda _: None, lambda: False)


def test_it_ends_when_it_is_told(client: BlockClient, tmp_path: Path) -> None:
    asked: list[float] = []

    def is_over() -> bool:
        asked.append(time.monotonic())
        return len(asked) > 4

    part = Part(tmp_path / "m.zip", 5, "0" * 64, bytes(32))
    with pytest.raises(Unavailable, match="was ended; what came is kept"):
        client.fetch("0" * 64, part, lambda _: None, is_over)
    assert max(b - a for a, b in pairwise(asked)) < 1.0
    closing = threading.Timer(0.1, client.close)
    closing.start()
    with pytest.raises(Unavailable, match="this program stops"):
        client.read("metadata/timestamp.json", 100)
    closing.join()


def test_over_the_loss_of_the_connection(
    broker: MemoryBroker, depot: Depot, client: BlockClient, tmp_path: Path
) -> None:
    content = random.Random(1).randbytes(200 * BLOCK)
    key = hashlib.sha256(content).hexdigest()
    depot.library[key] = content
    part = Part(tmp_path / "model.zip", len(content), key, digests(content))
    cuts: list[int] = []
    opening: list[threading.Timer] = []

    def progress(have_bytes: int) -> None:
        link = broker._links.get("door")
        if link is not None and have_bytes > len(content) * (len(cuts) + 1) / 5:
            cuts.append(have_bytes)
            broker.cut("door")
            opening.append(threading.Timer(0.05, link.open))
            opening[-1].start()

    client.fetch(key, part, progress, lambda: False)
    assert part.finish().read_bytes() == content
    assert len(cuts) >= 2
    for each in opening:
        each.join()


def test_without_a_connection_it_says_so(broker: MemoryBroker, client: BlockClient) -> None:
    broker.stop()
    with pytest.raises(Unavailable, match="there is no connection to the broker"):
        client.read("metadata/timestamp.json", 100)


def test_a_full_disk_ends_it_and_keeps_what_came(
    depot: Depot, client: BlockClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = random.Random(1).randbytes(50 * BLOCK)
    key = hashlib.sha256(content).hexdigest()
    depot.library[key] = content
    part = Part(tmp_path / "model.zip", len(content), key, digests(content))
    plain, left = os.pwrite, [20]

    def pwrite(file: int, content: bytes, at: int) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return plain(file, content, at)

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", pwrite)
        with pytest.raises(Unavailable, match="is full: make room"):
            client.fetch(key, part, lambda _: None, lambda: False)
    assert part.have_bytes == 20 * BLOCK
    client.fetch(key, part, lambda _: None, lambda: False)
    assert part.finish().read_bytes() == content


@given(
    topic=st.text(max_size=80)
    | st.builds(
        lambda number: f"vedette/yard/block/{'0' * 64}/{number}",
        st.integers(-9, 10**12) | st.text(max_size=5),
    ),
    payload=st.binary(max_size=100),
)
def test_no_message_is_an_exception(topic: str, payload: bytes) -> None:
    broker = MemoryBroker()
    link = broker.link("door", lambda _: None)
    client = BlockClient(link, "yard", ASK, FetchTerms(read_s=0.0))
    taken = client.post(Received(topic, payload, False))
    assert taken == (topics.block_place(topic) is not None)
    reading, number = Reading(1000, None), abs(hash(topic)) % 100_000
    reading.take(number, payload)
    reading.take(0, payload)
    Reading(1000, "0" * 64).take(0, payload)


def test_blocks_that_others_asked_for_are_taken(
    broker: MemoryBroker, client: BlockClient, tmp_path: Path
) -> None:
    """Nobody hears our requests, and somebody else's are answered."""
    content = random.Random(1).randbytes(3 * BLOCK)
    key = hashlib.sha256(content).hexdigest()
    part = Part(tmp_path / "model.zip", len(content), key, digests(content))

    def speak() -> None:
        for number in range(3):
            block = content[number * BLOCK : (number + 1) * BLOCK]
            payload = packed(Block(len(content), block))
            broker.carry(topics.block("yard", key, number), payload, False)

    speaking = threading.Timer(0.3, speak)
    speaking.start()
    client.fetch(key, part, lambda _: None, lambda: False)
    assert part.finish().read_bytes() == content
    speaking.join()
