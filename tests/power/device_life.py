"""The life of a device, with a real agent, to be recorded. Run by test_device.

    python -m tests.power.device_life FLEET DEVICE

Below DEVICE/state lies all that a power cut may spoil. One version after the other is deployed:
1 is good, 2 is rolled back, 3 is rejected, keys are rotated, 4 comes in two lives and is good. What
the device says to others is marked: a power cut must not unsay it.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from fleet.roles import roles
from fleet.roles import root as roles_root
from fleet.roles.roles import Role
from tests.power.recorder import mark
from tests.pretend_runtime import PretendRuntime
from tests.rig import Rig, SetClock, config_text
from tests.small_fleet import SmallFleet, rule
from wire import topics
from wire.config import Config, parse
from wire.deployments import Gates
from wire.memory_link import MemoryBroker
from wire.messages import Event, State
from wire.messages import parse as parse_message
from wire.signing import make_key

GATES = Gates(trial_s=20.0, first_result_s=20.0, p95_ms=20.0)
LARGE = 150_000  # bytes of version 4: some blocks
UPDATES = """\
[updates]
root = "{root}"
spread_s = 0
keep = 0
mib_per_day = 1000
"""


class ToldBroker(MemoryBroker):
    """Marks what the device says."""

    def carry(self, topic: str, payload: bytes, retain: bool) -> None:
        if topic == topics.event("yard", "door"):
            event = parse_message(payload, Event)
            mark(f"record {event.spool} {event.seq}")
            if event.update is not None:
                mark(f"phase {event.update.version} {event.update.phase}")
        elif topic == topics.state("yard", "door"):
            trusted = parse_message(payload, State).trusted
            if trusted is not None:
                told = (trusted.root, trusted.timestamp, trusted.targets, trusted.deployments)
                mark(f"trusted {' '.join(map(str, told))}")
        super().carry(topic, payload, retain)


def config_of(root: Path) -> Config:
    return parse(config_text(mib=4) + UPDATES.format(root=root), "vedette.toml")


def rig_of(device: Path, broker: MemoryBroker, fleet: SmallFleet) -> Rig:
    clock = SetClock(wall_ahead_s=time.time() - 1000.0)
    return Rig(device, broker.link, config_of(fleet.root), clock)


def phase(rig: Rig) -> str | None:
    update = rig.agent.state().pipelines["lane"].update
    return None if update is None else update.phase


def rotate(fleet: SmallFleet) -> None:
    """Other keys for releases and timestamps."""
    yard = fleet.yard
    key = make_key(yard.place / "release-2.pem")
    online = make_key(yard.depot / "keys" / "timestamp-2.pem")
    changed: dict[roles.RoleName, Role] = {
        "targets": Role((key.public,)),
        "timestamp": Role((online.public,)),
    }
    root = roles.signed(roles_root.next_root(yard.root, changed, time.time()), [yard.root_key])
    yard.release_key, yard.root = key, root
    yard.targets = yard.signed(yard.targets)
    fleet.signer.take_release([root], yard.targets, {})
    fleet.ring()


def live(fleet: SmallFleet, device: Path, broker: MemoryBroker) -> None:
    with rig_of(device, broker, fleet) as rig:
        runtime = PretendRuntime(rig)
        runtime.live(12)
        first = fleet.release("1")
        fleet.deploy(rule("1", GATES))
        runtime.until(lambda: runtime.digest == first)
        runtime.live(32)
        assert phase(rig) == "good"
        slow = fleet.release("2", b"slow")
        fleet.deploy(rule("2", GATES))
        runtime.until(lambda: runtime.digest == slow)
        runtime.inference_us = 30_000.0
        runtime.live(22)
        runtime.until(lambda: runtime.digest == first)
        assert phase(rig) == "rolled_back"
        runtime.inference_us = 4_000.0
        runtime.bad[fleet.release("3", b"wrong")] = "golden a.png: it says 7, 3 is right"
        fleet.deploy(rule("3", GATES))
        runtime.until(lambda: phase(rig) == "rejected")
        rotate(fleet)
        runtime.until(lambda: rig.agent.state().trusted and rig.agent.state().trusted.root == 2)  # type: ignore[union-attr]
        fourth = fleet.release("4", os.urandom(LARGE))
        fleet.most_blocks = fleet.blocks + 6
        fleet.deploy(rule("4", GATES))
        runtime.until(lambda: fleet.blocks >= (fleet.most_blocks or 0))
    fleet.most_blocks = None
    with rig_of(device, broker, fleet) as rig:
        runtime = PretendRuntime(rig, first)
        runtime.live(12)
        runtime.until(lambda: runtime.digest == fourth)
        runtime.live(32)
        assert phase(rig) == "good"
        runtime.live(62)  # one more record


def main(fleet_place: Path, device: Path) -> None:
    broker = ToldBroker()
    with SmallFleet(fleet_place, broker.link) as fleet:
        live(fleet, device, broker)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
