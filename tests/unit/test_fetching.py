"""The fetch thread comes up, or says why it does not."""

from __future__ import annotations

import math
import queue
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.fetch import fetching
from agent.fetch.fetching import Fetching, Home
from agent.fetch.words import FromFetch, NotRefreshed
from models.store import Store
from tests.depot_folder import make_yard
from wire.config import Broker, Config, Updates
from wire.memory_link import MemoryBroker
from wire.pulse import Pulse
from wire.trust.trust import Trust

PATIENCE_S = 20.0


class Rig:
    """A fetch thread of its own. said: what it told."""

    def __init__(self, place: Path, root: Path) -> None:
        self.said: queue.Queue[FromFetch] = queue.Queue()
        self.state = place / "state"
        updates = Updates(root=str(root), spread_s=0)
        config = Config(Broker("mqtt://nowhere"), device="door", updates=updates)
        store = Store(self.state / "models")
        self.pulse = Pulse("fetch", math.inf)
        home = Home(config, "pc", self.state, store, time.time, self.said.put, self.pulse)
        self.fetching = Fetching(home, MemoryBroker().link("door", lambda _: None))

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
