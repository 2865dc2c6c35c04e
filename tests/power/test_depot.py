"""A depot after a power cut at any moment: all of a step shows or nothing, and again does it."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleet.roles import roles
from fleet.roles import root as roles_root
from fleet.roles import targets as roles_targets
from fleet.roles.roles import Role
from fleet.signer.signer import Signer
from tests.depot_folder import Yard, make_yard
from tests.power.cuts import Cut, check_complete, cuts, laid, scratch, told
from tests.power.depot_life import operate
from tests.power.recorder import STRACE, Recording, record
from tests.power.survivor import DepotFolder
from tests.rounds import rounds
from wire.signing import make_key
from wire.trust.trust import Trust

pytestmark = pytest.mark.skipif(STRACE is None, reason="needs strace: run scripts/setup")
Told = tuple[bytes, bytes, int]


@dataclass(frozen=True)
class Life:
    """words: what each depot is to do. root: that a device trusts first."""

    recording: Recording
    words: dict[str, list[str]]
    root: bytes


def written(place: Path, *contents: bytes) -> list[str]:
    place.mkdir(exist_ok=True, parents=True)
    paths = [place / f"file-{number}" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return [str(path) for path in paths]


def release(yard: Yard, depot: Path, place: Path) -> list[str]:
    """Version 8 comes while 7 is deployed."""
    targets = yard.with_model("8")
    new = [content for path, content in yard.files.items() if "/8/" in path]
    return ["release", *written(place, b"", targets, *new)]


def rotation(yard: Yard, depot: Path, place: Path) -> list[str]:
    """Another release key, and another timestamp key, together with the release."""
    key = make_key(place / "release-2.pem")
    online = make_key(depot / "keys" / "timestamp-2.pem")
    changed: dict[roles.RoleName, Role] = {
        "targets": Role((key.public,)),
        "timestamp": Role((online.public,)),
    }
    root = roles_root.next_root(yard.root, changed, time.time())
    root = roles.signed(root, [yard.root_key])
    return ["release", *written(place, root, yard.signed(yard.targets, [key]))]


def wish(yard: Yard, depot: Path, place: Path) -> list[str]:
    """A pipeline changes from 7 to 6."""
    return ["deploy", *written(place, yard.wish("6", 2))]


def retirement(yard: Yard, depot: Path, place: Path) -> list[str]:
    """Version 6 goes."""
    targets = roles_targets.without_version(yard.targets, "digits", "6")
    return ["release", *written(place, b"", yard.signed(targets))]


Prepare = Callable[[Yard, Path, Path], list[str]]
STEPS: dict[str, Prepare] = {
    "release": release,
    "rotation": rotation,
    "wish": wish,
    "retirement": retirement,
}


@pytest.fixture(scope="module")
def life() -> Iterator[Life]:
    with scratch() as place:
        yard = make_yard(place)
        for version, content in (("6", b"six"), ("7", b"seven")):
            yard.targets = yard.with_model(version, content)
            new = [each for path, each in yard.files.items() if f"/{version}/" in path]
            files = written(place / version, b"", yard.targets, *new)
            operate(yard.depot, "release", *files)
        operate(yard.depot, "deploy", *written(place / "first", yard.wish("7", 1)))
        words = {}
        for name, prepare in STEPS.items():
            depot = place / "depots" / name
            shutil.copytree(yard.depot, depot)
            (place / "words" / name).mkdir(parents=True)
            words[name] = prepare(yard, depot, place / "words" / name)
        (place / "words.json").write_text(json.dumps(words))
        argv = ["-m", "tests.power.depot_life", str(place / "depots"), str(place / "words.json")]
        recording = record([sys.executable, *argv], place / "depots", place)
        check_complete(recording, place / "depots")
        yield Life(recording, words, yard.root)


def told_by(depot: Path) -> Told:
    """What is in force: release, content of deployments, root."""
    signer = Signer(depot)
    signer.close()
    named = [file.digest for file in roles_targets.targets_of(signer.held.deployments)]
    return signer.held.targets, "".join(named).encode(), signer.versions.root


def when_said(every: list[Cut], mark: str) -> Told:
    first = next(cut for cut in every if mark in cut.marks and cut.words.endswith("all kept"))
    with laid(first.tree) as depot:
        return told_by(depot)


@pytest.mark.slow
@pytest.mark.parametrize("name", STEPS)
def test_power_cut_in(name: str, life: Life) -> None:
    begins, ends = f"{name} begins", f"{name} ends"
    every = list(cuts(life.recording, name, rounds(4), f"{name} "))
    before, after = when_said(every, begins), when_said(every, ends)
    assert before != after
    ours = [cut for cut in every if begins in cut.marks]
    assert len(ours) >= 12
    seen = set()
    for cut in ours:
        with told(cut), laid(cut.tree) as depot, scratch() as trust:
            shows = told_by(depot)
            assert shows == after if ends in cut.marks else shows in (before, after)
            seen.add(shows)
            operate(depot, *life.words[name])
            assert told_by(depot) == after
            check_device(depot, life.root, trust)
    assert seen == {before, after}


def check_device(depot: Path, root: bytes, trust: Path) -> None:
    """A device believes what is there, and all that it names is there."""
    believed = Trust(trust, root, DepotFolder(depot), time.time)
    believed.refresh()
    assert believed.deployment("lane") is not None
    for bundle in believed.models():
        believed.block_digests(bundle)
    signer = Signer(depot)
    for path in signer.served():
        assert (depot / path).stat().st_size
    signer.close()
    strays = [path.name for path in depot.rglob("*") if path.name.endswith(".new")]
    assert len(strays) <= 1, strays
