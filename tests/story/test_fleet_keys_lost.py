"""What was lost, stolen or has expired, and the command that gets the fleet out of it."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

import vedette
from fleet import founding
from fleet.folder import open_fleet
from fleet.passphrase import VARIABLE
from fleet.roles import roles
from fleet.roles.roles import Role
from fleet.rotation import place as rotation_place
from fleet.rotation.rotation import State, with_roles
from fleet.rotation.words import told_change
from fleet.signer.signer import Signer
from tests.story.test_fleet_init import Mirror
from tests.story.test_fleet_keys import PHRASE, Fleet
from tests.yard import Yard
from wire.signing import load_key, make_key
from wire.troubles import Unavailable
from wire.trust.trust import Trust

DAY_S = 24 * 3600.0
ONLINE = ("snapshot", "timestamp", "deployments")


@pytest.fixture
def fleet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Fleet:
    monkeypatch.setenv(VARIABLE, PHRASE)
    return Fleet(tmp_path, capsys)


def test_all_online_keys_at_once(fleet: Fleet) -> None:
    """The depot's machine was stolen: one command, one pair of signatures."""
    before = {role: fleet.signs(role)[0] for role in ONLINE}
    said = fleet.json("rotate", "online")
    assert said["made"] == str(fleet.folder.depot / "keys")
    assert all(fleet.signs(role)[0] != before[role] for role in ONLINE)
    trusted = fleet.trust().refresh()
    assert (trusted.root, trusted.targets) == (2, 2)


def test_all_online_keys_lost(fleet: Fleet) -> None:
    """A backup without the folder of keys."""
    for path in (fleet.folder.depot / "keys").iterdir():
        path.unlink()
    fleet.keys("rotate", "online")
    assert fleet.trust().refresh().root == 2


def test_a_wrong_passphrase_leaves_none_of_three_keys(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "wrong horse")
    fleet.keys("rotate", "online", code=2)
    found = sorted(path.name for path in (fleet.folder.depot / "keys").iterdir())
    assert found == ["deployments.pem", "snapshot.pem", "timestamp.pem"]


def test_the_command_key_lost(fleet: Fleet) -> None:
    fleet.folder.command_key.unlink()
    fleet.keys("rotate", "command")
    assert fleet.trust().refresh().targets == 2
    assert fleet.signs("command")[0] == [load_key(fleet.folder.command_key).public]


def test_neither_the_folder_nor_a_depot(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both reasons are said: either of them may be the one to mend."""

    def nobody(*_: object) -> None:
        raise Unavailable("nobody answered")

    monkeypatch.setattr(rotation_place, "open_session", nobody)
    signer = Signer(fleet.folder.depot)
    assert vedette.main(["fleet", "keys", "list", "--dir", str(fleet.path)]) == 1
    signer.close()
    said = capsys.readouterr().err
    assert "nobody answered; and " in said and "another process works on it" in said


def test_a_new_command_key_that_was_spoiled(fleet: Fleet) -> None:
    """By a power cut, before any signature named it: it must not stop all that comes after."""
    (fleet.folder.keys / "command-new.pem").write_bytes(b"")
    fleet.keys("rotate", "command")
    assert fleet.signs("command")[0] == [load_key(fleet.folder.command_key).public]


def test_the_release_key_lost(fleet: Fleet) -> None:
    """The root key names another, which signs what is released once more."""
    fleet.folder.key_files("release")[0].unlink()
    fleet.keys("rotate", "release")
    assert fleet.trust().refresh().targets == 2


def test_a_key_of_somebody_else_is_not_needed_for_what_the_release_key_signs(fleet: Fleet) -> None:
    """Root and release under different passphrases, and only one of them is known here."""
    root_key = fleet.folder.key_files("root")[0]
    root_key.unlink()
    make_key(root_key, b"another passphrase")
    fleet.keys("rotate", "command")
    fleet.keys("rotate", "deployments")
    assert fleet.trust().refresh().targets == 3
    assert "this is not its passphrase" in fleet.keys("rotate", "timestamp", code=2)


def test_who_asks_for_a_signature_cannot_hide_a_key(fleet: Fleet, tmp_path: Path) -> None:
    """The change comes with what it follows, and the thief wrote both: all keys are named."""
    signer = Signer(fleet.folder.depot)
    real = State(signer.held.root, signer.held.targets)
    signer.close()
    thief = make_key(tmp_path / "thief.pem").public
    role = roles.role_of(real.root, "root")
    forged = with_roles(real, {"root": Role((*role.keys, thief))}, time.time()).root or b""
    change = with_roles(State(forged, real.targets), {}, time.time())
    told = list(told_change(State(forged, real.targets), change))
    assert any(line.startswith("root: ") and thief[:16] in line for line in told)


def test_a_backup_of_the_depot_that_is_all_that_is_left(fleet: Fleet, tmp_path: Path) -> None:
    """Devices have seen newer metadata: other keys let them begin again."""
    shutil.copytree(fleet.folder.depot, tmp_path / "backup")
    signer = Signer(fleet.folder.depot, lambda: time.time() + 20 * DAY_S)
    assert signer.renew()
    signer.close()
    trust = Trust(
        fleet.folder.trust, fleet.folder.root.read_bytes(), Mirror(fleet.folder.depot), time.time
    )
    trust.refresh()
    assert fleet.trust().refresh().timestamp == 2
    shutil.rmtree(fleet.folder.depot)
    shutil.move(tmp_path / "backup", fleet.folder.depot)
    said = fleet.keys("rotate", "online", code=2)
    assert f"remove {fleet.folder.trust}, and vedette fleet keys rotate online" in said
    shutil.rmtree(fleet.folder.trust)
    fleet.keys("rotate", "online")
    trusted = fleet.trust().refresh()
    assert (trusted.root, trusted.timestamp) == (2, 2)


@pytest.mark.slow
def test_what_has_expired_is_renewed_over_mqtt(tmp_path: Path) -> None:
    """Nobody looked after root and release in time, and the depot is on another machine."""
    with Yard(tmp_path) as yard:
        yard.kill_depot()
        shutil.rmtree(yard.fleet)
        old_s = time.time() - 729.9 * DAY_S  # the root lasts for some hours more
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(founding, "RELEASED_S", 0)
            wish = founding.Founding("yard", yard.broker.url())
            founding.found(yard.fleet, wish, b"a passphrase of tests", old_s)
        yard.start_depot()
        told = yard.run("fleet", "push", "--pipeline", "lane", str(tmp_path / "none.zip"))
        assert told.code != 0
        listed = yard.run("fleet", "keys", "list", "--json")
        assert listed.code == 0, listed.err
        renewed = yard.run("fleet", "keys", "renew", "--json")
        assert renewed.code == 0, renewed.err
        folder = open_fleet(yard.fleet)
        trust = Trust(
            tmp_path / "device", folder.root.read_bytes(), Mirror(folder.depot), time.time
        )
        trusted = trust.refresh()
        assert (trusted.root, trusted.targets) == (2, 2)
        assert trusted.expires > time.time()
        assert roles.expires_of(folder.root.read_bytes()) > time.time() + 700 * DAY_S
