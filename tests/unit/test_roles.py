"""Signed metadata as bytes: thresholds, partial signatures, and what may follow what."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuf.api.metadata import Targets

from fleet.roles import online as roles_online
from fleet.roles import roles
from fleet.roles import root as roles_root
from fleet.roles import targets as roles_targets
from fleet.roles.roles import Lacking, Role, RoleName
from fleet.roles.targets import Target
from tests.repository import DAY_S, NOW_S, Repository, block_digests, digest_of
from wire.release import Variant
from wire.signing import SigningKey, make_key
from wire.troubles import Refused

FUNCTIONS = (
    roles.version_of,
    roles.expires_of,
    roles.issued_of,
    lambda b: roles.role_of(b, "root"),
    lambda b: roles.signed(b, []),
    lambda b: roles.lacking(b, b, "root"),
    lambda b: roles.lacking_root(b, b),
    lambda b: roles.verify_root(b, b, NOW_S),
    lambda b: roles.verify_targets(b, b, b, NOW_S),
    lambda b: roles.renewed(b, "root", NOW_S),
    lambda b: roles_root.next_root(b, {}, NOW_S),
    lambda b: roles_targets.targets_of(b),
    lambda b: roles_targets.without_version(b, "a", "1"),
    lambda b: roles_online.snapshot_version(b),
    lambda b: roles_online.versions_of(b),
)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def keys(folder: Path, *names: str) -> list[SigningKey]:
    return [make_key(folder / f"{name}.pem") for name in names]


def root_of(
    root: list[SigningKey], threshold: int, targets: list[SigningKey], needed: int = 1
) -> bytes:
    def role(signers: list[SigningKey], least: int) -> Role:
        return Role(tuple(key.public for key in signers), least)

    named: dict[RoleName, Role] = {
        "root": role(root, threshold),
        "targets": role(targets, needed),
        "snapshot": role(root[:1], 1),
        "timestamp": role(root[:1], 1),
    }
    return roles_root.first_root(named, NOW_S)


def test_signatures_are_added_until_enough_have_signed(tmp_path: Path) -> None:
    a, b, c = keys(tmp_path, "a", "b", "c")
    root = root_of([a, b, c], 2, [a])
    assert roles.lacking(root, root, "root") == Lacking(2, (a.public, b.public, c.public))
    root = roles.signed(root, [b])
    lack = roles.lacking(root, root, "root")
    assert (lack.count, set(lack.keys)) == (1, {a.public, c.public})
    again = roles.signed(root, [b])
    assert roles.lacking(again, root, "root").count == 1  # one key is one signature
    assert roles.lacking(roles.signed(root, [c]), root, "root").count == 0


def test_a_stranger_counts_for_nothing(tmp_path: Path) -> None:
    a, b = keys(tmp_path, "a", "b")
    root = root_of([a], 1, [a])
    assert roles.lacking(roles.signed(root, [b]), root, "root").count == 1


def test_a_change_takes_the_signatures_away(tmp_path: Path) -> None:
    a, b = keys(tmp_path, "a", "b")
    root = roles.signed(root_of([a], 1, [a]), [a])
    targets = roles.signed(roles_targets.first_targets(b.public, NOW_S), [a])
    assert roles.lacking(targets, root, "targets").count == 0
    target = Target("models/m/1/onnx.zip", "ab" * 32, 10, Variant("m", "1", "onnx"))
    for changed in (
        roles.renewed(targets, "targets", NOW_S),
        roles_targets.with_deployments_key(targets, a.public),
        roles_targets.with_command_keys(targets, b"{}"),
        roles_targets.with_bundle(targets, target, b"x" * 32),
    ):
        assert roles.lacking(changed, root, "targets").count == 1


def test_a_root_needs_the_keys_of_the_one_before_and_its_own(tmp_path: Path) -> None:
    a, b, c, d = keys(tmp_path, "a", "b", "c", "d")
    first = roles.signed(root_of([a, b], 2, [a]), [a, b])
    after = Role((c.public, d.public), 2)
    second = roles_root.next_root(first, {"root": after}, NOW_S)
    assert roles.lacking_root(second, first).count == 2
    for signers in ([a, b], [c, d], [a, c, d], [a, b, c], []):
        with pytest.raises(Refused, match="the root metadata lacks"):
            roles.verify_root(roles.signed(second, signers), first, NOW_S)
    whole = roles.signed(second, [a, b, c, d])
    assert roles.lacking_root(whole, first) == Lacking(0)
    roles.verify_root(whole, first, NOW_S)
    with pytest.raises(Refused, match="root 2 does not follow root 2"):
        roles.verify_root(whole, whole, NOW_S)
    with pytest.raises(Refused, match="expired on 2029-01-14"):
        roles.verify_root(whole, first, NOW_S + 800 * DAY_S)


def test_a_threshold_that_cannot_be_met_is_refused(tmp_path: Path) -> None:
    a, b = keys(tmp_path, "a", "b")
    for threshold, signers in ((0, [a]), (2, [a]), (2, [a, a]), (3, [a, b]), (1, [])):
        with pytest.raises(Refused, match="the threshold must be from 1"):
            root_of([a], 1, signers, threshold)


def test_what_may_follow_a_release(tmp_path: Path, repository: Repository) -> None:
    before, root, key = repository.targets, repository.root, repository.keys["targets"]
    roles.verify_targets(before, root, None, NOW_S)
    after = roles.signed(roles.renewed(before, "targets", NOW_S), [key])
    roles.verify_targets(after, root, before, NOW_S)
    with pytest.raises(Refused, match="release 1 does not follow release 1"):
        roles.verify_targets(before, root, before, NOW_S)
    later = roles.signed(roles.renewed(after, "targets", NOW_S), [key])
    with pytest.raises(Refused, match="release 3 does not follow release 1"):
        roles.verify_targets(later, root, before, NOW_S)
    with pytest.raises(Refused, match="lacks 1 signature: of one of"):
        roles.verify_targets(roles.renewed(before, "targets", NOW_S), root, before, NOW_S)
    with pytest.raises(Refused, match="expired"):
        roles.verify_targets(after, root, before, NOW_S + 366 * DAY_S)
    with pytest.raises(Refused, match="not targets metadata, but root"):
        roles.verify_targets(root, root, before, NOW_S)
    content = roles.read(after, Targets).signed
    content.delegations = None
    bare = roles.signed(roles.unsigned(content), [key])
    with pytest.raises(Refused, match="must delegate deployments"):
        roles.verify_targets(bare, root, before, NOW_S)


def test_a_bundle_keeps_its_bytes_or_takes_a_new_version(repository: Repository) -> None:
    bundle = repository.release("digits", "1", b"one")
    named = {one.path: one for one in roles_targets.targets_of(repository.targets)}
    assert named[bundle.path] == Target(
        bundle.path, bundle.digest, 3, Variant("digits", "1", "onnx", (), 13)
    )
    assert named["models/digits/1/onnx.blocks"].digest == digest_of(block_digests(b"one"))
    other = Target(bundle.path, digest_of(b"two"), 3, bundle.variant)
    with pytest.raises(Refused, match="is there already with other bytes: give the model a new"):
        roles_targets.with_bundle(repository.targets, other, block_digests(b"two"))
    with pytest.raises(Refused, match="block digests are not those of 3 bytes"):
        roles_targets.with_bundle(repository.targets, bundle, b"x" * 64)
    gone = roles_targets.without_version(repository.targets, "digits", "1")
    assert [one.path for one in roles_targets.targets_of(gone)] == ["keys/commands.json"]
    with pytest.raises(Refused, match="there is no digits 1 among"):
        roles_targets.without_version(gone, "digits", "1")


def test_lifetimes_and_versions(repository: Repository) -> None:
    repository.publish()
    assert repository.snapshot is not None and repository.timestamp is not None
    days = {
        730: repository.root,
        365: repository.targets,
        30: repository.snapshot,
        7: repository.timestamp,
    }
    for lifetime, metadata in days.items():
        assert roles.expires_of(metadata) == NOW_S + lifetime * DAY_S
    assert roles.issued_of(repository.timestamp) == NOW_S
    assert roles.version_of(repository.timestamp) == 2
    assert roles_online.snapshot_version(repository.timestamp) == 2
    assert roles_online.versions_of(repository.snapshot) == (1, 1)


def test_who_signs(repository: Repository) -> None:
    public = {name: key.public for name, key in repository.keys.items()}
    names: tuple[RoleName, ...] = roles_root.TOP_ROLES
    for name in names:
        assert roles.role_of(repository.root, name) == Role((public[name],))
    assert roles.role_of(repository.targets, "deployments") == Role((public["deployments"],))
    with pytest.raises(Refused, match="does not say who signs for deployments"):
        roles.role_of(repository.root, "deployments")


@given(st.binary(max_size=200) | st.sampled_from([b"[" * 100_000, b'{"signed":{}}', b"null"]))
def test_garbage_is_refused_in_one_line(content: bytes) -> None:
    for function in FUNCTIONS:
        with pytest.raises(Refused) as caught:
            function(content)
        assert "\n" not in str(caught.value)
