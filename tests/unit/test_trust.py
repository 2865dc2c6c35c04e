"""What is believed: real signed metadata through python-tuf, kept without a network."""

from __future__ import annotations

import datetime
import errno
import fcntl
import os
import time
from pathlib import Path

import pytest
from tuf.api.metadata import TargetFile, Targets
from tuf.ngclient import Updater

from fleet.roles import roles
from fleet.roles import targets as roles_targets
from tests.repository import DAY_S, NOW_S, Repository, block_digests
from wire.block.blocks import NoSuchFile
from wire.deployments import Deployment, Rule
from wire.release import Variant
from wire.troubles import Refused, Unavailable
from wire.trust.trust import Bundle, Trust
from wire.version import RELEASED_S

LANE = Deployment("lane", (Rule("digits", "1"),))


class Device:
    """A Trust over a repository, with a clock that the test sets; `again` is a restart."""

    def __init__(self, folder: Path, repository: Repository) -> None:
        self.folder = folder / "trust"
        self.repository = repository
        self.now_s = NOW_S
        self.trust = self.again()

    def again(self) -> Trust:
        self.trust = Trust(
            self.folder, self.repository.first_root, self.repository, lambda: self.now_s
        )
        return self.trust


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


@pytest.fixture
def device(tmp_path: Path, repository: Repository) -> Device:
    return Device(tmp_path, repository)


def test_what_was_signed_is_believed(device: Device, repository: Repository) -> None:
    content = bytes(range(256)) * 1000
    target = repository.release("digits", "1", content)
    repository.deploy(LANE)
    assert device.trust.trusted is None and device.trust.models() == ()
    assert device.trust.deployment("lane") is None and device.trust.command_keys() == ()
    trusted = device.trust.refresh()
    assert (trusted.root, trusted.targets, trusted.deployments) == (1, 2, 2)
    assert trusted.timestamp == 3
    assert trusted.expires == NOW_S + 7 * DAY_S
    bundle = Bundle(target.path, target.digest, target.size, Variant("digits", "1", "onnx", (), 13))
    assert device.trust.bundles("digits", "1") == (bundle,)
    assert device.trust.bundles("digits", "2") == device.trust.bundles("door", "1") == ()
    assert device.trust.block_digests(bundle) == block_digests(content)
    assert device.trust.deployment("lane") == LANE
    assert device.trust.deployment("door") is None
    assert device.trust.command_keys() == (repository.keys["command"].public,)


def test_what_is_believed_outlives_a_restart_without_a_network(
    device: Device, repository: Repository
) -> None:
    repository.release("digits", "1")
    repository.deploy(LANE)
    trusted = device.trust.refresh()
    bundle = device.trust.models()[0]
    said = (device.trust.deployment("lane"), device.trust.block_digests(bundle))
    keys = device.trust.command_keys()
    repository.is_down = True
    with pytest.raises(Unavailable, match="no answer"):
        device.trust.refresh()
    trust = device.again()
    with pytest.raises(Unavailable, match="no answer"):
        trust.refresh()
    assert trust.trusted == trusted
    assert (trust.deployment("lane"), trust.block_digests(bundle)) == said
    assert trust.command_keys() == keys
    assert trust.issued_s == NOW_S


def test_a_refresh_without_news_asks_for_little_and_writes_nothing(
    device: Device, repository: Repository
) -> None:
    device.trust.refresh()
    before = {path: path.stat().st_mtime_ns for path in device.folder.rglob("*.json")}
    assert before
    repository.asked.clear()
    device.trust.refresh()
    assert repository.asked == ["metadata/2.root.json", "metadata/timestamp.json"]
    assert before == {path: path.stat().st_mtime_ns for path in device.folder.rglob("*.json")}


def test_small_files_that_nothing_names_any_more_go(device: Device, repository: Repository) -> None:
    repository.deploy(LANE)
    device.trust.refresh()
    device.trust.deployment("lane")
    device.trust.command_keys()
    repository.deploy(Deployment("lane", (Rule("digits", "2"),)))
    device.trust.refresh()
    assert len(list((device.folder / "files").iterdir())) == 1
    assert device.trust.deployment("lane") != LANE


def test_a_deployment_that_does_not_come_is_not_an_old_one(
    device: Device, repository: Repository
) -> None:
    repository.deploy(LANE)
    device.trust.refresh()
    assert device.trust.deployment("lane") == LANE
    repository.deploy(Deployment("lane", (Rule("digits", "2"),)))
    device.trust.refresh()
    repository.is_down = True
    with pytest.raises(Unavailable):
        device.trust.deployment("lane")
    repository.is_down = False
    path = next(path for path in repository.files if path.endswith(".lane.json"))
    for path in [path for path in repository.files if path.endswith(".lane.json")]:
        del repository.files[path]
    with pytest.raises(Unavailable, match=r"the depot has no deployments/lane\.json"):
        device.trust.deployment("lane")


def test_a_bundle_that_is_retired_has_no_blocks(device: Device, repository: Repository) -> None:
    repository.release("digits", "1")
    device.trust.refresh()
    bundle = device.trust.models()[0]
    repository.targets = roles.renewed(repository.targets, "targets", NOW_S)
    repository.targets = roles_targets.without_version(repository.targets, "digits", "1")
    repository.publish()
    device.trust.refresh()
    assert device.trust.models() == ()
    with pytest.raises(Refused, match="released it no longer"):
        device.trust.block_digests(bundle)


def test_new_keys_reach_a_device_by_new_roots(device: Device, repository: Repository) -> None:
    device.trust.refresh()
    repository.rotate("root")
    repository.rotate("targets", "timestamp")
    repository.rotate("root", "snapshot")
    repository.release("digits", "1")
    assert device.trust.refresh().root == 4
    assert device.trust.bundles("digits", "1")
    repository.asked.clear()
    assert device.again().refresh().root == 4
    assert [p for p in repository.asked if "root" in p] == ["metadata/5.root.json"]


def test_a_first_root_that_is_none_is_refused_at_once(
    tmp_path: Path, repository: Repository
) -> None:
    wrong = {
        b"": "no root metadata",
        b"{}": "no root metadata",
        b"\xff" * 100: "no root metadata",
        b"[" * 100_000: "no root metadata",
        repository.targets: "no root metadata|targets metadata",
        repository.first_root.replace(b'"version":1', b'"version":2'): "damaged",
    }
    for root, words in wrong.items():
        with pytest.raises(Refused, match=words):
            Trust(tmp_path / "x", root, repository, lambda: NOW_S)


def test_another_first_root_forgets_what_was_believed(
    tmp_path: Path, device: Device, repository: Repository
) -> None:
    repository.release("digits", "1")
    device.trust.refresh()
    (tmp_path / "other").mkdir()
    device.repository = Repository(tmp_path / "other")
    trust = device.again()
    assert trust.trusted is None and trust.models() == ()
    assert trust.refresh().timestamp == 1


def test_two_processes_do_not_refresh_at_once(device: Device, repository: Repository) -> None:
    device.trust.refresh()
    with open(device.folder / "lock", "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Unavailable, match="another process"):
            device.trust.refresh()
    device.trust.refresh()


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, repository: Repository) -> None:
    (tmp_path / "file").write_bytes(b"")
    trust = Trust(tmp_path / "file" / "trust", repository.first_root, repository, lambda: NOW_S)
    with pytest.raises(Unavailable, match="cannot be written"):
        trust.refresh()


@pytest.mark.parametrize("call", ["replace", "rename", "fsync", "symlink"])
def test_a_disk_that_is_full_in_the_middle_is_said_and_mended(
    device: Device, repository: Repository, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    repository.deploy(LANE)
    first = device.trust.refresh()
    repository.rotate("snapshot")
    repository.release("digits", "1")
    works = getattr(os, call)
    for nth in range(1, 40):
        calls: list[object] = []

        def full(
            *words: object, nth: int = nth, calls: list[object] = calls, **more: object
        ) -> object:
            calls.append(words)
            if len(calls) == nth:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return works(*words, **more)

        with monkeypatch.context() as patch:
            patch.setattr(os, call, full)
            try:
                device.trust.refresh()
            except Unavailable as trouble:
                assert "No space left" in str(trouble)
                assert device.again().trusted in (first, device.trust.trusted)
            else:
                break
    assert len(calls) < nth and nth > 1
    assert device.again().refresh().root == 2
    assert device.trust.deployment("lane") == LANE


def test_python_tuf_takes_its_time_from_where_we_set_it(
    device: Device, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attribute is private: when it moves, expiry would silently be judged by another clock."""
    seen: list[datetime.datetime] = []
    refresh = Updater.refresh

    def look(updater: Updater) -> None:
        assert "reference_time" in vars(updater._trusted_set)
        seen.append(updater._trusted_set.reference_time)
        refresh(updater)

    monkeypatch.setattr(Updater, "refresh", look)
    device.trust.refresh()
    assert [one.timestamp() for one in seen] == [NOW_S]
    assert NOW_S > RELEASED_S
    device.now_s = NOW_S + 8 * DAY_S
    with pytest.raises(Refused, match="expired"):
        device.trust.refresh()


def test_a_source_that_has_nothing_yet(tmp_path: Path, repository: Repository) -> None:
    class Empty:
        def read(self, path: str, most_bytes: int) -> bytes:
            raise NoSuchFile(path)

    trust = Trust(tmp_path / "t", repository.first_root, Empty(), lambda: NOW_S)
    with pytest.raises(Unavailable, match=r"the depot has no metadata/timestamp\.json"):
        trust.refresh()
    assert trust.trusted is None


def test_thousands_of_bundles_are_no_burden(device: Device, repository: Repository) -> None:
    targets = roles.renewed(repository.targets, "targets", NOW_S)
    content = roles.read(targets, Targets).signed
    for n in range(3000):
        path = f"models/m{n}/1/onnx.zip"
        more = {"custom": {"model": f"m{n}", "version": "1", "format": "onnx"}}
        content.targets[path] = TargetFile(9, {"sha256": f"{n:064x}"}, path, more)
    repository.targets = roles.unsigned(content)
    repository.publish()
    began = time.process_time()
    device.trust.refresh()
    assert len(device.trust.models()) == 3000
    assert len(device.again().bundles("m7", "1")) == 1
    assert time.process_time() - began < 5
