"""`vedette fleet keys`: each change reaches a device, in the depot's folder and over MQTT."""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import tempfile
import time
from pathlib import Path

import pytest

import vedette
from fleet.folder import FleetFolder, open_fleet
from fleet.founding import Founding, found
from fleet.passphrase import VARIABLE
from fleet.rotation import place as rotation_place
from fleet.signer.signer import Signer
from tests.story.test_fleet_init import Mirror
from tests.yard import PASSPHRASE, Yard
from wire.signing import load_key
from wire.troubles import Refused
from wire.trust.trust import Trust

PHRASE = "correct horse"
BROKER = "mqtt://127.0.0.1:9"


class Fleet:
    """A fleet's folder with its depot at rest, and a device that was there from the beginning."""

    def __init__(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = tmp_path / "yard"
        self._capsys = capsys
        shutil.copytree(pattern(), self.path)
        self._first = self.folder.root.read_bytes()
        self._device = tmp_path / "device"
        self.trust().refresh()

    @property
    def folder(self) -> FleetFolder:
        return open_fleet(self.path)

    def trust(self) -> Trust:
        return Trust(self._device, self._first, Mirror(self.path / "depot"), time.time)

    def keys(self, *words: str, code: int = 0) -> str:
        """What `vedette fleet keys` says."""
        self._capsys.readouterr()
        assert vedette.main(["fleet", "keys", *words, "--dir", str(self.path)]) == code, words
        said = self._capsys.readouterr()
        return said.err if code == 2 else said.out

    def json(self, *words: str, code: int = 0) -> dict[str, object]:
        said: dict[str, object] = json.loads(self.keys(*words, "--json", code=code))
        return said

    def signs(self, role: str) -> tuple[list[str], int]:
        """Who signs, and how many of them."""
        listed = json.loads(self.keys("list", "--json"))
        found = next(one for one in listed if one["role"] == role)
        return found["keys"], found["threshold"]


@functools.cache
def pattern() -> Path:
    """The fleet that each test has a copy of: its passphrase is stretched once."""
    place = Path(tempfile.mkdtemp(prefix="vedette-keys-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    found(place / "yard", Founding("yard", BROKER), PHRASE.encode(), time.time())
    return place / "yard"


@pytest.fixture
def fleet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Fleet:
    monkeypatch.setenv(VARIABLE, PHRASE)
    return Fleet(tmp_path, capsys)


@pytest.mark.parametrize(
    "role", ["root", "release", "snapshot", "timestamp", "deployments", "command"]
)
def test_a_rotated_key_is_the_one_that_counts(fleet: Fleet, role: str) -> None:
    before, _ = fleet.signs(role)
    said = fleet.json("rotate", role)
    after, threshold = fleet.signs(role)
    assert said["ok"] and len(after) == threshold == 1 and after != before
    made = Path(str(said["made"]))
    assert load_key(made, PHRASE.encode()).public == after[0]
    trust = fleet.trust()
    trusted = trust.refresh()
    assert (trusted.root, trusted.targets) == (said["root"], said["release"])
    assert trust.command_keys() == (load_key(fleet.folder.command_key).public,)
    assert fleet.folder.root.read_bytes() == trust.chain.root if trust.chain else False
    signer = Signer(fleet.folder.depot)  # it still can
    signer.close()


def test_one_after_the_other(fleet: Fleet) -> None:
    for role in ("root", "release", "timestamp", "snapshot", "deployments", "command") * 2:
        fleet.keys("rotate", role)
    fleet.keys("renew")
    trusted = fleet.trust().refresh()
    assert (trusted.root, trusted.targets) == (10, 8)
    assert not (fleet.path / "pending" / "keys").exists()


def test_thresholds_and_more_keys(fleet: Fleet) -> None:
    fleet.keys("add", "release")
    fleet.keys("add", "root")
    assert "in force: root 4, release 2" in fleet.keys("threshold", "release", "2")
    assert fleet.signs("release")[1] == 2
    fleet.keys("threshold", "root", "2")
    assert "in force: root 5" in fleet.keys("threshold", "root", "2")  # as it is
    assert fleet.trust().refresh().root == 5
    said = fleet.keys("rotate", "release", code=2)
    assert "say which of the release keys goes by --replace" in said
    old = fleet.signs("release")[0][0]
    fleet.keys("rotate", "release", "--replace", old[:8])
    assert old not in fleet.signs("release")[0] and fleet.signs("release")[1] == 2
    assert fleet.trust().refresh().root == 6


def test_signatures_from_two_places(fleet: Fleet, tmp_path: Path) -> None:
    """The second root key lies elsewhere, with somebody who has nothing else."""
    fleet.keys("add", "root")
    fleet.keys("threshold", "root", "2")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move(fleet.path / "keys" / "root-2.pem", elsewhere / "hers.pem")
    said = fleet.json("rotate", "timestamp", code=1)
    pending = Path(str(said["pending"]))
    assert "1 more of the root keys must sign" in str(said["missing"]) and not said["ok"]
    assert fleet.trust().refresh().root == 3
    assert "a change of keys waits" in fleet.keys("renew", code=2)
    shutil.copytree(pending, elsewhere / "change")
    words = ["sign", str(elsewhere / "change"), "--key", str(elsewhere / "hers.pem")]
    where = ["--dir", str(elsewhere)]
    assert vedette.main(["fleet", "keys", *words, *where]) == 1  # all have signed; not in force
    shutil.rmtree(pending)
    shutil.copytree(elsewhere / "change", pending)
    assert fleet.json("sign")["root"] == 4
    assert fleet.trust().refresh().root == 4
    assert not pending.exists()
    assert "no change of keys waits here" in fleet.keys("sign", code=2)


def test_a_wrong_passphrase_changes_nothing(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(fleet.path.rglob("*"))
    monkeypatch.setenv(VARIABLE, "wrong horse")
    for words in (["rotate", "root"], ["rotate", "timestamp"], ["rotate", "command"], ["renew"],
                  ["add", "release"]):  # fmt: skip
        said = fleet.keys(*words, code=2)
        assert "this is not its passphrase" in said and said.count("\n") == 1
    left = set(fleet.path.rglob("*")) - before
    assert {path.name for path in left} <= {"lock", "incoming"}
    assert fleet.trust().refresh().root == 1


@pytest.mark.parametrize(
    "words",
    [["fly"], ["rotate"], ["rotate", "fly"], ["rotate", "targets"], ["add", "timestamp"],
     ["threshold", "root"], ["threshold", "root", "two"], ["threshold", "root", "2"],
     ["threshold", "root", "0"], ["list", "root"], ["rotate", "root", "--replace", "zz"],
     ["sign", "/nowhere"]],
)  # fmt: skip
def test_bad_input(fleet: Fleet, words: list[str]) -> None:
    said = fleet.keys(*words, code=2)
    assert said.startswith("vedette: ") and said.count("\n") == 1
    assert fleet.trust().refresh().root == 1
    assert sorted(p.name for p in fleet.folder.keys.iterdir()) == [
        "command.pem", "release-1.pem", "root-1.pem",
    ]  # fmt: skip


def test_a_change_that_could_not_be_put_in_force_is_not_lost(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of the command key, which must not lose its place before devices obey the new one."""
    old = load_key(fleet.folder.command_key).public

    def broken(*_: object) -> None:
        raise Refused("the disk says no")

    with monkeypatch.context() as patch:
        patch.setattr(rotation_place.LocalDepot, "put_in_force", broken)
        said = fleet.keys("rotate", "command", code=2)
    assert "the disk says no" in said and "vedette fleet keys sign tries it again" in said
    assert load_key(fleet.folder.command_key).public == old
    fleet.keys("sign")
    new = load_key(fleet.folder.command_key).public
    assert new != old and fleet.signs("command")[0] == [new]
    assert not (fleet.folder.keys / "command-new.pem").exists()


def test_a_depot_that_was_left_behind_is_not_gone_on_with(fleet: Fleet, tmp_path: Path) -> None:
    shutil.copytree(fleet.folder.depot, tmp_path / "old")
    fleet.keys("renew")
    trust = Trust(
        fleet.folder.trust, fleet.folder.root.read_bytes(), Mirror(fleet.folder.depot), time.time
    )
    trust.refresh()
    shutil.rmtree(fleet.folder.depot)
    shutil.move(tmp_path / "old", fleet.folder.depot)
    assert "is older than what the depot said before" in fleet.keys("renew", code=2)


@pytest.mark.slow
def test_over_mqtt_while_the_depot_runs(tmp_path: Path) -> None:
    with Yard(tmp_path) as yard:
        root = (yard.fleet / "root.json").read_bytes()
        for words, versions in (
            (("rotate", "root"), (2, 1)),
            (("rotate", "release"), (3, 2)),
            (("rotate", "timestamp"), (4, 2)),
            (("rotate", "deployments"), (4, 3)),
            (("rotate", "command"), (4, 4)),
            (("renew",), (5, 5)),
        ):
            done = yard.run("fleet", "keys", *words, "--json")
            assert done.code == 0, done.err
            assert (done.said["root"], done.said["release"]) == versions
        trust = Trust(tmp_path / "device", root, Mirror(yard.fleet / "depot"), time.time)
        assert trust.refresh().root == 5
        listed = yard.run("fleet", "keys", "list", "--json")
        assert listed.code == 0 and PASSPHRASE not in listed.out + listed.err
