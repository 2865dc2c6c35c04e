"""The signer where something was lost or was wrong: it opens, says so, and takes what mends it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.roles import roles
from fleet.roles import root as roles_root
from fleet.roles import targets as roles_targets
from fleet.roles.roles import Role, RoleName
from fleet.signer import checks as signer_checks
from fleet.signer import place as signer_place
from fleet.signer.signer import Signer
from tests.depot_folder import FLEET, Yard, make_yard
from tests.unit.test_signer import DAY_S, Clock, listing, rotated, take
from wire.signing import make_key
from wire.troubles import Refused, Unavailable
from wire.trust import trust
from wire.trust import updating as trust_updating

YEAR_S = 365 * DAY_S


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


@pytest.mark.parametrize("role", ["snapshot", "timestamp", "deployments"])
def test_a_lost_online_key_is_replaced(yard: Yard, clock: Clock, role: RoleName) -> None:
    """The depot serves on without it, and takes the change that names another."""
    (yard.depot / "keys" / f"{role}.pem").unlink()
    signer = Signer(yard.depot, clock)
    assert signer.served()
    with pytest.raises(Refused, match=f"or replace it: vedette fleet keys rotate {role}"):
        signer.renew()
    key = make_key(yard.depot / "keys" / f"{role}-2.pem")
    if role == "deployments":
        targets = roles_targets.with_deployments_key(yard.targets, key.public)
        assert signer.take_release([], yard.signed(targets), {})
    else:
        assert signer.take_release([rotated(yard, {role: Role((key.public,))})], None, {})
    clock.now_s += 20 * DAY_S
    assert signer.renew()
    signer.close()


def test_a_spoiled_key_beside_the_right_one_is_no_trouble(yard: Yard, clock: Clock) -> None:
    keys = yard.depot / "keys"
    (keys / "timestamp.pem").rename(keys / "timestamp-2.pem")
    (keys / "timestamp-1.pem").write_text("not a key")
    signer = Signer(yard.depot, clock)
    clock.now_s += 5 * DAY_S
    assert signer.renew()
    signer.close()


def test_a_key_that_others_may_read_is_told(
    yard: Yard, signer: Signer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    signer.close()
    (yard.depot / "keys" / "timestamp.pem").chmod(0o644)
    again = Signer(yard.depot, clock)
    assert "others may read this key (644): chmod 600" in caplog.text
    again.close()


def test_a_clock_far_ahead_signs_nothing(yard: Yard, signer: Signer, clock: Clock) -> None:
    """A board without a battery says 2099: devices must not learn that from us."""
    take(yard, signer, yard.with_model("7"))
    before = listing(yard.depot)
    clock.now_s += 3 * YEAR_S
    with pytest.raises(Unavailable, match="set the clock, or run vedette fleet keys renew"):
        signer.renew()
    with pytest.raises(Unavailable, match="set the clock"):
        signer.deploy(FLEET, "w1", yard.wish("7", 1, issued_s=clock.now_s))
    assert listing(yard.depot) == before


def test_an_expired_root_is_renewed(yard: Yard, clock: Clock) -> None:
    clock.now_s += 3 * YEAR_S
    signer = Signer(yard.depot, clock)
    root = roles.signed(roles_root.next_root(yard.root, {}, clock.now_s), [yard.root_key])
    targets = roles.renewed(yard.targets, "targets", clock.now_s)
    assert signer.take_release([root], roles.signed(targets, [yard.release_key]), {})
    assert signer.expires_s("timestamp") > clock.now_s + 6 * DAY_S
    signer.close()


def test_what_a_clock_ahead_has_signed_is_undone_by_another_timestamp_key(
    yard: Yard, signer: Signer, clock: Clock
) -> None:
    right_s = clock.now_s
    clock.now_s += 200 * DAY_S
    assert signer.renew()
    clock.now_s = right_s
    with pytest.raises(Unavailable, match="it was ahead then: vedette fleet keys rotate timestamp"):
        signer.renew()
    key = make_key(yard.depot / "keys" / "timestamp-2.pem")
    assert signer.take_release([rotated(yard, {"timestamp": Role((key.public,))})], None, {})
    assert roles.issued_of(signer.timestamp) == int(right_s)
    clock.now_s += 5 * DAY_S
    assert signer.renew()


def test_a_root_on_the_way_may_have_expired(yard: Yard, clock: Clock) -> None:
    """A backup of two roots ago: the newest one counts."""
    second = roles_root.next_root(yard.root, {}, clock.now_s - 3 * YEAR_S)
    second = roles.signed(second, [yard.root_key])
    third = roles.signed(roles_root.next_root(second, {}, clock.now_s), [yard.root_key])
    signer = Signer(yard.depot, clock)
    with pytest.raises(Refused, match="the root metadata expired on"):
        signer.take_release([second], None, {})
    assert signer.take_release([second, third], None, {})
    assert signer.versions.root == 3
    signer.close()


def test_what_devices_would_not_take_does_not_come_into_force(yard: Yard, signer: Signer) -> None:
    """A root that is too long for them would end the fleet; a release, the depot's own folder."""
    keys = tuple(f"{number:064x}" for number in range(2, 500))
    root = rotated(yard, {"targets": Role((yard.release_key.public, *keys))})
    with pytest.raises(Refused, match=r"root: .* bytes are too many"):
        signer.take_release([root], None, {})
    targets = yard.targets
    padded = roles.signed(roles.renewed(targets, "targets", time.time()), [yard.release_key])
    padded += b" " * signer_place.LARGEST_METADATA
    with pytest.raises(Refused, match=r"release: .* bytes are too many"):
        signer.take_release([], padded, {})
    limits = trust_updating.LIMITS
    assert limits.root_max_length >= signer_checks.LARGEST_ROOT
    assert limits.targets_max_length >= signer_place.LARGEST_METADATA
    assert signer_checks.LARGEST_KEYS <= trust.LARGEST_KEYS


def test_a_disk_that_fails_while_signing_anew(yard: Yard, signer: Signer, clock: Clock) -> None:
    clock.now_s += 20 * DAY_S
    obstacle = yard.depot / "metadata" / ".timestamp.json.new"
    obstacle.mkdir()
    with pytest.raises(Unavailable, match="cannot be written"):
        signer.renew()
    obstacle.rmdir()
    assert signer.renew()
    assert signer.versions.timestamp == 2
