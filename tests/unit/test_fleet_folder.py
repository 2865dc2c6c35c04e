"""The fleet's folder: found by option, variable or place; what is none is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

import vedette
from fleet.commands import fleet as door
from fleet.folder import VARIABLE, check_is_operators, default_folder, open_fleet
from wire.troubles import Refused, Unavailable

TOML = 'name = "yard"\n[broker]\nurl = "mqtts://broker.example:8883"\nusername = "ops"\n'


def test_what_lies_where(tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_text(TOML)
    (tmp_path / "keys").mkdir()
    for number in (1, 2, 10):
        (tmp_path / "keys" / f"root-{number}.pem").touch()
    fleet = open_fleet(tmp_path)
    assert (fleet.name, fleet.broker.username) == ("yard", "ops")
    assert [path.name for path in fleet.key_files("root")] == [
        "root-1.pem", "root-2.pem", "root-10.pem",
    ]  # fmt: skip
    assert fleet.key_files("release") == ()
    with pytest.raises(Refused, match="needs the operator's whole folder"):
        check_is_operators(fleet)
    (tmp_path / "root.json").touch()
    check_is_operators(fleet)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "name: missing"),
        (TOML.replace("yard", "my yard"), r"fleet\.toml:1: name"),
        (TOML + "colour = 1\n", r"fleet\.toml:5: broker\.colour"),
        ('name = "yard"\n', "broker: missing"),
        ("name = yard", "not valid TOML"),
        (TOML + 'password_file = ""\n', "a file's whole path"),
        (TOML + 'password_file = "a\\nb"\n', "a file's whole path"),
        (TOML + "password_file = 7\n", "broker.password_file"),
        (TOML.replace("mqtts:", "http:"), r"fleet\.toml:3: broker\.url: .*http:// is not known"),
        (TOML.replace("mqtts://", ""), r"fleet\.toml:3: broker\.url: .*mqtt:// is missing"),
        (TOML.replace("//b", "//a:pw@b"), r"fleet\.toml:3: broker\.url: .*holds a user name"),
        (
            TOML.replace('username = "ops"', 'password_file = "p"'),
            r"fleet\.toml:4: broker\.password_file: whose password is it\? add username",
        ),
    ],
)
def test_a_file_that_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "fleet.toml").write_text(text)
    with pytest.raises(Refused, match=words) as caught:
        open_fleet(tmp_path)
    assert "\n" not in str(caught.value)


def test_paths_are_from_the_folder_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "yard").mkdir()
    files = 'password_file = "access/p"\nca_file = "/etc/ca.pem"\n'
    (tmp_path / "yard" / "fleet.toml").write_text(TOML + files)
    monkeypatch.chdir(tmp_path)
    broker = open_fleet(Path("yard")).broker
    assert broker.password_file == str(tmp_path / "yard" / "access" / "p")
    assert broker.ca_file == "/etc/ca.pem"


def test_no_fleet_here(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(Unavailable, match="run vedette fleet init --dir"):
            open_fleet(place)


def test_advice_never_makes_a_second_fleet(tmp_path: Path) -> None:
    """Inside of a fleet's folder, and where its fleet.toml was lost."""
    (tmp_path / "broker").mkdir()
    (tmp_path / "keys").mkdir()
    with pytest.raises(Unavailable, match=r"has keys/, but no fleet\.toml: restore") as lost:
        open_fleet(tmp_path)
    (tmp_path / "fleet.toml").write_text(TOML)
    with pytest.raises(Unavailable, match=f"inside of one: say --dir {tmp_path}$") as inside:
        open_fleet(tmp_path / "broker" / "fleet")
    assert "init" not in str(lost.value) + str(inside.value)


def test_where_it_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert default_folder() == Path("fleet")
    monkeypatch.setenv(VARIABLE, "/srv/yard")
    assert default_folder() == Path("/srv/yard")


def test_the_door_of_the_fleet(capsys: pytest.CaptureFixture[str]) -> None:
    assert vedette.main(["fleet", "--help"]) == 0
    told = capsys.readouterr().out
    assert all(f"  {command} " in told for command in door.COMMANDS)
    assert vedette.main(["fleet"]) == 2
    assert vedette.main(["fleet", "fly"]) == 2
    assert "no command 'fly'" in capsys.readouterr().err
