"""The signer on a folder: what comes into force, and what is signed anew."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.roles import roles
from fleet.roles import root as roles_root
from fleet.roles import targets as roles_targets
from fleet.roles.roles import Role
from fleet.signer.signer import Signer
from tests.depot_folder import FLEET, Yard, make_yard
from wire.signing import make_key
from wire.troubles import Refused, Unavailable

DAY_S = 24 * 3600.0


class Clock:
    """Unix time that a test sets."""

    def __init__(self) -> None:
        self.now_s = time.time()

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return make_yard(tmp_path)


@pytest.fixture
def signer(yard: Yard, clock: Clock) -> Iterator[Signer]:
    signer = Signer(yard.depot, clock)
    yield signer
    signer.close()


def take(yard: Yard, signer: Signer, targets: bytes) -> bool:
    taken = signer.take_release((), targets, yard.staged(targets, signer.place.incoming))
    yard.targets = targets
    return taken


def listing(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def check_served(signer: Signer, yard: Yard) -> None:
    for path in signer.served():
        assert (yard.depot / path).is_file(), path


def test_a_release_and_a_deployment_come_into_force(yard: Yard, signer: Signer) -> None:
    assert signer.versions.timestamp == 1
    assert take(yard, signer, yard.with_model("7"))
    assert (signer.versions.targets, signer.versions.snapshot) == (2, 2)
    signer.deploy(FLEET, "w1", yard.wish("7", 1))
    assert (signer.versions.deployments, signer.versions.snapshot) == (2, 3)
    assert (yard.depot / "metadata" / "timestamp.json").read_bytes() == signer.timestamp
    assert json.loads(signer.timestamp)["signed"]["issued"] == pytest.approx(time.time(), abs=60)
    check_served(signer, yard)


def test_what_is_opened_again_is_the_same(yard: Yard, signer: Signer) -> None:
    take(yard, signer, yard.with_model("7"))
    signer.deploy(FLEET, "w1", yard.wish("7", 1))
    held, before = signer.held, listing(yard.depot)
    signer.close()
    again = Signer(yard.depot)
    assert again.held == held
    assert listing(yard.depot) == before
    again.close()


def test_the_same_release_again_changes_nothing(yard: Yard, signer: Signer) -> None:
    targets = yard.with_model("7")
    assert take(yard, signer, targets)
    before = listing(yard.depot)
    assert not signer.take_release((), targets, {})
    assert listing(yard.depot) == before


def test_the_same_wish_again_changes_nothing(yard: Yard, signer: Signer) -> None:
    take(yard, signer, yard.with_model("7"))
    wish = yard.wish("7", 1)
    signer.deploy(FLEET, "w1", wish)
    before = listing(yard.depot)
    signer.deploy(FLEET, "w1", wish)
    assert listing(yard.depot) == before


def test_pipelines_keep_what_others_run(yard: Yard, signer: Signer) -> None:
    take(yard, signer, yard.with_model("7"))
    signer.deploy(FLEET, "w1", yard.wish("7", 1, pipeline="lane"))
    signer.deploy(FLEET, "w2", yard.wish("7", 2, pipeline="gate", identity="w2"))
    named = {file.path for file in roles_targets.targets_of(signer.held.deployments)}
    assert named == {"deployments/lane.json", "deployments/gate.json"}


def test_one_process_at_a_time(yard: Yard, signer: Signer) -> None:
    who = rf"another process works on it, .* serve or depot \(process {os.getpid()}\): end that"
    with pytest.raises(Unavailable, match=who):
        Signer(yard.depot)
    signer.close()
    Signer(yard.depot).close()


def test_nothing_is_signed_anew_before_its_time(signer: Signer, clock: Clock) -> None:
    clock.now_s += 3.4 * DAY_S
    held = signer.held
    assert not signer.renew()
    assert signer.held == held


def test_the_timestamp_is_signed_anew_at_half_of_its_life(signer: Signer, clock: Clock) -> None:
    clock.now_s += 3.6 * DAY_S
    assert signer.renew()
    assert (signer.versions.timestamp, signer.versions.snapshot) == (2, 1)
    assert signer.expires_s("timestamp") == pytest.approx(clock.now_s + 7 * DAY_S, abs=2)
    assert roles.issued_of(signer.timestamp) == int(clock.now_s)
    assert not signer.renew()


def test_all_is_signed_anew_at_half_of_its_life(yard: Yard, signer: Signer, clock: Clock) -> None:
    clock.now_s += 15.1 * DAY_S
    assert signer.renew()
    versions = signer.versions
    assert (versions.timestamp, versions.snapshot, versions.deployments) == (2, 2, 2)
    for role in ("timestamp", "snapshot", "deployments"):
        assert signer.expires_s(role) > clock.now_s + 6.9 * DAY_S  # type: ignore[arg-type]
    check_served(signer, yard)


def test_a_depot_that_was_off_for_long_comes_back(yard: Yard, clock: Clock) -> None:
    clock.now_s += 200 * DAY_S
    signer = Signer(yard.depot, clock)
    assert signer.renew()
    assert signer.versions.snapshot == 2
    signer.close()


def test_a_clock_that_went_back_signs_nothing(yard: Yard, signer: Signer, clock: Clock) -> None:
    take(yard, signer, yard.with_model("7"))
    before = listing(yard.depot)
    clock.now_s -= 40 * DAY_S
    with pytest.raises(Unavailable, match="hours behind the last signature: set it"):
        signer.deploy(FLEET, "w1", yard.wish("7", 1, issued_s=clock.now_s))
    targets = yard.with_model("8")
    with pytest.raises(Unavailable, match="hours behind"):
        take(yard, signer, targets)
    after = listing(yard.depot)
    assert {name: after[name] for name in before} == before


def test_old_versions_go_when_nobody_reads_them_any_more(yard: Yard, signer: Signer) -> None:
    for number in range(8):
        take(yard, signer, yard.with_model(str(number)))
    take(yard, signer, yard.signed(roles_targets.without_version(yard.targets, "digits", "0")))
    names = listing(yard.depot)
    assert "metadata/10.targets.json" in names
    assert "metadata/7.targets.json" in names
    assert "metadata/6.targets.json" not in names
    assert any("/digits/0/" in name for name in names), "somebody may still be reading it"
    for number in range(8, 12):
        take(yard, signer, yard.with_model(str(number)))
    assert not any("/digits/0/" in name for name in listing(yard.depot))
    check_served(signer, yard)


def rotated(yard: Yard, changed: dict[str, Role]) -> bytes:
    root = roles_root.next_root(yard.root, changed, time.time())  # type: ignore[arg-type]
    return roles.signed(root, [yard.root_key])


def test_another_timestamp_key_by_a_new_root(yard: Yard, signer: Signer) -> None:
    key = make_key(yard.place / "elsewhere.pem")
    root = rotated(yard, {"timestamp": Role((key.public,))})
    before = listing(yard.depot)
    with pytest.raises(Refused, match=r"none of its timestamp\*.pem is the key .* put that key"):
        signer.take_release([root], None, {})
    assert listing(yard.depot) == before
    (yard.place / "elsewhere.pem").rename(yard.depot / "keys" / "timestamp-2.pem")
    assert signer.take_release([root], None, {})
    assert signer.versions.root == 2
    assert not roles.lacking(signer.timestamp, root, "timestamp").count
    assert not signer.take_release([root], None, {})


def test_other_release_keys_need_the_release_signed_by_them(yard: Yard, signer: Signer) -> None:
    key = make_key(yard.place / "release-2.pem")
    root = rotated(yard, {"targets": Role((key.public,))})
    with pytest.raises(Refused, match="offer the release metadata, too"):
        signer.take_release([root], None, {})
    with pytest.raises(Refused, match="lacks 1 signature"):
        signer.take_release([root], yard.signed(yard.targets), {})
    assert signer.take_release([root], yard.signed(yard.targets, [key]), {})
    assert (signer.versions.root, signer.versions.targets) == (2, 2)


def test_a_threshold_of_two(yard: Yard, signer: Signer) -> None:
    second = make_key(yard.place / "release-2.pem")
    root = rotated(yard, {"targets": Role((yard.release_key.public, second.public), 2)})
    both = [yard.release_key, second]
    assert signer.take_release([root], yard.signed(yard.targets, both), {})
    yard.targets = signer.held.targets
    with pytest.raises(Refused, match="lacks 1 signature"):
        take(yard, signer, yard.with_model("7"))


def test_a_root_that_nobody_signed(yard: Yard, signer: Signer) -> None:
    root = roles_root.next_root(yard.root, {}, time.time())
    forged = roles.signed(root, [make_key(yard.place / "thief.pem")])
    for bad in (root, forged, b"{}", b"\xff", b"[" * 5000):
        with pytest.raises(Refused):
            signer.take_release([bad], None, {})
    assert signer.versions.root == 1


def test_a_crash_between_a_root_and_its_release_is_finished(yard: Yard, signer: Signer) -> None:
    key = make_key(yard.place / "release-2.pem")
    root = rotated(yard, {"targets": Role((key.public,))})
    targets = yard.signed(yard.targets, [key])
    signer.close()
    (yard.depot / "metadata" / "2.targets.json").write_bytes(targets)
    (yard.depot / "metadata" / "2.root.json").write_bytes(root)
    again = Signer(yard.depot)
    assert again.held.targets == targets
    assert again.versions.timestamp == 2
    again.close()


def test_a_root_without_its_release_waits_for_it(yard: Yard, signer: Signer) -> None:
    key = make_key(yard.place / "release-2.pem")
    root = rotated(yard, {"targets": Role((key.public,))})
    signer.close()
    (yard.depot / "metadata" / "2.root.json").write_bytes(root)
    again = Signer(yard.depot)
    assert again.take_release([root], yard.signed(yard.targets, [key]), {})
    again.close()


def test_another_deployments_key(yard: Yard, signer: Signer) -> None:
    take(yard, signer, yard.with_model("7"))
    signer.deploy(FLEET, "w1", yard.wish("7", 1))
    key = make_key(yard.depot / "keys" / "deployments-2.pem")
    targets = yard.signed(roles_targets.with_deployments_key(yard.targets, key.public))
    assert take(yard, signer, targets)
    assert signer.versions.deployments == 3
    assert not roles.lacking(signer.held.deployments, targets, "deployments").count
    (file,) = roles_targets.targets_of(signer.held.deployments)
    assert file.path == "deployments/lane.json"


def test_a_disk_that_fails_at_the_last_step(yard: Yard, signer: Signer) -> None:
    """Nothing is in force, what came is kept, and the next try goes through."""
    before = signer.held
    targets = yard.with_model("7")
    files = yard.staged(targets, signer.place.incoming)
    obstacle = yard.depot / "metadata" / ".timestamp.json.new"
    obstacle.mkdir()
    with pytest.raises(Unavailable, match="cannot be written"):
        signer.take_release((), targets, files)
    assert signer.held == before
    assert all(path.is_file() for path in files.values())
    obstacle.rmdir()
    assert signer.take_release((), targets, files)
    assert signer.versions.timestamp == 2
    check_served(signer, yard)


def test_a_disk_that_fails_after_the_root(yard: Yard, signer: Signer) -> None:
    key = make_key(yard.place / "release-2.pem")
    root = rotated(yard, {"targets": Role((key.public,))})
    targets = yard.signed(yard.targets, [key])
    obstacle = yard.depot / "metadata" / ".timestamp.json.new"
    obstacle.mkdir()
    with pytest.raises(Unavailable):
        signer.take_release([root], targets, {})
    obstacle.rmdir()
    assert signer.take_release([root], targets, {})
    assert (signer.versions.root, signer.versions.targets) == (2, 2)
