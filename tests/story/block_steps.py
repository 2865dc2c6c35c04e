"""The two ends of a fetch as processes of their own: `serve` and `fetch`; and `bare`, the pair
that they are measured against."""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import mmap
import queue
import struct
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from wire import topics
from wire.backoff import Backoff
from wire.block.blocks import BLOCK
from wire.block.client import BlockClient, FetchTerms
from wire.block.part import Part
from wire.block.server import BlockServer, ServeTerms
from wire.config import Broker
from wire.link import Connected, LinkEvent, Received
from wire.mqtt.mqtt import MqttLink
from wire.troubles import Trouble

FLEET, DEVICE = "yard", "door"
COUNTER = struct.Struct("<Q")


def digests(content: bytes) -> bytes:
    """The sha256 of every block, one after the other."""
    blocks = [content[at : at + BLOCK] for at in range(0, max(1, len(content)), BLOCK)]
    return b"".join(hashlib.sha256(block).digest() for block in blocks)


class Folder:
    """A library: files are called by their keys."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, key: str) -> BinaryIO | None:
        try:
            return open(self._folder / key, "rb")
        except FileNotFoundError:
            return None


class Counter:
    """A number in a file, right even after kill -9."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(COUNTER.pack(0))
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), COUNTER.size)

    def add(self, amount: int) -> None:
        self._map[:] = COUNTER.pack(COUNTER.unpack(self._map[:])[0] + amount)


def counted(path: Path) -> int:
    return int(COUNTER.unpack(path.read_bytes())[0])


def link_to(port: int, client_id: str, post: object) -> MqttLink:
    return MqttLink(Broker(f"mqtt://127.0.0.1:{port}"), client_id, post, None, Backoff(0.05, 0.2))  # type: ignore[arg-type]


def serve(port: int, folder: Path) -> int:
    """Until killed."""
    inbox: queue.SimpleQueue[Received] = queue.SimpleQueue()

    def post(event: LinkEvent) -> None:
        if isinstance(event, Received):
            inbox.put(event)
        elif isinstance(event, Connected):
            print("ready", flush=True)

    link = link_to(port, "depot", post)
    server = BlockServer(link.publish, FLEET, Folder(folder), ServeTerms())
    link.subscribe(topics.from_devices(FLEET, "request"))
    link.open()
    wait_s = 0.0
    while True:
        try:
            event = inbox.get(timeout=wait_s) if wait_s > 0 else inbox.get_nowait()
            told = topics.told(event.topic)
            if told is not None:
                server.asked(told.device, event.payload)
        except queue.Empty:
            pass
        wait_s = server.tick()


def fetch(port: int, folder: Path, key: str, kib_per_s: int | None) -> int:
    """Fetch folder/key.want: its size, then its block digests. Prints one JSON line."""
    counter = Counter(folder / "received")
    ready: queue.SimpleQueue[None] = queue.SimpleQueue()
    clients: list[BlockClient] = []

    def post(event: LinkEvent) -> None:
        if isinstance(event, Received):
            counter.add(len(event.payload))
        elif isinstance(event, Connected):
            ready.put(None)
        clients[0].post(event)

    link = link_to(port, DEVICE, post)
    terms = FetchTerms(kib_per_s=kib_per_s, patience_s=60.0)
    clients.append(BlockClient(link, FLEET, topics.request(FLEET, DEVICE), terms))
    link.open()
    ready.get(timeout=30)
    want = (folder / f"{key}.want").read_bytes()
    (size,) = COUNTER.unpack_from(want)
    begun = time.perf_counter()
    try:
        part = Part(folder / "got", size, key, want[COUNTER.size :])
        clients[0].fetch(key, part, lambda _: None, lambda: False)
        part.finish()
    except Trouble as trouble:
        print(json.dumps({"trouble": str(trouble)}), flush=True)
        return 1
    finally:
        link.close()
    print(json.dumps({"seconds": time.perf_counter() - begun}), flush=True)
    return 0


def bare_subscriber(port: int, count: int) -> int:
    """Takes `count` messages with paho, and prints when the last one came."""
    came: list[float] = []
    client = Client(CallbackAPIVersion.VERSION2)

    def heard(_client: Client, _: object, _message: MQTTMessage) -> None:
        came.append(time.monotonic())
        if len(came) == count:
            client.disconnect()

    client.on_message = heard
    client.on_connect = lambda *_: client.subscribe("bare")
    client.on_subscribe = lambda *_: print("ready", flush=True)
    client.connect("127.0.0.1", port)
    client.loop_forever()
    print(json.dumps({"ended_s": came[-1]}), flush=True)
    return 0


def bare_publisher(port: int, count: int) -> int:
    """Sends `count` messages of one block as fast as paho does; prints when it began."""
    client = Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    payload = bytes(BLOCK)
    while not client.is_connected():
        time.sleep(0.001)
    print(json.dumps({"begun_s": time.monotonic()}), flush=True)
    for _ in range(count):
        told = client.publish("bare", payload, 0)
    told.wait_for_publish(60)
    client.disconnect()
    client.loop_stop()
    return 0


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=("serve", "fetch", "bare-subscriber", "bare-publisher"))
    parser.add_argument("port", type=int)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--key")
    parser.add_argument("--kib-per-s", type=int)
    parser.add_argument("--count", type=int)
    told = parser.parse_args(argv)
    logging.disable(logging.CRITICAL)
    if told.role == "serve":
        return serve(told.port, told.folder)
    if told.role == "fetch":
        return fetch(told.port, told.folder, told.key, told.kib_per_s)
    run = bare_subscriber if told.role == "bare-subscriber" else bare_publisher
    return run(told.port, told.count)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
