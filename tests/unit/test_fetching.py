"""The fetch thread comes up, or says why it does not."""

from __future__ import annotations

import contextlib
import math
import os
import queue
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.fetch import fetching
from agent.fetch.fetching import Fetching, Home
from agent.fetch.words import FromFetch, NotRefreshed, Progress, Refreshed
from models.store import Store
from tests.depot_folder import FLEET, make_yard
from tests.small_fleet import SmallFleet
from wire.config import Broker, Config, Updates
from wire.link import LinkEvent
from wire.memory_link import MemoryBroker
from wire.pulse import Pulse
from wire.trust.trust import Trust

PATIENCE_S = 20.0


class Rig:
    """A fetch thread of its own. said: what it told."""

    def __init__(self, place: Path, root: Path, broker: MemoryBroker | None = None) -> None:
        self.said: queue.Queue[FromFetch] = queue.Queue()
        self.state = place / "state"
        updates = Updates(root=str(root), spread_s=0)
        config = Config(Broker("mqtt://nowhere"), fleet=FLEET, device="door", updates=updates)
        store = Store(self.state / "models")
        self.pulse = Pulse("fetch", math.inf)
        home = Home(config, "pc", self.state, store, time.time, self.said.put, self.pulse)
        self.link = (broker or MemoryBroker()).link("door", self._post)
        self.fetching = Fetching(home, self.link)

    def _post(self, event: LinkEvent) -> None:
        self.fetching.post(event)

    def next_said(self) -> FromFetch:
        return self.said.get(timeout=PATIENCE_S)


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr(fetching, "FIRST_AGAIN_S", 0.02)
    (tmp_path / "yard").mkdir()
    root = tmp_path / "root.json"
    root.write_bytes(make_yard(tmp_path / "yard").root)
    rig = Rig(tmp_path, root)
    yield rig
    rig.fetching.close()


def test_a_disk_that_fails_at_the_start_is_tried_again(rig: Rig) -> None:
    rig.state.write_text("no folder can be made below this")
    rig.fetching.open()
    for _ in range(2):
        said = rig.next_said()
        assert isinstance(said, NotRefreshed) and "Not a directory" in said.why
    rig.state.unlink()
    end_s = time.monotonic() + PATIENCE_S
    while not (rig.state / fetching.FOLDER).is_dir():
        assert time.monotonic() < end_s, "it did not come up"
        time.sleep(0.01)


def test_one_that_waits_for_the_disk_can_be_ended(rig: Rig) -> None:
    rig.state.write_text("no folder can be made below this")
    rig.fetching.open()
    rig.next_said()
    rig.fetching.close()
    assert not rig.fetching._thread.is_alive()


def test_a_bug_on_the_way_up_is_said(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr(Trust, "__init__", broken)
    rig.state.mkdir()
    rig.fetching.open()
    said = rig.next_said()
    assert isinstance(said, NotRefreshed)
    assert said.why == "a bug, please report it: KeyError: 'oops'"
    rig.fetching._thread.join(PATIENCE_S)
    assert not rig.fetching._thread.is_alive()


def test_a_fetch_that_waits_for_a_depot_does_not_hang(tmp_path: Path) -> None:
    """An outage may last for hours, with a model half there."""
    broker = MemoryBroker()
    with SmallFleet(tmp_path / "fleet", broker.link) as fleet:
        fleet.release("2", os.urandom(3_000_000))
        rig = Rig(tmp_path, fleet.root, broker)
        rig.fetching.open()
        rig.link.open()
        while not isinstance(rig.next_said(), Refreshed):
            pass
        folder, source = rig.state / fetching.FOLDER / "trust", rig.fetching._sources
        trust = Trust(folder, fleet.root.read_bytes(), source, time.time)
        fleet.most_blocks = fleet.blocks + 20
        rig.fetching.want(trust.bundles("digits", "2"), frozenset())
        while not isinstance(rig.next_said(), Progress):
            pass
        with contextlib.suppress(queue.Empty):
            while True:  # until nothing comes any more
                rig.said.get(timeout=1.0)
        beats, end_s = rig.pulse.beats, time.monotonic() + PATIENCE_S
        while rig.pulse.beats < beats + 4:
            assert time.monotonic() < end_s, "it is held to hang"
            time.sleep(0.05)
        assert not rig.pulse.is_resting and rig.said.empty()
        rig.fetching.close()
        rig.link.close()
