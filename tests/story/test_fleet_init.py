"""`vedette fleet init` as an operator meets it, and killed at every step that touches the disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from fleet.folder import open_fleet
from fleet.signer.signer import Signer
from tests import warm
from wire.block.blocks import NoSuchFile
from wire.signing import load_key
from wire.troubles import Unavailable
from wire.trust.trust import Trust

PHRASE = "correct horse"


def init(*words: str, phrase: str | None = PHRASE) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("VEDETTE_")}
    if phrase is not None:
        environment["VEDETTE_PASSPHRASE"] = phrase
    return warm.run(["fleet", "init", *words], env=environment)


class Mirror:
    """The depot's folder, read as a web server would."""

    def __init__(self, depot: Path) -> None:
        self._depot = depot

    def read(self, path: str, most_bytes: int) -> bytes:
        if not (self._depot / path).is_file():
            raise NoSuchFile(path)
        return (self._depot / path).read_bytes()


def check_works(folder: Path) -> None:
    """A device believes what is there, and a depot can go on with it."""
    fleet = open_fleet(folder)
    trust = Trust(fleet.trust, fleet.root.read_bytes(), Mirror(fleet.depot), time.time)
    assert trust.refresh().root == 1
    assert trust.command_keys() == (load_key(fleet.command_key).public,)
    signer = Signer(fleet.depot)
    assert signer.versions.targets == 1
    signer.close()


def test_a_fleet_is_made_and_all_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "yard"
    told = init("--dir", str(folder), "--name", "yard", "--broker", "mqtts://broker.example")
    assert told.returncode == 0, told.stderr
    for name in ("keys/root-1.pem", "keys/release-1.pem", "keys/command.pem", "depot", "root.json",
                 "fleet.toml"):  # fmt: skip
        assert (folder / name).exists() and str(folder / name) in told.stdout
    check_works(folder)
    fleet = open_fleet(folder)
    assert (fleet.name, fleet.broker.url) == ("yard", "mqtts://broker.example")
    for path in folder.rglob("*.pem"):
        assert path.stat().st_mode & 0o777 == 0o600
        is_offline = path.name.startswith(("root", "release"))
        assert (b"ENCRYPTED" in path.read_bytes()) == is_offline
    assert folder.stat().st_mode & 0o777 == 0o700
    assert list(folder.parent.iterdir()) == [folder]


def test_several_keys_and_json(tmp_path: Path) -> None:
    (tmp_path / "phrase").write_text(PHRASE)
    told = init(
        "--dir", str(tmp_path / "f"), "--root-keys", "3", "--root-threshold", "2",
        "--release-keys", "2", "--passphrase-file", str(tmp_path / "phrase"), "--json", phrase=None,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    said = json.loads(told.stdout)
    assert [Path(path).name for path in said["offline"]] == [
        "root-1.pem", "root-2.pem", "root-3.pem", "release-1.pem", "release-2.pem",
    ]  # fmt: skip
    check_works(tmp_path / "f")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "yard"
    folder.mkdir()
    assert init("--dir", str(folder)).returncode == 0  # an empty folder is nothing
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    told = init("--dir", str(folder))
    assert told.returncode == 2 and "never overwritten" in told.stderr
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (tmp_path / "file").write_bytes(b"mine")
    assert init("--dir", str(tmp_path / "file")).returncode == 2
    assert (tmp_path / "file").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("words", "phrase", "says"),
    [
        ([], None, "--passphrase-file FILE or VEDETTE_PASSPHRASE"),
        ([], "seven77", "at least 8 characters"),
        (["--name", "a/b"], PHRASE, "is no name"),
        (["--broker", "localhost"], PHRASE, "mqtt://"),
        (["--broker", 'mqtt://a"b'], PHRASE, "broker"),
        (["--root-threshold", "2"], PHRASE, "2 of 1 root keys"),
        (["--release-keys", "0", "--release-threshold", "0"], PHRASE, "0 of 0 release keys"),
        (["--root-keys", "17"], PHRASE, "1 to 16 keys"),
        (["--passphrase-file", "/nowhere"], PHRASE, "cannot be read"),
    ],
)
def test_bad_input_makes_nothing(
    tmp_path: Path, words: list[str], phrase: str | None, says: str
) -> None:
    told = init("--dir", str(tmp_path / "yard"), *words, phrase=phrase)
    assert told.returncode in (1, 2) and says in told.stderr
    assert told.stderr.startswith("vedette: ") and told.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="run vedette fleet init --dir"):
        open_fleet(tmp_path)


@pytest.mark.slow
def test_killed_at_any_step_it_leaves_nothing_or_all(tmp_path: Path) -> None:
    folder = tmp_path / "yard"
    environment = {**os.environ, "VEDETTE_PASSPHRASE": PHRASE}

    def run(steps: int) -> int:
        done = warm.run([steps, folder], module="tests.story.dying", env=environment)
        return done.returncode

    killed = whole = 0
    for steps in (0, 1, 2, 3, 5, 8, 12, 17, 23, 30, 36, *range(40, 80)):
        code = run(steps)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        killed += 1
        if folder.exists():  # renamed, and killed before the name was made sure
            whole += 1
            check_works(folder)
            told = init("--dir", str(folder))
            assert told.returncode == 2
            folder.rename(tmp_path / f"whole{steps}")
    else:
        pytest.fail("it never came to its end")
    assert killed > 10 and whole >= 1
    check_works(folder)
    assert not (tmp_path / ".yard.unfinished").exists()
