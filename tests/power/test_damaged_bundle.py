"""A bundle that the disk has spoiled or cannot read comes again: the model is not condemned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from unittest.mock import patch

import pytest

from tests.power.device_life import GATES, config_of
from tests.power.survivor import DepotFolder, Survivor
from tests.small_fleet import SmallFleet, rule
from wire.memory_link import MemoryBroker
from wire.troubles import Unavailable


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[SmallFleet]:
    with SmallFleet(tmp_path / "fleet", MemoryBroker().link) as fleet:
        yield fleet


def opened(fleet: SmallFleet, state: Path) -> Survivor:
    state.mkdir(exist_ok=True)
    depot = DepotFolder(fleet.yard.depot)
    return Survivor(state, depot, config_of(fleet.root), fleet.root.read_bytes())


def phase(device: Survivor) -> str | None:
    return None if device.update is None else device.update.phase


@pytest.mark.parametrize("spoiled", [b"", b"no bundle", b"\0" * 40_000])
def test_spoiled_between_two_lives(spoiled: bytes, fleet: SmallFleet, tmp_path: Path) -> None:
    digest = fleet.release("1", b"\1" * 40_000)
    fleet.deploy(rule("1", GATES))
    coming = tmp_path / "state" / "updates" / "coming"
    coming.mkdir(parents=True)
    (coming / f"{digest}.zip").write_bytes(spoiled)
    with opened(fleet, tmp_path / "state") as device:
        device.live(60)
        assert phase(device) == "good", device.told
    assert not list(coming.iterdir())


def test_a_disk_that_cannot_open_it_once(fleet: SmallFleet, tmp_path: Path) -> None:
    fleet.release("1", b"\1" * 40_000)
    fleet.deploy(rule("1", GATES))
    from models import bundle

    real, failures = bundle.open_plain, 5

    def failing(path: Path) -> BinaryIO:
        nonlocal failures
        if path.suffix == ".zip" and failures:
            failures -= 1
            raise OSError(5, "Input/output error")
        return real(path)

    with patch("models.bundle.open_plain", failing), opened(fleet, tmp_path / "state") as device:
        device.live(60)
        assert phase(device) == "good", device.told
    assert failures == 0


def test_what_cannot_be_read_is_not_taken_for_unneeded(fleet: SmallFleet, tmp_path: Path) -> None:
    digest = fleet.release("1")
    fleet.deploy(rule("1", GATES))
    with opened(fleet, tmp_path / "state") as device:
        device.live(60)
        assert phase(device) == "good", device.told
        with patch("models.pipelines.os.readlink", side_effect=OSError(5, "Input/output error")):
            device.sweep()
            with pytest.raises(Unavailable):
                device.store.collect(0)
        assert device.store.pipeline("lane").good == digest
