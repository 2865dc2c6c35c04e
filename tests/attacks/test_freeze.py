"""A depot that stopped signing: devices say so, go on with what they have, and come back."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tuf.api.metadata import Timestamp

from fleet.roles import online as roles_online
from fleet.roles import roles
from tests.yard import FLEET, Yard, digits
from wire import topics
from wire.messages import Event, Telemetry, parse
from wire.signing import load_key

pytestmark = pytest.mark.slow

LIFE_S = 30.0  # of the last timestamp: long enough for a device to take it


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with Yard(tmp_path) as yard:
        yield yard


def faults(yard: Yard) -> str:
    state = yard.state()
    return " ".join(state.faults) if state is not None else ""


def newest_timestamp(yard: Yard) -> int:
    """That the device believes."""
    state = yard.state()
    return 0 if state is None or state.trusted is None else state.trusted.timestamp


def sign_for_a_moment(yard: Yard, key: Path) -> int:
    """The next timestamp, which soon expires. Its version."""
    metadata = yard.fleet / "depot" / "metadata"
    before = (metadata / "timestamp.json").read_bytes()
    number = roles_online.snapshot_version(before)
    snapshot = (metadata / f"{number}.snapshot.json").read_bytes()
    after = roles_online.timestamp_of(before, snapshot, time.time())
    whole = roles.read(after, Timestamp)
    whole.signed.expires = roles.moment(time.time() + LIFE_S)
    signed = roles.signed(whole.to_bytes(), [load_key(key)])
    (metadata / "timestamp.json").write_bytes(signed)
    return roles.version_of(signed)


def told(yard: Yard, kind: str) -> list[str]:
    """What the device's events of this kind said of trust."""
    topic = topics.event(FLEET, "door")
    events = [parse(one.payload, Event) for one in yard.heard() if one.topic == topic]
    return [one.text for one in events if one.kind == kind and one.subject == "trust"]


def frames_since(yard: Yard, at_s: float) -> bool:
    """Whether the device told of results in a window that began after that time."""
    records = yard.listener.payloads(topics.telemetry(FLEET, "door"))
    for record in (parse(one, Telemetry) for one in records):
        lane = record.pipelines.get("lane")
        if record.time - record.window_s > at_s and lane is not None and (lane.fps or 0) > 5:
            return True
    return False


def test_freeze(yard: Yard, tmp_path: Path) -> None:
    """The key of the timestamp is lost: the depot serves on, and nothing says any more what is
    newest. Who holds back news looks just like that."""
    device = yard.device()
    device.start("agent")
    runtime = device.start("lane")
    yard.until(lambda: yard.state() is not None)
    pushed = yard.push(digits(tmp_path, "1"), trial_s=1)
    assert pushed.code == 0, pushed.err

    yard.kill_depot()
    key, lost = yard.fleet / "depot" / "keys" / "timestamp.pem", tmp_path / "timestamp.pem"
    shutil.move(key, lost)
    version = sign_for_a_moment(yard, lost)
    yard.start_depot()
    yard.until(lambda: newest_timestamp(yard) == version)

    yard.until(lambda: "timestamp has expired" in faults(yard))
    assert "nothing is updated" in faults(yard) and "depot" in faults(yard)
    assert told(yard, "fault"), "it is an event, too"
    assert "nothing can be signed anew" in yard.depot_log
    frozen_s = time.time()
    yard.until(lambda: frames_since(yard, frozen_s))
    assert yard.runs("1") and runtime.poll() is None
    refused = yard.push(digits(tmp_path, "2"))
    assert refused.code == 2 and "timestamp expired" in refused.err
    assert yard.phases("2") == []

    shutil.move(lost, key)
    yard.kill_depot()
    yard.start_depot()
    yard.until(lambda: newest_timestamp(yard) > version)
    yard.until(lambda: "timestamp" not in faults(yard))
    assert told(yard, "recovered")
    pushed = yard.push(tmp_path / "digits-2-tflite.zip", trial_s=1)
    assert pushed.code == 0, pushed.err
    assert yard.runs("2")
