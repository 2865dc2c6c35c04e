"""The courier while the spool's disk goes and comes back: all arrives, in the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.keeping import RETRY_S, Keeping
from tests.delivery import By, Delivery, HandClock
from wire.config import TelemetryTable


@pytest.mark.parametrize("by", ["broker", "registry"])
@pytest.mark.parametrize("is_up", [True, False])
def test_the_disk_goes_and_comes_back(tmp_path: Path, by: By, is_up: bool) -> None:
    clock = HandClock()
    folder, away = tmp_path / "state", tmp_path / "away"
    folder.mkdir()
    keeping = Keeping(folder, TelemetryTable(), clock)
    delivery = Delivery(keeping, clock, by)
    delivery.append(60)
    delivery.connect()
    delivery.run(1.0)
    if not is_up:
        delivery.disconnect()
    delivery.append(2)
    on_their_way = list(delivery.wire.waiting)
    folder.rename(away)
    keeping.tick()
    clock.now_s += RETRY_S
    keeping.tick()
    assert keeping.fault is not None
    delivery.append(3)
    delivery.puback(on_their_way if is_up else [])
    if is_up:
        assert delivery.made[-1] in delivery.keys  # out of memory, at once
        delivery.run(5.0)
    away.rename(folder)
    clock.now_s += RETRY_S
    keeping.tick()
    assert keeping.fault is None
    delivery.append(1)
    if not is_up:
        delivery.connect()
    for _ in range(4):
        delivery.run(RETRY_S)
        keeping.tick()
    assert keeping.waiting == 0
    assert set(delivery.keys) == set(delivery.made)
    assert keeping.lost == 0
    assert len(delivery.keys) <= len(delivery.made) + 25
    keeping.close()


@pytest.mark.parametrize("by", ["broker", "registry"])
def test_a_restart_sends_what_waits_and_no_more(tmp_path: Path, by: By) -> None:
    clock = HandClock()
    keeping = Keeping(tmp_path, TelemetryTable(), clock)
    delivery = Delivery(keeping, clock, by)
    delivery.append(60)
    delivery.connect()
    delivery.run(1.5)
    keeping.close()
    sent, waiting = len(delivery.wire.sent), keeping.waiting
    keeping = Keeping(tmp_path, TelemetryTable(), clock)
    again = Delivery(keeping, clock, by)
    again.far = delivery.far
    assert 0 < keeping.waiting == waiting < 60
    again.connect()
    again.append(1)
    again.run(5.0)
    assert keeping.waiting == 0
    assert set(delivery.keys[:sent]) | set(again.keys) == set(delivery.made) | set(again.made)
    keeping.close()
