"""A fault that was said is ended by a word, also where the disk did not take the first one."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.rig import Rig, totals
from wire import topics
from wire.memory_link import MemoryBroker
from wire.messages import Event, parse


def kinds(broker: MemoryBroker) -> list[str]:
    told = [payload for name, payload in broker.sent if name == topics.event("yard", "door")]
    events = [parse(each, Event) for each in told]
    return [each.kind for each in events if each.subject == "camera"]


def test_a_restart_on_a_full_disk_forgets_no_fault(tmp_path: Path) -> None:
    """The spool is as before the fault; the run folder, which is memory, knows of it."""
    place, run, broker = tmp_path / "door", tmp_path / "run", MemoryBroker()
    with Rig(place, broker.link, run=run) as rig:
        rig.say(totals(30, 10.0))
        rig.quiet()
        shutil.copytree(place / "state", tmp_path / "before" / "state")
        rig.say(totals(30, 20.0, phase="no_camera", absent="/dev/video0 is not there"))
        rig.forward(12.0)
        assert kinds(broker) == ["fault"]
    with Rig(tmp_path / "before", broker.link, run=run) as rig:
        rig.say(totals(60, 30.0))
        rig.forward(12.0)
    assert kinds(broker) == ["fault", "recovered"]


def test_after_a_reboot_the_spool_knows_of_it(tmp_path: Path) -> None:
    place, broker = tmp_path / "door", MemoryBroker()
    with Rig(place, broker.link, run=tmp_path / "run1") as rig:
        rig.say(totals(0, 10.0, phase="no_camera", absent="/dev/video0 is not there"))
        rig.forward(12.0)
    with Rig(place, broker.link, run=tmp_path / "run2", boot="boot2") as rig:
        rig.say(totals(30, 10.0, run="run2"))
        rig.forward(12.0)
    assert kinds(broker) == ["fault", "recovered"]
