"""Where enrolment writes: full disks, folders of everybody, folders that are not there yet."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import vedette
from agent.enrolment.config_file import Wish
from agent.enrolment.placing import place
from fleet.enrolment.files import write_privately
from fleet.enrolment.setting_up import BrokerWish, set_up
from fleet.folder import FleetFolder
from tests.depot_folder import make_yard
from tests.laws.sources import ROOT as SOURCES
from wire.enrolment import Enrolment, read, to_file
from wire.troubles import Unavailable

NOW_S = 1_800_000_000.0
STRANGER = 65534
ALONE = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")


@contextlib.contextmanager
def no_room(most_bytes: int) -> Iterator[None]:
    """No file of this process grows beyond that."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def fleet(tmp_path: Path) -> FleetFolder:
    return set_up(make_yard(tmp_path).place, BrokerWish("mqtts://broker.example"), NOW_S).fleet


def test_no_part_of_a_key_stays_where_there_was_no_room(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_text("as it was")
    with no_room(100), pytest.raises(OSError):
        write_privately(tmp_path / "a.pem", "x" * 1000)
    assert os.listdir(tmp_path) == ["a.pem"]
    assert (tmp_path / "a.pem").read_text() == "as it was"


def test_no_part_of_a_key_stays_on_a_device_without_room(tmp_path: Path) -> None:
    told = Enrolment(fleet="yard", device="door", url="mqtt://b", username="u", password="p" * 900)
    with no_room(500), pytest.raises(Unavailable):
        place(tmp_path / "etc", told, Wish())
    assert os.listdir(tmp_path / "etc") == []


def test_what_a_full_disk_wants_is_room_and_no_sudo(tmp_path: Path) -> None:
    if subprocess.run([*ALONE, "true"], capture_output=True).returncode != 0:
        pytest.skip("no mount namespaces here")
    told = Enrolment(fleet="yard", device="door", url="mqtt://b", command_keys=("ab" * 32,))
    (tmp_path / "door.vedette").write_bytes(to_file(told))
    etc = tmp_path / "etc"
    etc.mkdir()
    setup = (
        f"mount -t tmpfs -o size=64k none {etc}; dd if=/dev/zero of={etc}/ballast bs=4k "
        f'2>/dev/null || true; "$@"; code=$?; ls -A {etc}; exit $code'
    )
    words = [sys.executable, "-m", "vedette", "enroll", f"{tmp_path}/door.vedette"]
    done = subprocess.run(
        [*ALONE, setup, "sh", *words, "--etc", str(etc)], cwd=SOURCES, capture_output=True,
        text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "ballast\n")
    assert done.stderr.endswith(": No space left on device: make room and try again\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_in_a_folder_of_everybody_root_gives_no_secret_away(tmp_path: Path) -> None:
    """Who put a file there before must not get the secret that replaces it."""
    tmp_path.chmod(0o1777)
    trap = tmp_path / "door.vedette"
    trap.touch()
    os.chown(trap, STRANGER, STRANGER)
    write_privately(trap, "secret")
    assert (trap.stat().st_uid, trap.stat().st_mode & 0o777) == (0, 0o600)
    own = tmp_path / "own"
    own.mkdir()
    os.chown(own, STRANGER, STRANGER)
    write_privately(own / "new", "of the one whose folder it is")
    assert (own / "new").stat().st_uid == STRANGER


def test_a_folder_that_the_page_names_is_made(
    fleet: FleetFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    words = ["--dir", str(fleet.path), "--json"]
    operator = ["ann", "--as", "operator", "--out", "ann/"]
    assert vedette.main(["fleet", "enroll", *operator, *words]) == 0
    assert sorted(os.listdir("ann")) == ["ann.pem", "ann.vedette", "ca.pem"]
    assert Path("ann").stat().st_mode & 0o777 == 0o700
    assert vedette.main(["fleet", "enroll", "gate", "hall", "--out", "files/", *words]) == 0
    assert sorted(os.listdir("files")) == ["gate.vedette", "hall.vedette"]
    assert vedette.main(["fleet", "enroll", "x", "--out", "none/none/", *words]) == 1
    assert "make it first" in capsys.readouterr().err
    assert vedette.main(["fleet", "enroll", "x", "--out", "x.vedette", *words]) == 0
    assert read(Path("x.vedette")).device == "x"
    assert json.loads(capsys.readouterr().out)["enrolled"][0]["name"] == "x"
