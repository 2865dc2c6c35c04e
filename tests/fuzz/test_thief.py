"""The thief of the doors `stolen.*` has devices look at what is signed, whatever it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.thief import STEALABLE, Stolen, Thief
from tests.fuzz.trust_doors import Scene, believe
from wire.troubles import Refused


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.mark.parametrize("role", STEALABLE)
def test_what_nobody_reads_is_believed(scene: Scene, role: Stolen) -> None:
    offer(scene, role, odd=[1, None, {"a": "\x00"}])


@pytest.mark.parametrize(
    ("role", "said", "why"),
    [
        ("root", {"roles": {}}, "root cannot be used"),
        ("targets", {"delegations": {"keys": {}, "roles": []}}, "must delegate deployments"),
        ("targets", {"targets": 5}, "targets cannot be used"),
        ("deployments", {"version": 0}, "deployments cannot be used"),
        ("snapshot", {"meta": {}}, "snapshot cannot be used"),
        ("timestamp", {"expires": "1970-01-01T00:00:00Z"}, "timestamp expired on 1970"),
    ],
)
def test_nonsense_is_refused_for_what_it_says(
    scene: Scene, role: Stolen, said: dict[str, Any], why: str
) -> None:
    with pytest.raises(Refused, match=why):
        offer(scene, role, **said)


def test_what_cannot_be_signed_is_sent_as_it_is(scene: Scene) -> None:
    for content in (b"", b"[]", b"{}", b"null", b'{"signed":0.5}', b"[" * 9000, b"\xff"):
        files = Thief(scene.repository).files("targets", content)
        assert files["metadata/2.targets.json"] == content


def offer(scene: Scene, role: Stolen, **said: Any) -> None:
    thief = Thief(scene.repository)
    whole = json.loads(thief.seed(role))
    whole["signed"].update(said)
    trust = scene.trust(scene.device())
    with scene.served(thief.files(role, json.dumps(whole).encode())):
        believe(trust)
