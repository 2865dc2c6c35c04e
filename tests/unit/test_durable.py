"""Never half a file: the old content or the new one, whatever goes wrong in between."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wire import durable


def test_a_file_is_replaced_and_nothing_is_left_beside(tmp_path: Path) -> None:
    path = tmp_path / "state"
    durable.write_durably(path, b"one")
    durable.write_durably(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["state"]


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "state"
    durable.write_durably(path, b"one")
    with pytest.raises(ZeroDivisionError), durable.writing_durably(path) as file:
        file.write(b"tw")
        raise ZeroDivisionError
    assert path.read_bytes() == b"one"
    assert os.listdir(tmp_path) == ["state"]


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "state"
    durable.write_durably(path, b"one")
    with durable.writing_durably(path) as file:
        file.write(b"two" * 10_000)
        assert path.read_bytes() == b"one"
    assert path.read_bytes() == b"two" * 10_000


def test_what_a_crash_left_beside_is_replaced_and_a_link_there_is_not_followed(
    tmp_path: Path,
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / ".state.new").symlink_to(victim)
    durable.write_durably(tmp_path / "state", b"one")
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "state").is_symlink()
    (tmp_path / ".state.new").write_bytes(b"half")
    durable.link_durably(tmp_path / "state", "victim")
    assert (tmp_path / "state").read_bytes() == b"precious"
    assert sorted(os.listdir(tmp_path)) == ["state", "victim"]


def test_a_link_is_moved_in_one_step(tmp_path: Path) -> None:
    link = tmp_path / "active"
    durable.link_durably(link, "one")
    durable.link_durably(link, "two")
    assert os.readlink(link) == "two"
    durable.remove_durably(link)
    durable.remove_durably(link)
    assert not os.listdir(tmp_path)


def test_folders_are_made_all_the_way(tmp_path: Path) -> None:
    durable.make_folder_durably(tmp_path / "a" / "b" / "c")
    durable.make_folder_durably(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()


def test_contents_are_synced_before_their_name_and_the_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a power cut leaves is decided by this order alone."""
    seen = []
    fsync, rename = os.fsync, os.rename

    def noted_fsync(descriptor: int) -> None:
        seen.append(("fsync", Path(os.readlink(f"/proc/self/fd/{descriptor}")).name))
        fsync(descriptor)

    def noted_rename(source: Path, target: Path) -> None:
        assert source.read_bytes() == b"one", "flushed before it gets its name"
        seen.append(("rename", target.name))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "rename", noted_rename)
    durable.write_durably(tmp_path / "state", b"one")
    assert seen == [("fsync", ".state.new"), ("rename", "state"), ("fsync", tmp_path.name)]
    seen.clear()
    durable.remove_durably(tmp_path / "state")
    assert seen == [("fsync", tmp_path.name)]
    seen.clear()
    durable.make_folder_durably(tmp_path / "new")
    assert seen == [("fsync", tmp_path.name)]
