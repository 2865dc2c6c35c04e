"""`vedette ask` from the words that are typed to the exit code, with a broker in memory."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from fleet import asking
from fleet.commands import ask
from tests.unit.test_asking import JPEG, Room
from wire.messages import Presence, to_json
from wire.signing import SigningKey, load_key, make_key
from wire.troubles import exit_code


class Terminal:
    """Types commands in a folder of its own. key: of the device's operator."""

    def __init__(self, room: Room, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.room = room
        self.folder = folder
        self._capsys = capsys

    def type(self, *words: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        try:
            code = exit_code(ask.main, words)
        except SystemExit as end:
            code = int(end.code or 0)
        said = self._capsys.readouterr()
        return code, said.out, said.err

    def no(self, *words: str) -> str:
        """The one line that says what is wrong with the words."""
        code, out, err = self.type(*words)
        assert code == 2 and out == "" and err.startswith("vedette: ") and err.count("\n") == 1, err
        return err


@pytest.fixture
def terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Terminal:
    key = make_key(tmp_path / "ops.pem")
    (tmp_path / "device").mkdir()
    room = Room(tmp_path / "device", key)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(ask.KEY_VARIABLE, raising=False)
    monkeypatch.setattr(asking, "SOON_S", 0.05)
    monkeypatch.setattr(ask, "_link_to", lambda broker: room.make_link)
    return Terminal(room, tmp_path, capsys)


def test_an_answer_is_printed(terminal: Terminal) -> None:
    assert terminal.type("door", "watch", "7", "--key", "ops.pem") == (0, "ok\n", "")
    assert terminal.type("--key", "ops.pem", "door", "--json", "watch")[0] == 0


def test_json_is_the_reply(terminal: Terminal) -> None:
    code, out, err = terminal.type("door", "restart", "entrance", "--key", "ops.pem", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "id": terminal.room.device.done[0], "ok": True, "text": "ok", "content": None,
    }  # fmt: skip


def test_the_key_may_be_named_by_the_environment(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ask.KEY_VARIABLE, str(terminal.folder / "ops.pem"))
    assert terminal.type("door", "status")[0] == 0
    assert "cannot be read" in terminal.type("door", "status", "--key", "none.pem")[2]


def test_a_refusal_of_the_device_is_2_and_says_who_refuses(terminal: Terminal) -> None:
    make_key(terminal.folder / "other.pem")
    code, out, err = terminal.type("door", "status", "--key", "other.pem")
    assert (code, out) == (2, "")
    assert err.startswith("vedette: door says no: this device does not know the key")
    terminal.room.device.appear()
    code, out, _ = terminal.type("door", "status", "--key", "other.pem", "--json", "--timeout", "9")
    assert code == 2 and json.loads(out)["ok"] is False


def test_no_answer_is_1(terminal: Terminal) -> None:
    terminal.room.device.silent = True
    code, out, err = terminal.type("door", "status", "--key", "ops.pem", "--timeout", "1", "--json")
    assert (code, out) == (1, "")
    assert "door is online but did not answer in 1 s" in err


def test_a_picture_is_saved(terminal: Terminal) -> None:
    terminal.room.device.before_reply = terminal.room.device.show
    code, out, _ = terminal.type("door", "snapshot", "entrance", "--key", "ops.pem")
    (path,) = terminal.folder.glob("door-entrance-*.jpg")
    assert code == 0 and out == f"{path.name}: 0 kB: ok\n"
    assert path.read_bytes() == JPEG
    code, out, _ = terminal.type(
        "door", "snapshot", "--output", "p.jpg", "--key", "ops.pem", "--json"
    )
    assert code == 0 and json.loads(out)["file"] == "p.jpg"
    assert (terminal.folder / "p.jpg").read_bytes() == JPEG


def test_a_new_key_is_ours_alone_and_its_line_fits_the_configuration(terminal: Terminal) -> None:
    code, out, err = terminal.type("--new-key", "new.pem")
    assert (code, err) == (0, "")
    public = load_key(terminal.folder / "new.pem").public
    assert f"public key: {public}\n" in out
    assert f'[commands]\nkeys = ["{public}"]\n' in out
    assert stat.S_IMODE((terminal.folder / "new.pem").stat().st_mode) == 0o600
    before = (terminal.folder / "new.pem").read_bytes()
    assert "is there already" in terminal.no("--new-key", "new.pem")
    assert (terminal.folder / "new.pem").read_bytes() == before
    code, out, _ = terminal.type("--new-key", "json.pem", "--json")
    told = json.loads(out)
    assert told["public"] == load_key(terminal.folder / "json.pem").public
    assert told["file"] == "json.pem"
    assert "stands alone" in terminal.no("door", "status", "--new-key", "x.pem")
    assert not (terminal.folder / "x.pem").exists()


def test_a_key_that_others_may_read_is_warned_of(terminal: Terminal) -> None:
    (terminal.folder / "ops.pem").chmod(0o644)
    code, _, err = terminal.type("door", "status", "--key", "ops.pem")
    assert code == 0 and "others may read or change ops.pem: chmod 600 ops.pem" in err


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("", "say which device and what: DEVICE VERB, VERB one of status, snapshot"),
        ("door", "say which device and what"),
        ("door fly", "there is no verb 'fly'"),
        ("a/b status", "'a/b' is no name"),
        ("door status --fleet +", "'+' is no name"),
        ("door status --output x.jpg", "--output is for snapshot, not for status"),
        ("door status --frames 100", "--frames is for bench, not for status"),
        ("door bench --frames 9", "frames: write a whole number from 50 to 2000"),
        ("door snapshot --output .", "is a folder"),
        ("door snapshot --output none/x.jpg", "there is no folder none"),
        ("door status", "name the key that the device obeys by --key FILE or VEDETTE"),
    ],
)
def test_what_is_mistyped_is_told_in_one_line(terminal: Terminal, typed: str, why: str) -> None:
    assert why in terminal.no(*typed.split())
    assert terminal.room.names == [], "nobody was asked"


def test_the_key_of_the_fleet_that_is_here_is_named(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the one that the devices of that fleet obey; those of another one would not."""
    (terminal.folder / "fleet" / "keys").mkdir(parents=True)
    toml = terminal.folder / "fleet" / "fleet.toml"
    toml.write_text('name = "home"\n[broker]\nurl = "mqtt://b"\n')
    assert "fleet/keys" not in terminal.no("door", "status"), "it is kept elsewhere"
    make_key(terminal.folder / "fleet" / "keys" / "command.pem")
    told = terminal.no("door", "status")
    assert "--key fleet/keys/command.pem" in told and "--new-key" not in told
    assert "fleet/keys" not in terminal.no("door", "status", "--fleet", "other")
    monkeypatch.setenv("VEDETTE_FLEET_DIR", str(terminal.folder / "fleet"))
    assert f"--key {terminal.folder}/fleet/keys/command.pem" in terminal.no("door", "status")


@pytest.mark.parametrize("timeout", ["0", "-1", "3601", "long", "nan"])
def test_a_timeout_is_bounded(terminal: Terminal, timeout: str) -> None:
    code, _, err = terminal.type("door", "status", "--key", "ops.pem", f"--timeout={timeout}")
    assert code == 2 and "is not within 1 to 3600" in err


def test_offline_is_said(terminal: Terminal) -> None:
    device = terminal.room.device
    device.silent = True
    device.link.publish(
        "vedette/home/device/door/presence", to_json(Presence(False, "b", "s", "i")), retain=True
    )
    code, _, err = terminal.type("door", "status", "--key", "ops.pem", "--timeout", "1")
    assert code == 1
    assert err.splitlines() == [
        "vedette: door is offline: waiting for door",
        "vedette: no answer in 1 s: door is offline",
    ]


def test_the_key_that_is_asked_for_is_the_one_that_signs(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ask.KEY_VARIABLE, "none.pem")
    key: SigningKey = terminal.room.key
    assert key.public == load_key(terminal.folder / "ops.pem").public
    assert terminal.type("door", "status", "--key", "ops.pem")[0] == 0
