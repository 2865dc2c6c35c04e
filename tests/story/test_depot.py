"""A real depot between an operator and devices, over a real broker."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers import Mosquitto
from tests.depot_folder import Yard, make_yard
from tests.story.depot_process import (
    PROJECT,
    DepotProcess,
    bell_of,
    device,
    operator,
    rand_model,
    timestamp_of,
    until,
)
from wire.block.part import Part
from wire.release import blocks_path
from wire.trust.trust import Trust


@pytest.fixture
def broker() -> Iterator[Mosquitto]:
    with Mosquitto() as broker:
        yield broker


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return make_yard(tmp_path)


def test_a_model_goes_from_the_operator_to_a_device(
    broker: Mosquitto, yard: Yard, tmp_path: Path
) -> None:
    model = bytes(range(256)) * 2000
    with DepotProcess(yard, broker, "--json") as depot, operator(broker) as push:
        targets = yard.with_model("7", model)
        push.offer("o1", "release", yard.offered(targets))
        assert push.outcome("o1").phase == "done", push.answers("o1")
        push.send("w1", "deploy", yard.wish("7", 1))
        assert push.outcome("w1").phase == "done", push.answers("w1")
        with device(broker) as door:
            trust = Trust(tmp_path / "trust", yard.root, door.files, time.time)
            trusted = trust.refresh()
            assert (trusted.targets, trusted.deployments) == (2, 2)
            deployment = trust.deployment("lane")
            assert deployment is not None
            assert deployment.rules[0].version == "7"
            (bundle,) = trust.bundles("digits", "7")
            part = Part(tmp_path / "b", bundle.size, bundle.digest, trust.block_digests(bundle))
            door.files.fetch(bundle.digest, part, lambda _: None, lambda: False)
            content = part.finish().read_bytes()
            until("the bell", lambda: bell_of(door) == timestamp_of(yard))
        assert hashlib.sha256(content).hexdigest() == bundle.digest
        assert content == yard.files[bundle.path]
        assert trust.block_digests(bundle) == yard.files[blocks_path(bundle.path)]
        code, told = depot.end()
    assert code == 0
    assert json.loads(told)["versions"]["deployments"] == 2


@pytest.mark.slow
def test_killed_in_the_middle_of_an_offer(broker: Mosquitto, yard: Yard) -> None:
    """What had come is not sent again, and nothing of the release shows before it is whole."""
    targets = yard.with_model("7", rand_model(4_000_000))
    files = yard.offered(targets)
    size = sum(map(len, files.values()))
    before = timestamp_of(yard)
    with operator(broker, kib_per_s=1024) as push:
        with DepotProcess(yard, broker) as depot:
            push.offer("o1", "release", files)
            until("most of it", lambda: push.served_bytes > 3 * size // 4)
            depot.kill()
        assert timestamp_of(yard) == before
        with DepotProcess(yard, broker) as depot:
            push.offer("o2", "release", files)
            assert push.outcome("o2").phase == "done", push.answers("o2")
            # beside what came, what was asked for by who died; from the begin it were 1.75
            assert push.served_bytes < 1.6 * size
            assert timestamp_of(yard) != before
            until("the bell", lambda: bell_of(push) == timestamp_of(yard))


def test_it_ends_in_order_in_the_middle_of_an_offer(broker: Mosquitto, yard: Yard) -> None:
    files = yard.offered(yard.with_model("7", rand_model(4_000_000)))
    with operator(broker, kib_per_s=256) as push, DepotProcess(yard, broker, "--json") as depot:
        push.offer("o1", "release", files)
        until("some of it", lambda: push.served_bytes > 100_000)
        start_s = time.monotonic()
        code, told = depot.end()
        assert time.monotonic() - start_s < 15
        assert code == 0
        assert json.loads(told)["counts"]["releases"] == 0
        assert not any("Traceback" in line for line in depot.lines)


@pytest.mark.slow
def test_the_broker_goes_and_comes_back(broker: Mosquitto, yard: Yard) -> None:
    """It has forgotten the bell; the offer goes on where it was."""
    # large beside what may be on its way when the broker dies: a window, 1 MiB
    files = yard.offered(yard.with_model("7", rand_model(9_000_000)))
    size = sum(map(len, files.values()))
    with operator(broker, kib_per_s=3072) as push, DepotProcess(yard, broker) as depot:
        push.offer("o1", "release", files)
        until("some of it", lambda: push.served_bytes > size // 3)
        broker.kill()
        broker.start()
        assert push.outcome("o1").phase == "done", push.answers("o1")
        assert push.served_bytes < 1.25 * size
        with device(broker, "late") as late:
            until("the bell", lambda: bell_of(late) == timestamp_of(yard))
        assert depot.end()[0] == 0


def test_a_second_depot_on_the_same_folder(broker: Mosquitto, yard: Yard) -> None:
    with DepotProcess(yard, broker) as first:
        first.wait_for("connected")
        words = ["-m", "vedette", "fleet", "depot", "--dir", str(yard.place)]
        second = subprocess.run(
            [sys.executable, *words], cwd=PROJECT, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
        assert second.returncode == 1
        assert "another process works on it, a vedette fleet serve or depot (" in second.stderr
        assert second.stderr.count("\n") == 1
        assert first.end()[0] == 0


@pytest.mark.slow
def test_a_second_depot_at_the_same_broker(broker: Mosquitto, yard: Yard, tmp_path: Path) -> None:
    other = make_yard(tmp_path / "other", time.time())
    with DepotProcess(yard, broker) as first, DepotProcess(other, broker) as second:
        both = [first, second]

        def is_said() -> bool:
            return any(
                "another depot of fleet yard is at" in line for d in both for line in d.lines
            )

        until("it is said", is_said)
        assert first.end()[0] == 0
        until("the other's bell", lambda: any("connected" in line for line in second.lines))
        assert second.end()[0] == 0


def test_a_damaged_folder_is_one_line(broker: Mosquitto, yard: Yard) -> None:
    (yard.depot / "metadata" / "timestamp.json").unlink()
    with DepotProcess(yard, broker) as depot:
        code, _ = depot.ended()
    assert code == 2
    assert len(depot.lines) == 1
    assert "timestamp.json is gone: put back a backup" in depot.lines[0]


@pytest.mark.slow
def test_it_rests_when_nobody_asks(broker: Mosquitto, yard: Yard) -> None:
    with DepotProcess(yard, broker) as depot:
        depot.wait_for("connected")
        time.sleep(1.0)  # start is over
        before_s = depot.cpu_s
        time.sleep(5.0)
        assert depot.cpu_s - before_s < 0.1
        assert depot.end()[0] == 0
