"""What explains a gap in the records: how the agent before ended, how long it was alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import agent.keeping
from tests.rig import Rig
from wire import topics
from wire.link import Disconnected
from wire.memory_link import MemoryBroker
from wire.messages import Event, parse


def notes(broker: MemoryBroker, subject: str) -> list[str]:
    told = [payload for name, payload in broker.sent if name == topics.event("yard", "door")]
    events = [parse(each, Event) for each in told]
    return [each.text for each in events if (each.kind, each.subject) == ("note", subject)]


def started(folder: Path) -> str:
    """What the next agent says of its start."""
    broker = MemoryBroker()
    with Rig(folder, broker.link) as rig:
        rig.quiet()
    return notes(broker, "agent")[-1].partition(" started")[2]


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A folder as an agent leaves it that was killed."""
    with Rig(tmp_path / "door", MemoryBroker().link) as rig:
        rig.quiet()
        (tmp_path / "copy").mkdir()
        shutil.copytree(tmp_path / "door" / "state", tmp_path / "copy" / "state")
    return tmp_path / "copy"


def test_after_an_end_in_order_there_is_nothing_to_explain(tmp_path: Path) -> None:
    assert started(tmp_path) == ""
    assert started(tmp_path) == ""


def test_after_a_kill_it_says_so(killed: Path) -> None:
    assert started(killed) == ": the one before did not end in order"


def test_after_a_power_cut_it_says_so(killed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent.keeping, "boot_id", lambda: "another")
    assert "went down without a shutdown" in started(killed)
    assert started(killed) == ""


def test_an_outage_is_told_when_it_is_over(tmp_path: Path) -> None:
    broker = MemoryBroker()
    with Rig(tmp_path, broker.link) as rig:
        rig.quiet()
        outage(rig, broker, 59.0)
        assert notes(broker, "broker") == []
        outage(rig, broker, 183.0)
        assert notes(broker, "broker") == [
            "there was no way to the broker for 183 s: the connection was cut"
        ]
        outage(rig, broker, 5.0)
        assert len(notes(broker, "broker")) == 1


def outage(rig: Rig, broker: MemoryBroker, seconds: float) -> None:
    """The line is cut; somebody tries again and again; then it is there."""
    broker.cut("door")
    rig.quiet()
    rig.clock.up_s += seconds / 2
    rig.inbox.post(Disconnected("the connection was cut", 1.0))
    rig.quiet()
    rig.clock.up_s += seconds / 2
    rig.agent._link.open()
    rig.quiet()
