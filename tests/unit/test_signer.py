"""The signer on a folder: what comes into force, what is refused, and what is signed anew."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.signer import Signer
from tests.depot_folder import FLEET, Yard, make_yard


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return make_yard(tmp_path)


@pytest.fixture
def signer(yard: Yard) -> Iterator[Signer]:
    signer = Signer(yard.depot)
    yield signer
    signer.close()


def take(yard: Yard, signer: Signer, version: str, content: bytes = b"TFL3") -> bool:
    targets = yard.with_model(version, content)
    taken = signer.take_release((), targets, yard.staged(targets, signer.place.incoming))
    yard.targets = targets
    return taken


def test_a_release_and_a_deployment_come_into_force(yard: Yard, signer: Signer) -> None:
    assert signer.versions.timestamp == 1
    assert take(yard, signer, "7")
    assert (signer.versions.targets, signer.versions.snapshot) == (2, 2)
    signer.deploy(FLEET, "w1", yard.wish("7", 1))
    assert (signer.versions.deployments, signer.versions.snapshot) == (2, 3)
    assert (yard.depot / "metadata" / "timestamp.json").read_bytes() == signer.timestamp
    assert json.loads(signer.timestamp)["signed"]["issued"] == pytest.approx(time.time(), abs=60)
    for path in signer.served():
        assert (yard.depot / path).is_file()
