"""What `vedette fleet status` shows: every device, and what needs somebody."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from fleet.devices import Fleet
from fleet.roles import online as roles_online
from fleet.roles import roles
from fleet.roles import targets as roles_targets
from fleet.roles.roles import Role
from fleet.roles.root import first_root
from fleet.rollout.report import (
    Status,
    device_lines,
    device_warnings,
    expiry_warnings,
    lines,
    table,
)
from tests.telling import DIGEST, FLEET, NOW_S, presence, said, state
from tests.unit.test_rollout import OTHER, telling, update
from wire.deployments import Deployment, Rule
from wire.messages import Trusted
from wire.offers import Candidate
from wire.trust.kept import Chain

DAY_S = 86400.0
KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
TWO = Deployment("door", (Rule("digits", "2", wave=0, canaries=("a",)), Rule("digits", "1")))
DIGESTS = {("digits", "2"): frozenset({OTHER}), ("digits", "1"): frozenset({DIGEST})}


def fleet() -> Fleet:
    heard = Fleet(FLEET)
    bad = update("rolled_back", reason="p95 is\x1b[2J 80 ms")
    for name, told in {
        "b": telling(), "a": telling(bad), "c": telling(trusts=False),
        "d": replace(state(), board="jetson", pipelines={}), "e": telling(digest=OTHER),
    }.items():  # fmt: skip
        heard.hear(said(name, presence(name != "c"), retained=True), NOW_S)
        heard.hear(said(name, told, retained=True), NOW_S)
    heard.hear(said("f", presence(True), retained=True), NOW_S)
    return heard


def test_each_device_has_what_it_runs_and_how_far_it_is() -> None:
    found = device_lines(fleet(), [TWO], DIGESTS, NOW_S)
    assert list(found) == ["a", "b", "c", "d", "e"], "who has not said what it is cannot be told"
    told = {name: (one.wanted, one.stand, one.words) for name, device in found.items()
            for one in device.pipelines.values()}  # fmt: skip
    assert told == {
        "a": ("digits 2", "failed", "rolled back: p95 is [2J 80 ms"),
        "b": ("digits 1", "good", "good"),
        "c": ("digits 1", "good", "good"),
        "e": ("digits 1", "waiting", "waiting"),
    }
    assert found["d"].board == "jetson" and found["d"].pipelines == {}
    assert not found["c"].online and found["b"].online


def test_a_pipeline_to_which_nothing_is_deployed_is_shown_as_it_is() -> None:
    found = device_lines(fleet(), [], {}, NOW_S)
    one = found["b"].pipelines["door"]
    assert (one.runs, one.wanted, one.stand) == ("digits 1", None, None)
    assert table({"b": found["b"]}) == [
        "device  pipeline  runs      wanted  how far",
        "b       door      digits 1  -       nothing is deployed to it",
    ]


def test_a_pipeline_without_a_model_says_so() -> None:
    heard = Fleet(FLEET)
    heard.hear(said("b", presence(True), retained=True), NOW_S)
    door = replace(state().pipelines["door"], model="", version=None)
    heard.hear(said("b", replace(state(), pipelines={"door": door}), retained=True), NOW_S)
    assert device_lines(heard, [], {}, NOW_S)["b"].pipelines["door"].runs == "no model"


def test_devices_that_cannot_follow_are_warned_of() -> None:
    found = device_lines(fleet(), [TWO], DIGESTS, NOW_S)
    assert device_warnings(found, Trusted(1, 9, 3, 4, NOW_S)) == []
    (first, *_) = device_warnings(found, Trusted(1, 9, 3, 5, NOW_S))
    assert first == "a: is behind: it has deployments 4 of 5"
    online = {"c": replace(found["c"], online=True)}
    (warning,) = device_warnings(online, None)
    assert "c: believes no signed metadata" in warning


def chain(now_s: float) -> Chain:
    role = Role((KEY,))
    root = first_root(dict.fromkeys(("root", "targets", "snapshot", "timestamp"), role), now_s)
    targets = roles_targets.first_targets(KEY, now_s)
    deployments = roles_online.first_deployments(now_s)
    snapshot = roles_online.snapshot_of(None, targets, deployments, now_s)
    timestamp = roles_online.timestamp_of(None, snapshot, now_s)
    return Chain("", root, timestamp, snapshot, targets, deployments)


@pytest.mark.parametrize(
    ("days", "warned"),
    [
        (0, []),
        (3, []),  # the depot signs anew at half of seven
        (5, ["timestamp"]),
        (20, ["snapshot", "timestamp", "deployments"]),
        (340, ["targets", "snapshot", "timestamp", "deployments"]),
        (710, ["root", "targets", "snapshot", "timestamp", "deployments"]),
    ],
)
def test_what_expires_soon_is_warned_of_in_time(days: int, warned: list[str]) -> None:
    told = expiry_warnings(chain(NOW_S), NOW_S + days * DAY_S)
    assert sorted(one.split()[0] for one in told) == sorted(warned)
    assert all("expire" in one for one in told)
    assert roles.expires_of(chain(NOW_S).root) > NOW_S + 729 * DAY_S


def test_the_whole_for_people_and_for_programs() -> None:
    trusted = Trusted(1, 33, 4, 7, NOW_S + 6 * DAY_S)
    candidate = Candidate(OTHER, 1_200_000, "digits", "9", "onnx", (), NOW_S - 180)
    status = Status(
        FLEET, trusted, (TWO,), {"digits": ("1", "2")},
        device_lines(fleet(), [TWO], DIGESTS, NOW_S), (candidate,), ("look here",),
    )  # fmt: skip
    told = lines(status, NOW_S)
    assert told[:3] == [
        "fleet home: root 1, release 4, deployments 7, timestamp 33; the first of these expires in "
        "6 days",
        "pipeline door: digits 2 to a; then digits 1 to all",
        "model digits: 1, 2",
    ]
    assert told[-2:] == [
        f"candidate {'a' * 12}: digits 9 onnx, 1.1 MiB, since 3 min: vedette fleet sign {'a' * 12}",
        "warning: look here",
    ]
    assert all(line.isprintable() for line in told)
    plain = msgspec.json.decode(msgspec.json.encode(status))
    assert plain["devices"]["a"]["pipelines"]["door"]["reason"] == "p95 is [2J 80 ms"
    assert plain["trusted"]["deployments"] == 7


def test_a_fleet_of_which_nothing_is_known() -> None:
    told = lines(Status(FLEET, None, (), {}, {}, (), ("no depot",)), NOW_S)
    assert told == [
        "fleet home: its signed metadata was never seen here", "no device was seen",
        "warning: no depot",
    ]  # fmt: skip


def test_a_device_that_cannot_follow_is_shown_with_its_fault() -> None:
    heard = Fleet(FLEET)
    behind = replace(telling(), faults=("camera: gone", "trust: the clock is behind: set it"))
    heard.hear(said("a", presence(True), retained=True), NOW_S)
    heard.hear(said("a", behind, retained=True), NOW_S)
    two = Deployment("door", (Rule("digits", "2"),))
    found = device_lines(heard, [two], DIGESTS, NOW_S)
    assert found["a"].pipelines["door"].words == "waiting: trust: the clock is behind: set it"
    (warning,) = device_warnings(found, Trusted(1, 2, 3, 5, NOW_S))
    assert warning == (
        "a: is behind: it has deployments 4 of 5: trust: the clock is behind: set it"
    )


def test_a_model_that_is_damaged_is_named_also_where_another_one_is_wanted() -> None:
    heard = Fleet(FLEET)
    damage = "door: model: digits 1 (aaaaaaaaaaaa) is damaged on disk: it is fetched again"
    told = replace(telling(), faults=("camera: gone", damage))
    heard.hear(said("a", presence(True), retained=True), NOW_S)
    heard.hear(said("a", told, retained=True), NOW_S)
    found = device_lines(heard, [], DIGESTS, NOW_S)
    assert (found["a"].faults, found["a"].damages) == ((), (damage,))
    assert device_warnings(found, Trusted(1, 2, 3, 4, NOW_S)) == [f"a: {damage}"]
