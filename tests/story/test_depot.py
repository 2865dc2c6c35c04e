"""A real depot between an operator and devices, over a real broker."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers import Mosquitto
from tests.depot_folder import Yard, make_yard
from tests.story.depot_process import DepotProcess, device, operator, until
from wire.part import Part
from wire.release import blocks_path
from wire.trust import Trust


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
            until("the bell", lambda: door.bell is not None)
            assert door.bell == (yard.depot / "metadata" / "timestamp.json").read_bytes()
        assert hashlib.sha256(content).hexdigest() == bundle.digest
        assert content == yard.files[bundle.path]
        assert trust.block_digests(bundle) == yard.files[blocks_path(bundle.path)]
        code, told = depot.end()
    assert code == 0
    assert json.loads(told)["versions"]["deployments"] == 2
