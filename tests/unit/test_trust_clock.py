"""Devices without a clock, and with a wrong one: neither locked out nor fooled, nor poisoned."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.roles import roles
from tests.repository import DAY_S, NOW_S, Repository
from tests.unit.test_trust import LANE, Device
from wire.troubles import Refused
from wire.version import RELEASED_S

YEAR_S = 365 * DAY_S


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


@pytest.fixture
def device(tmp_path: Path, repository: Repository) -> Device:
    return Device(tmp_path, repository)


def test_a_clock_of_1970_does_not_lock_out(device: Device, repository: Repository) -> None:
    device.now_s = 12.0
    repository.deploy(LANE)
    device.trust.refresh()
    assert device.trust.deployment("lane") == LANE
    assert device.again().issued_s == NOW_S


def test_a_clock_of_1970_does_not_let_in_what_expired_before_the_newest_that_was_seen(
    device: Device, repository: Repository
) -> None:
    """The same week-old files again, a month later, by a device that was restarted since."""
    repository.now_s = NOW_S + 30 * DAY_S
    repository.publish()
    device.now_s = 12.0
    device.trust.refresh()
    assert device.again().issued_s == NOW_S + 30 * DAY_S
    repository.now_s = NOW_S
    repository.publish()  # newer by its version, issued a month before
    with pytest.raises(
        Refused, match=r"timestamp expired on 2027-01-22.*signed metadata of 2027-02-14 08:00 UTC"
    ):
        device.trust.refresh()


def test_a_clock_of_1970_does_not_let_in_what_expired_before_this_version_was_made(
    tmp_path: Path,
) -> None:
    ancient = Repository(tmp_path, RELEASED_S - 30 * DAY_S)
    device = Device(tmp_path, ancient)
    device.now_s = 12.0
    with pytest.raises(Refused, match=r"timestamp expired on 2026-10-09.*this version of Vedette"):
        device.trust.refresh()
    assert device.trust.issued_s == 0.0


def test_a_clock_ten_years_ahead_poisons_nothing(device: Device, repository: Repository) -> None:
    device.trust.refresh()
    trusted = device.trust.trusted
    device.now_s = NOW_S + 10 * YEAR_S
    repository.deploy(LANE)
    with pytest.raises(Refused, match=r"root expired on 2029-01-14.*by this machine's clock"):
        device.trust.refresh()
    assert device.trust.trusted == trusted
    device.again()
    with pytest.raises(Refused, match="2037-01-12"):
        device.trust.refresh()
    assert device.trust.issued_s == NOW_S
    device.now_s = NOW_S
    device.trust.refresh()
    assert device.trust.deployment("lane") == LANE


def test_a_first_refresh_with_a_clock_ten_years_ahead(
    device: Device, repository: Repository
) -> None:
    device.now_s = NOW_S + 10 * YEAR_S
    with pytest.raises(Refused, match="expired"):
        device.trust.refresh()
    device.now_s = NOW_S
    assert device.again().refresh().timestamp == 1


@pytest.mark.parametrize("now_s", [-1e6, 0.0, 1e11, 1e18, float("inf")])
def test_no_clock_is_a_crash(device: Device, now_s: float) -> None:
    device.now_s = now_s
    if now_s < NOW_S:
        device.trust.refresh()
    else:
        with pytest.raises(Refused, match="expired"):
            device.trust.refresh()


@pytest.mark.parametrize(
    ("days", "what", "who"),
    [
        (8, "timestamp", "is vedette fleet depot running"),
        (31, "snapshot", "is vedette fleet depot running"),
        (366, "targets", "vedette fleet keys renew"),
        (731, "root", "vedette fleet keys renew"),
    ],
)
def test_it_is_said_what_expired_and_who_renews_it(
    device: Device, repository: Repository, days: int, what: str, who: str
) -> None:
    """All else is fresh."""
    device.trust.refresh()
    device.now_s = repository.now_s = NOW_S + days * DAY_S
    if what == "targets":
        repository.deployments = roles.renewed(
            repository.deployments, "deployments", repository.now_s
        )
    if what in ("targets", "root"):
        repository.publish()
    elif what == "snapshot":
        repository.publish_timestamp()
    with pytest.raises(Refused, match=f"the fleet's {what} expired on .*{who}"):
        device.trust.refresh()
