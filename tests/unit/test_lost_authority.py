"""The fleet's authority is gone: no command makes another by chance, or says what is not so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import vedette
from fleet.enrolment.authority import open_authority
from fleet.enrolment.book import Book
from fleet.enrolment.certificates import listed, new_key
from fleet.folder import FleetFolder, open_fleet
from tests.depot_folder import make_yard
from wire.enrolment import read

URL = "mqtts://broker.example:8883"
NEW = "--new-authority"


class Operator:
    """Types commands beside a fleet with a door and a gate, both enrolled by certificates."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys, self._folder = capsys, folder
        self.path = make_yard(folder).place
        (self.path / "fleet.toml").write_text(f'name = "yard"\n[broker]\nurl = "{URL}"\n')
        self.done("broker")
        self.done("enroll", "door", "gate", "--out", f"{folder}/")

    @property
    def fleet(self) -> FleetFolder:
        return open_fleet(self.path)

    def type(self, *words: str) -> tuple[int, str, str]:
        code = vedette.main(["fleet", *words, "--dir", str(self.path)])
        told = self._capsys.readouterr()
        return code, told.out, told.err

    def done(self, *words: str) -> str:
        code, out, err = self.type(*words)
        assert code == 0, err
        return out

    def no(self, code: int, *words: str) -> str:
        """The line of a command that changes nothing."""
        before = self.contents()
        found, _, err = self.type(*words)
        assert found == code and err.count("\n") == 1, err
        assert self.contents() == before
        return err

    def contents(self) -> dict[str, bytes]:
        found = sorted(path for path in self.path.rglob("*") if path.is_file())
        return {str(path): path.read_bytes() for path in found}

    def serial(self, name: str) -> str:
        entry = Book(self.path).find(name)
        assert entry is not None and entry.serial is not None
        return entry.serial


@pytest.fixture
def operator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Operator:
    return Operator(tmp_path, capsys)


def test_another_is_made_only_when_asked_for(operator: Operator) -> None:
    """It would lock out all devices."""
    before = open_authority(operator.fleet.authority).certificate_pem
    operator.fleet.authority.rename(operator.path / "away.pem")
    for words in (["broker"], ["broker", "--host", "b.lan"], ["enroll", "roof"]):
        told = operator.no(1, *words)
        assert "authority.pem is gone, and enrolled under it: door, gate, server: restore" in told
        assert NEW in told
    (operator.path / "away.pem").rename(operator.fleet.authority)
    assert "nothing new was made" in operator.done("broker")
    assert open_authority(operator.fleet.authority).certificate_pem == before


def test_who_is_locked_out_by_another_is_named(operator: Operator, tmp_path: Path) -> None:
    operator.fleet.authority.unlink()
    told = operator.done("broker", NEW)
    assert "locked out until each is enrolled --again, as what it is:\n  door, gate\n" in told
    assert "leave the option out" in operator.no(2, "broker", NEW)
    assert json.loads(operator.done("broker", "--json"))["locked_out"] == []
    operator.done("enroll", "door", "--again", "--out", str(tmp_path / "new"))
    new = open_authority(operator.fleet.authority)
    assert new.certified(read(tmp_path / "new").certificate_pem or "")


def test_a_new_fleet_needs_no_option(operator: Operator, tmp_path: Path) -> None:
    """Nor has one anything to do where no certificates are."""
    other = make_yard(tmp_path / "other").place
    operator.path = other
    (other / "fleet.toml").write_text('name = "yard"\n[broker]\nurl = "mqtt://b.lan"\n')
    assert "has no TLS" in operator.no(2, "broker", NEW)
    assert json.loads(operator.done("broker", "--url", URL, "--json"))["locked_out"] == []


def test_a_book_that_is_lost_too(operator: Operator) -> None:
    operator.fleet.authority.unlink()
    for path in (operator.path / "enrolled").iterdir():
        path.unlink()
    assert "nobody knows any more who" in operator.no(1, "broker")
    operator.done("broker", NEW)


def test_a_name_is_not_called_revoked_that_is_let_in(operator: Operator) -> None:
    """Its rules are shut; the list that its certificate must stand on cannot be signed."""
    fleet = operator.fleet
    serial, crl = operator.serial("door"), fleet.broker_files / "crl.pem"
    assert json.loads(operator.done("revoke", "gate", "--offline", "--json"))["revoked"]
    fleet.authority.rename(operator.path / "away.pem")
    for _ in range(2):
        code, out, _ = operator.type("revoke", "door", "--offline")
        assert code == 1 and out.startswith("door is not revoked: the rules forbid it everything")
        assert "user door\ntopic deny #\n" in (fleet.broker_files / "acl").read_text()
    assert json.loads(operator.type("revoke", "door", "--offline", "--json")[1])["still_let_in"]
    assert "the certificates of door are refused by rules alone" in operator.done("acl")
    assert "gate was revoked before" in operator.done("revoke", "gate", "--offline")
    (operator.path / "away.pem").rename(fleet.authority)
    assert serial not in listed(crl.read_text())
    assert "door was revoked before" in operator.done("revoke", "door", "--offline")
    assert serial in listed(crl.read_text())
    assert "warning" not in operator.done("acl")


def test_a_list_that_is_none() -> None:
    for text in ("", "hello", new_key()):
        assert listed(text) == frozenset()
