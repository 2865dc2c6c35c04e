"""A depot's folder survives kill -9 and power cuts at every step, and a second try goes through."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleet.roles import roles
from fleet.roles import root as roles_root
from fleet.roles import targets as roles_targets
from fleet.roles.roles import Role
from fleet.signer.signer import Signer
from tests.depot_folder import Yard, make_yard
from tests.story.signer_steps import operate
from wire.signing import make_key
from wire.trust.trust import Trust

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder in memory where there is one: an fsync means the same there, and costs nothing."""
    memory = Path("/dev/shm")  # noqa: S108 - a fresh folder in it
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


def written(place: Path, *contents: bytes) -> list[str]:
    place.mkdir(exist_ok=True)
    paths = [place / f"file-{number}" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return [str(path) for path in paths]


def release(yard: Yard, place: Path) -> list[str]:
    """Version 8 comes while 7 is deployed."""
    targets = yard.with_model("8")
    new = [content for path, content in yard.files.items() if "/8/" in path]
    return ["release", *written(place, b"", targets, *new)]


def rotation(yard: Yard, place: Path) -> list[str]:
    """Another release key, and another timestamp key, together with the release."""
    key = make_key(yard.place / "release-2.pem")
    online = make_key(yard.depot / "keys" / "timestamp-2.pem")
    changed: dict[roles.RoleName, Role] = {
        "targets": Role((key.public,)),
        "timestamp": Role((online.public,)),
    }
    root = roles_root.next_root(yard.root, changed, time.time())
    root = roles.signed(root, [yard.root_key])
    return ["release", *written(place, root, yard.signed(yard.targets, [key]))]


def wish(yard: Yard, place: Path) -> list[str]:
    """A pipeline changes from 7 to 6."""
    return ["deploy", *written(place, yard.wish("6", 2))]


def retirement(yard: Yard, place: Path) -> list[str]:
    """Version 6 goes."""
    targets = roles_targets.without_version(yard.targets, "digits", "6")
    return ["release", *written(place, b"", yard.signed(targets))]


class Folder:
    """wire.trust.trust.Source over the depot's folder, as a web server would give it out."""

    def __init__(self, depot: Path) -> None:
        self._depot = depot

    def read(self, path: str, most_bytes: int) -> bytes:
        from wire.block.blocks import NoSuchFile

        try:
            content = (self._depot / path).read_bytes()
        except FileNotFoundError:
            raise NoSuchFile(path) from None
        assert len(content) <= most_bytes
        return content


def told(depot: Path) -> tuple[bytes, bytes, int]:
    """What is in force: release, content of deployments, root."""
    signer = Signer(depot)
    signer.close()
    named = [file.digest for file in roles_targets.targets_of(signer.held.deployments)]
    return signer.held.targets, "".join(named).encode(), signer.versions.root


@pytest.mark.slow
@pytest.mark.parametrize("prepare", [release, rotation, wish, retirement])
def test_dying_at_any_moment_of(
    prepare: Callable[[Yard, Path], list[str]], place: Path, tmp_path: Path
) -> None:
    yard = make_yard(place)
    for version, content in (("6", b"six"), ("7", b"seven")):
        yard.targets = yard.with_model(version, content)
        new = [each for path, each in yard.files.items() if f"/{version}/" in path]
        operate(yard.depot, "release", *written(tmp_path / version, b"", yard.targets, *new))
    operate(yard.depot, "deploy", *written(tmp_path / "first", yard.wish("7", 1)))
    words = prepare(yard, tmp_path / "words")
    shutil.copytree(yard.depot, place / "end")
    operate(place / "end", *words)
    before, after = told(yard.depot), told(place / "end")
    assert before != after
    argv = ["-m", "tests.story.signer_steps", str(yard.depot), str(place / "cuts"), *words]
    subprocess.run([sys.executable, *argv], cwd=PROJECT, check=True)
    for kind in ("killed", "lost", "hollow"):
        assert told(place / "cuts" / "end" / kind) == after, "what was done is there for good"
    moments = sorted((one for one in (place / "cuts").iterdir() if one.name != "end"), key=str)
    assert len(moments) >= 20
    seen = set()
    for moment in moments:
        for kind in ("killed", "lost", "hollow"):
            depot = moment / kind
            assert told(depot) in (before, after), "all of it shows, or nothing"
            seen.add(told(depot))
            operate(depot, *words)
            assert told(depot) == after
            check_device(depot, yard.root, tmp_path / "trust" / moment.name / kind)
    assert seen == {before, after}


def check_device(depot: Path, root: bytes, trust: Path) -> None:
    """A device believes what is there, and all that it names is there."""
    trust.mkdir(parents=True)
    believed = Trust(trust, root, Folder(depot), time.time)
    believed.refresh()
    assert believed.deployment("lane") is not None
    for bundle in believed.models():
        believed.block_digests(bundle)
    signer = Signer(depot)
    for path in signer.served():
        assert (depot / path).stat().st_size
    signer.close()
