"""An upgrade is brought to its end, whatever ends whoever brings it there, and whenever."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from installing import durable, upgrade
from installing.places import Places
from installing.progress import Progress
from installing.services import AGENT, runtime_unit
from installing.vitals import TELEMETRY

from tests.install.devices import Device, release
from tests.install.dying import in_a_child
from tests.laws.sources import ROOT

OLD, NEW = "1.0.0-1", "1.1.0-1"
ALL = ["vedette-agent", "vedette-runtime@door", "frames of door", TELEMETRY]
MOST_STEPS = 60


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A device on which the old release runs, and the new one was made."""
    places = Places(tmp_path / "root")
    places.units.mkdir(parents=True)
    places.config.parent.mkdir(parents=True)
    places.config.write_text("# read by the pretended releases\n")
    for name in (OLD, NEW):
        release(places, name, ROOT / "systemd")
    upgrade.apply(places, Device(places), OLD, Progress(1))
    return places


def settle(device: Device) -> upgrade.Outcome | None:
    return upgrade.settle(device.places, device, Progress(1))


def runs(places: Places) -> str:
    return os.path.basename(os.readlink(places.current))


def test_the_new_one_stays_if_it_works(places: Places) -> None:
    device = Device(places)
    device.boot()
    upgrade.begin(places, OLD, NEW, ALL)
    assert settle(device) == upgrade.Outcome(OLD, NEW, "")
    assert runs(places) == NEW and places.linked(places.previous) == OLD
    assert device.running[AGENT][0] == NEW
    assert device.running[runtime_unit("door")][0] == NEW
    assert not places.marker.exists()
    assert settle(device) is None


@pytest.mark.parametrize("fault", ["broken", "silent"])
def test_the_old_one_comes_back_if_it_does_not(places: Places, fault: str) -> None:
    device = Device(places, **{fault: (NEW,)})  # type: ignore[arg-type]
    device.boot()
    upgrade.begin(places, OLD, NEW, ALL)
    outcome = settle(device)
    assert (
        outcome is not None and ("vedette-agent" if fault == "broken" else TELEMETRY) in outcome.why
    )
    assert runs(places) == OLD
    assert {found for found, _ in device.running.values()} == {OLD}
    assert sorted(path.name for path in places.releases.iterdir()) == [OLD]


def test_what_did_not_work_before_need_not_work_afterwards(places: Places) -> None:
    """Somebody upgrades a device while its broker is away."""
    device = Device(places, silent=(OLD, NEW))
    device.boot()
    upgrade.begin(places, OLD, NEW, [name for name in ALL if name != TELEMETRY])
    outcome = settle(device)
    assert outcome is not None and outcome.why == ""


def test_a_release_that_takes_the_machine_down_is_tried_three_times(places: Places) -> None:
    upgrade.begin(places, OLD, NEW, ALL)

    class Falling(Device):
        def pause(self, seconds: float) -> None:
            raise SystemError("the machine went down")

    for _ in range(3):
        device = Falling(places)
        device.boot()
        with pytest.raises(SystemError):
            settle(device)
        assert runs(places) == NEW
    device = Device(places)
    device.boot()
    outcome = settle(device)
    assert outcome is not None and "went down 3 times" in outcome.why
    assert runs(places) == OLD


def test_processes_of_before_are_not_taken_for_new_ones(places: Places) -> None:
    """The one that settles is killed between link and start: the processes are still old ones."""
    device = Device(places)
    device.boot()
    upgrade.begin(places, OLD, NEW, ALL)
    durable.link(places.current, f"releases/{NEW}")
    outcome = settle(device)
    assert outcome is not None and outcome.why == ""
    assert {found for found, _ in device.running.values()} == {NEW}


@pytest.mark.slow
@pytest.mark.parametrize("broken", [(), (NEW,)], ids=["to the new one", "back to the old one"])
def test_killed_at_every_step_and_booted_again(
    tmp_path: Path, places: Places, broken: tuple[str, ...]
) -> None:
    killed = 0
    for steps in range(MOST_STEPS):
        root = Path(shutil.copytree(places.root, tmp_path / f"root{steps}", symlinks=True))
        device = Device(Places(root), broken=broken)
        device.boot()

        def act(device: Device = device) -> None:
            upgrade.begin(device.places, OLD, NEW, ALL)
            settle(device)

        if not in_a_child(act, steps):
            break
        killed += 1
        device.boot()
        began = device.places.marker.exists()
        outcome = settle(device)
        if began:
            assert outcome is not None and bool(outcome.why) == bool(broken)
        # before the marker nothing was meant; after it went, all was done
        ends = [OLD] if broken else [NEW] if began else [OLD, NEW]
        assert runs(device.places) in ends
        assert not device.places.marker.exists()
        assert {found for found, _ in device.running.values()} == {runs(device.places)}
        shutil.rmtree(root)
    assert 10 < killed < MOST_STEPS


def test_what_was_given_up_is_not_tried_again(places: Places) -> None:
    """The power goes while it goes back: next time the new one might seem to work."""

    class Falling(Device):
        def restart(self, units: Sequence[str]) -> None:
            if self.running and runs(self.places) == OLD:
                raise SystemError("the machine went down")
            super().restart(units)

    device = Falling(places, broken=(NEW,))
    device.boot()
    upgrade.begin(places, OLD, NEW, ALL)
    with pytest.raises(SystemError):
        settle(device)
    again = Device(places)
    again.boot()
    outcome = settle(again)
    assert outcome is not None and "vedette-agent" in outcome.why
    assert runs(places) == OLD
