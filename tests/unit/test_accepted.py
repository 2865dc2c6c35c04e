"""A refused configuration leaves the last accepted one in force."""

from __future__ import annotations

from pathlib import Path

import pytest

from wire import accepted
from wire.accepted import accept, in_force
from wire.config import Config
from wire.folders import Folders
from wire.troubles import Refused, Unavailable

FIRST = '[broker]\nurl = "mqtt://first"\n'
SECOND = '[broker]\nurl = "mqtt://second"\n'
BAD = '[broker]\nurl = "mqtt://second"\nkeepalive = 3\n'


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    (tmp_path / "state").mkdir()
    return Folders(tmp_path / "vedette.toml", tmp_path / "state", tmp_path / "run")


def copy_of(folders: Folders) -> Path:
    return folders.state / accepted.FILE_NAME


def accept_first(folders: Folders) -> None:
    folders.config.write_text(FIRST)
    accept(folders, in_force(folders).text)


def test_the_file_on_disk_comes_first(folders: Folders) -> None:
    accept_first(folders)
    folders.config.write_text(SECOND)
    force = in_force(folders)
    assert (force.config.broker.url, force.refused, force.text) == ("mqtt://second", None, SECOND)


def test_nothing_is_accepted_by_reading(folders: Folders) -> None:
    folders.config.write_text(FIRST)
    in_force(folders)
    assert list(folders.state.iterdir()) == []


@pytest.mark.parametrize("text", [BAD, "", "[broker", "\0", "fleet = 'x'\n" * 6000])
def test_a_refused_one_leaves_the_last_in_force(folders: Folders, text: str) -> None:
    accept_first(folders)
    folders.config.write_text(text)
    force = in_force(folders)
    assert (force.config.broker.url, force.text) == ("mqtt://first", FIRST)
    assert force.refused is not None and force.refused.startswith(str(folders.config))
    assert force.refused.endswith("the last accepted one stays in force")


def test_what_a_process_judges_is_what_changed(folders: Folders) -> None:
    judged: list[str] = []

    def judge(meant: Config, text: str) -> None:
        judged.append(text)
        raise Refused("it cannot be run")

    folders.config.write_text(FIRST)
    assert in_force(folders, judge=judge).refused is None, "there is nothing else to go on with"
    accept(folders, FIRST)
    assert in_force(folders, judge=judge).refused is None, "it was accepted before"
    folders.config.write_text(SECOND)
    force = in_force(folders, judge=judge)
    assert judged == [SECOND] and force.text == FIRST
    assert str(force.refused).startswith("it cannot be run; ")


def test_the_reason_names_line_and_key(folders: Folders) -> None:
    accept_first(folders)
    folders.config.write_text(BAD)
    assert f"{folders.config}:3: broker.keepalive: " in str(in_force(folders).refused)


def test_a_file_that_is_gone_leaves_the_last_in_force(folders: Folders) -> None:
    accept_first(folders)
    folders.config.unlink()
    assert "is not there" in str(in_force(folders).refused)


def test_with_neither_the_files_own_trouble_is_raised(folders: Folders) -> None:
    with pytest.raises(Unavailable, match="is not there"):
        in_force(folders)
    folders.config.write_text(BAD)
    with pytest.raises(Refused, match=r"vedette\.toml:3: broker\.keepalive"):
        in_force(folders)


@pytest.mark.parametrize("at", [0, 10, 20, 40, -3])
def test_a_damaged_copy_is_no_copy(folders: Folders, at: int) -> None:
    accept_first(folders)
    folders.config.write_text(BAD)
    content = bytearray(copy_of(folders).read_bytes())
    content[at] ^= 1
    copy_of(folders).write_bytes(content)
    with pytest.raises(Refused):
        in_force(folders)


@pytest.mark.parametrize("length", [0, 1, len(FIRST), len(FIRST) + 20])
def test_half_a_copy_is_no_copy(folders: Folders, length: int) -> None:
    accept_first(folders)
    folders.config.write_text(BAD)
    copy_of(folders).write_bytes(copy_of(folders).read_bytes()[:length])
    with pytest.raises(Refused):
        in_force(folders)


@pytest.mark.parametrize(
    "text", [FIRST, FIRST.rstrip(), FIRST.replace("\n", "\r\n"), FIRST + "# é"]
)
def test_a_copy_gives_back_the_very_text(folders: Folders, text: str) -> None:
    folders.config.write_bytes(text.encode())
    accept(folders, in_force(folders).text)
    folders.config.write_text(BAD)
    assert in_force(folders).text == text


def test_the_largest_file_comes_back_too(folders: Folders) -> None:
    text = FIRST + ("#" * 99 + "\n") * 655
    assert 65_400 < len(text) <= 65_536
    accept(folders, text)
    folders.config.write_text(BAD)
    assert in_force(folders).text == text


def test_what_is_the_same_is_not_written_again(folders: Folders) -> None:
    accept_first(folders)
    before = copy_of(folders).stat().st_ino
    accept(folders, FIRST)
    assert copy_of(folders).stat().st_ino == before
    accept(folders, SECOND)
    assert copy_of(folders).stat().st_ino != before


def test_nobody_else_can_read_the_copy(folders: Folders) -> None:
    """A camera's URI may hold a password, and the agent is also started by hand."""
    accept_first(folders)
    assert copy_of(folders).stat().st_mode & 0o777 == 0o600
    copy_of(folders).chmod(0o644)  # as an earlier version left it
    accept(folders, FIRST)
    assert copy_of(folders).stat().st_mode & 0o777 == 0o600


def test_what_is_no_configuration_cannot_be_accepted(folders: Folders) -> None:
    accept_first(folders)
    with pytest.raises(Refused):
        accept(folders, BAD)
    assert FIRST in copy_of(folders).read_text()


def test_a_folder_that_cannot_be_written_is_said(folders: Folders) -> None:
    folders.state.rmdir()
    with pytest.raises(Unavailable, match=r"accepted\.toml: cannot be written"):
        accept(folders, FIRST)
