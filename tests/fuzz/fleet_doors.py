"""Doors of the operator's side: what devices, a depot and operators publish, and what is shown."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec

from fleet.commands import sign
from fleet.depot.depot import Depot
from fleet.offering.candidates import candidates
from fleet.offering.offering import Session
from fleet.roles import roles
from fleet.signer.signer import Signer
from tests import telling
from tests.depot_folder import FLEET, Yard, make_yard
from tests.fuzz.door import Door, Opened
from tests.fuzz.wire_doors import MESSAGES
from tests.unit.test_watch_hostile import hear_and_show
from wire import topics
from wire.block.blocks import BlockRequest, path_key
from wire.block.client import FetchTerms
from wire.link import Received
from wire.memory_link import MemoryBroker
from wire.messages import Presence, State, Telemetry, to_json
from wire.offers import Candidate, CandidateList, Offer, OfferedFile
from wire.results import Result

KINDS = ("presence", "state", "telemetry", "event", "result", "reply")
STEPS = 3  # of the depot, for each input


def open_watch(folder: Path, last: ExitStack) -> Opened:
    """A byte that says which message it is; all that a terminal could show of it is shown."""

    def attempt(content: bytes) -> None:
        kind = KINDS[content[0] % len(KINDS) if content else 0]
        deep = "/door" if kind == "result" else ""
        topic = f"vedette/{telling.FLEET}/device/a/{kind}{deep}"
        bad = Received(topic, content[1:], False)
        hear_and_show([bad, telling.said("a", telling.record(5)), bad])

    names = {Presence: 0, State: 1, Telemetry: 2, telling.Event: 3, Result: 4}
    seeds = [bytes([names[type(one)]]) + to_json(one) for one in MESSAGES if type(one) in names]
    return Opened(attempt, tuple(seeds))


class Standing:
    """A depot of a real fleet's folder, with a broker in memory."""

    def __init__(self, folder: Path, last: ExitStack) -> None:
        self.yard: Yard = make_yard(folder)
        self.broker = MemoryBroker()
        signer = Signer(self.yard.depot)
        last.callback(signer.close)
        terms = FetchTerms(read_s=0.002, patience_s=0.002)
        self.depot = Depot(FLEET, signer, self.broker.link, fetch=terms)
        self.depot.open()
        last.callback(self.depot.close)

    def hear(self, topic: str, payload: bytes) -> None:
        self.broker.sent.clear()
        self.broker.carry(topic, payload, retain=False)
        for _ in range(STEPS):
            self.depot.step(0.0)
        said = sum(len(payload) for _, payload in self.broker.sent[1:])
        assert said < 128 * 1024, f"{said} bytes were answered to {len(payload)}"


def open_depot(folder: Path, last: ExitStack) -> Opened:
    """A byte that says on which topic, then the payload."""
    standing = Standing(folder, last)
    yard, count = standing.yard, 0
    places: tuple[Callable[[str], str], ...] = (
        lambda _: topics.request(FLEET, "door"),
        lambda _: topics.bell(FLEET),
        lambda name: topics.offer(FLEET, name, "ask"),
        lambda name: topics.offer(FLEET, name, "offer"),
        lambda name: topics.offer(FLEET, name, "deploy"),
    )

    def attempt(content: bytes) -> None:
        nonlocal count
        count += 1
        place = places[content[0] % len(places) if content else 0]
        name = f"w{count}".encode()
        standing.hear(place(name.decode()), content[1:].replace(b"@id@", name))

    wanted = BlockRequest(path_key("metadata/timestamp.json"), ((0, 1),))
    files = (OfferedFile("metadata/2.targets.json", "a" * 64, 2312),)
    seeds = (
        b"\0" + to_json(wanted),
        b"\1" + (yard.depot / "metadata" / "timestamp.json").read_bytes(),
        b"\2" + to_json(wanted),
        b"\3" + to_json(Offer("x", "release", files)).replace(b'"id":"x"', b'"id":"@id@"'),
        b"\3" + to_json(Offer("x", "candidate", files)).replace(b'"id":"x"', b'"id":"@id@"'),
        b"\4" + yard.wish("1", 1),
    )
    return Opened(attempt, seeds)


def open_release(folder: Path, last: ExitStack) -> Opened:
    """Release metadata that somebody offers, as it is and signed by who stole the release key."""
    yard = make_yard(folder)
    signer = Signer(yard.depot)
    last.callback(signer.close)

    def attempt(content: bytes) -> None:
        try:
            signer.judge([], content)
        finally:
            signer.judge([], roles.signed(content, [yard.release_key]))

    return Opened(attempt, (yard.with_model("1"), yard.with_model("2")))


class _Files:
    """Where an operator's command reads from: somebody else's depot."""

    def __init__(self) -> None:
        self.content = b""

    def read(self, path: str, most_bytes: int) -> bytes:
        return self.content[:most_bytes]


def open_candidates(folder: Path, last: ExitStack) -> Opened:
    """The list of what waits for a signature, as it is printed."""
    files = _Files()
    session = cast("Session", SimpleNamespace(files=files))
    words = SimpleNamespace(json=False)

    def attempt(content: bytes) -> None:
        files.content = content
        waiting = candidates(session)
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            sign._list(words, waiting)  # type: ignore[arg-type]
        assert all(line.isprintable() for line in shown.getvalue().split("\n"))

    one = Candidate("a" * 64, 5000, "digits", "2", "tflite", ("raspberry-pi",), time.time() - 60)
    return Opened(attempt, (msgspec.json.encode(CandidateList((one, one))),))


DOORS: tuple[Door, ...] = (
    Door("fleet.watch", "a device", open_watch, limit_s=4.0, examples=30),
    Door("depot", "a device, an operator", open_depot, limit_s=4.0),
    Door("depot.release", "a thief of the release key", open_release, form="json", examples=30),
    Door("candidates", "a depot", open_candidates, form="json"),
)
