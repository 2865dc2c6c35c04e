"""What brokers, mirrors and thieves of keys try, retold: each is refused in one clear line."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tuf.api.metadata import Snapshot, Targets, Timestamp

from fleet.roles import online as roles_online
from fleet.roles import roles
from fleet.roles import root as roles_root
from fleet.roles import targets as roles_targets
from fleet.roles.roles import Role, RoleName
from fleet.signer.signer import MOST_PIPELINES
from tests.repository import DAY_S, NOW_S, Repository, digest_of
from tests.unit.test_trust import LANE, Device
from wire.block.blocks import BLOCK, block_count
from wire.block.part import Part
from wire.deployments import Deployment, Rule
from wire.troubles import Refused, Trouble, Unavailable
from wire.trust.updating import LARGEST_DEPLOYMENTS

YEAR_S = 365 * DAY_S


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path)
    repository.release("digits", "1")
    repository.deploy(LANE)
    return repository


@pytest.fixture
def device(tmp_path: Path, repository: Repository) -> Device:
    device = Device(tmp_path, repository)
    device.trust.refresh()
    assert device.trust.deployment("lane") == LANE
    return device


def refused(device: Device, words: str) -> None:
    """The refresh is refused with these words, on one line, and all is as it was: now, and after a
    restart."""
    before = device.trust.trusted
    with pytest.raises(Refused, match=words) as caught:
        device.trust.refresh()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    for trust in (device.trust, device.again()):
        assert trust.trusted == before
        assert trust.deployment("lane") == LANE
        assert trust.bundles("digits", "1")


def test_rollback_to_an_older_timestamp(device: Device, repository: Repository) -> None:
    old = dict(repository.files)
    repository.release("digits", "2")
    device.trust.refresh()
    repository.files = old
    refused(device, "timestamp has another version than it must.*replay")
    assert device.trust.bundles("digits", "2")


def test_rollback_is_remembered_when_the_newer_could_not_be_had_whole(
    device: Device, repository: Repository
) -> None:
    """A newer timestamp was seen: the one of before is a replay, whatever came of the rest."""
    old = repository.files["metadata/timestamp.json"]
    repository.release("digits", "2")
    gone = repository.files.pop("metadata/4.snapshot.json")
    with pytest.raises(Unavailable, match=r"no metadata/4\.snapshot\.json"):
        device.trust.refresh()
    new = repository.files["metadata/timestamp.json"]
    repository.put("metadata/timestamp.json", old)
    device.again()
    refused(device, "replay")
    repository.put("metadata/timestamp.json", new)
    repository.put("metadata/4.snapshot.json", gone)
    device.trust.refresh()
    assert device.trust.bundles("digits", "2")


def test_rollback_of_a_release_by_a_thief_of_the_online_keys(
    device: Device, repository: Repository
) -> None:
    old_targets = repository.targets
    repository.release("digits", "2")
    device.trust.refresh()
    repository.targets = old_targets
    repository.publish()
    refused(device, "snapshot has another version than it must")


def test_freeze(device: Device, repository: Repository) -> None:
    """Somebody replays what was the newest once: it is too old after a week."""
    repository.release("digits", "2")
    device.now_s = NOW_S + 6.9 * DAY_S
    repository.publish_timestamp()
    device.trust.refresh()
    device.now_s = NOW_S + 7.1 * DAY_S
    refused(
        device,
        "timestamp expired on 2027-01-22 08:00 UTC, and by this machine's clock it is 2027-01-22 "
        "10:24 UTC: is vedette fleet depot running",
    )
    repository.now_s = device.now_s
    repository.publish()
    device.trust.refresh()


def test_wrong_key(device: Device, repository: Repository) -> None:
    right = repository.keys["timestamp"]
    repository.new_key("timestamp")
    repository.publish_timestamp()
    refused(device, "timestamp is not signed by enough keys that root 1 names")
    repository.keys["timestamp"] = right
    repository.publish_timestamp()
    device.trust.refresh()


@pytest.mark.parametrize("role", ["targets", "snapshot", "deployments"])
def test_wrong_key_of_another_role(device: Device, repository: Repository, role: str) -> None:
    repository.new_key(role)
    if role == "deployments":
        changed = {"lane": b'{"pipeline":"lane","rules":[]}'}
        repository.deployments = roles_online.next_deployments(
            repository.deployments, changed, NOW_S
        )
    elif role == "targets":
        repository.targets = roles.renewed(repository.targets, "targets", NOW_S)
    repository.publish()
    refused(device, f"{role} is not signed by enough keys")


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a_revoked_key(device: Device, repository: Repository, role: RoleName) -> None:
    """It was right until the rotation, and signs on."""
    stolen = repository.keys[role]
    repository.rotate(role)
    repository.publish()
    device.trust.refresh()
    repository.keys[role] = stolen
    if role == "targets":
        repository.targets = roles.renewed(repository.targets, role, NOW_S)
    repository.publish()
    refused(device, f"{role} is not signed by enough keys that root 2 names")


def test_another_fleets_files(tmp_path: Path, device: Device) -> None:
    (tmp_path / "other").mkdir()
    other = Repository(tmp_path / "other")
    device.repository.files = other.files
    refused(device, "timestamp is not signed by enough keys.*is it of this fleet")


def test_threshold_not_met(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    first, second = repository.keys["targets"], repository.new_key("targets")
    both: dict[RoleName, Role] = {"targets": Role((first.public, second.public), 2)}
    root = roles_root.next_root(repository.root, both, NOW_S)
    repository.put("metadata/2.root.json", roles.signed(root, [repository.keys["root"]]))
    repository.targets = roles.renewed(repository.targets, "targets", NOW_S)
    repository.publish()
    device = Device(tmp_path, repository)
    with pytest.raises(Refused, match="targets is not signed by enough keys that root 2 names"):
        device.trust.refresh()
    repository.targets = roles.signed(repository.targets, [first])
    repository.publish()
    assert device.trust.refresh().root == 2


def test_a_root_that_the_old_keys_did_not_sign(device: Device, repository: Repository) -> None:
    thief = repository.new_key("root")
    changed: dict[RoleName, Role] = {
        "root": Role((thief.public,)),
        "targets": Role((thief.public,)),
    }
    root = roles.signed(roles_root.next_root(repository.root, changed, NOW_S), [thief])
    repository.put("metadata/2.root.json", root)
    refused(device, "root is not signed by enough keys that root 1 names")


def test_mix_and_match(device: Device, repository: Repository) -> None:
    """Files that are all signed, of different days."""
    first = repository.files["metadata/2.targets.json"]
    repository.release("digits", "2")
    repository.put("metadata/3.targets.json", first)
    refused(device, "targets is not the one that belongs to the rest")


def test_mix_and_match_of_signed_files_of_the_same_version(
    device: Device, repository: Repository
) -> None:
    fork = repository.targets
    repository.release("digits", "2")
    other = roles.renewed(fork, "targets", NOW_S + 1)
    repository.put("metadata/3.targets.json", roles.signed(other, [repository.keys["targets"]]))
    refused(device, "targets is not the one that belongs to the rest")


def test_endless_and_giant_metadata(device: Device, repository: Repository) -> None:
    """A source is told how much is wanted; one that hands over more is refused all the same."""
    repository.release("digits", "2")
    for name in ("timestamp", "4.snapshot", "3.targets"):
        giant = b" " * 9_000_000

        def swell(path: str, content: bytes, name: str = name, giant: bytes = giant) -> bytes:
            return content + giant if path == f"metadata/{name}.json" else content

        repository.tamper = swell
        refused(device, f"{name.rpartition('.')[2]} is too large")
    repository.tamper = None
    repository.put("metadata/2.root.json", b"[" * 65_000)
    refused(device, "root")


def test_giant_deployments_of_a_thief_of_the_online_keys(
    device: Device, repository: Repository
) -> None:
    """Signed as they must be, and no longer than is read at all: parsing six megabytes of empty
    objects took 300 MB of a device's memory."""
    deployments = roles.parsed(repository.deployments)
    deployments.signed.version += 1
    deployments.signed.unrecognized_fields["x"] = [{}] * (LARGEST_DEPLOYMENTS // 3)
    repository.deployments = roles.unsigned(deployments.signed)  # type: ignore[type-var]
    repository.publish()
    most: list[int] = []
    read = repository.read

    def reads(path: str, most_bytes: int) -> bytes:
        if path.endswith("deployments.json"):
            most.append(most_bytes)
        return read(path, most_bytes)

    repository.read = reads  # type: ignore[method-assign]
    refused(device, "deployments is too large")
    assert most == [LARGEST_DEPLOYMENTS]


def test_a_thousand_pipelines_fit_what_devices_read(repository: Repository) -> None:
    def size_of(pipelines: int) -> int:
        files = {f"{number:064d}": b"%d" % number for number in range(pipelines)}
        changed = roles_online.next_deployments(repository.deployments, files, NOW_S)
        return len(roles.signed(changed, [repository.keys["deployments"]]))

    each = (size_of(21) - size_of(1)) / 20
    assert size_of(1) + MOST_PIPELINES * each < LARGEST_DEPLOYMENTS


def test_online_thief_cannot_release(device: Device, repository: Repository) -> None:
    """Whoever has the depot's keys can name any file under deployments/, and nothing else."""
    evil = roles_targets.Target("models/digits/9/onnx.zip", "ab" * 32, 1000)
    after = roles.renewed(repository.deployments, "deployments", NOW_S)
    repository.deployments = roles_targets.with_target(after, evil)
    repository.publish()
    device.trust.refresh()
    assert device.trust.bundles("digits", "9") == ()
    keys = roles_targets.Target("keys/commands.json", "cd" * 32, 100)
    after = roles.renewed(repository.deployments, "deployments", NOW_S)
    repository.deployments = roles_targets.with_target(after, keys)
    repository.publish()
    device.trust.refresh()
    assert device.trust.command_keys() == (repository.keys["command"].public,)


@pytest.mark.parametrize("part", ["lane.json", "commands.json", "blocks"])
def test_other_bytes_than_were_signed(tmp_path: Path, part: str) -> None:
    repository = Repository(tmp_path)
    repository.release("digits", "1")
    repository.deploy(LANE)
    device = Device(tmp_path, repository)
    device.trust.refresh()
    ask: dict[str, Callable[[], object]] = {
        "lane.json": lambda: device.trust.deployment("lane"),
        "commands.json": device.trust.command_keys,
        "blocks": lambda: device.trust.block_digests(device.trust.models()[0]),
    }
    repository.tamper = lambda path, content: content[:-1] + b"!"
    with pytest.raises(Refused, match="other bytes than were signed"):
        ask[part]()
    repository.tamper = None
    assert ask[part]()


def test_tampered_block(device: Device, tmp_path: Path) -> None:
    """Each block is judged by itself, as it lands, and the right one is taken after a wrong one."""
    (bundle,) = device.trust.models()
    part = Part(tmp_path / "part", bundle.size, bundle.digest, device.trust.block_digests(bundle))
    content = b"model" * 20_000
    for number in range(block_count(bundle.size)):
        block = content[number * BLOCK : (number + 1) * BLOCK]
        for wrong in (block[:-1] + b"!", block[:-1], block + b"!", b"\0" * len(block)):
            assert not part.write(number, wrong)
        assert part.write(number, block)
    assert part.finish().read_bytes() == content


def test_fast_forward_is_recovered_from_by_new_keys(device: Device, repository: Repository) -> None:
    """A thief of the online keys pushes all versions far ahead; nobody can follow. New keys mend
    it, though devices have accepted the thief's."""
    good = (repository.timestamp, repository.snapshot, repository.deployments)
    timestamp = roles.read(repository.timestamp or b"", Timestamp)
    timestamp.signed.version = 2**40
    timestamp.signed.snapshot_meta.version = 2**40
    snapshot = roles.read(repository.snapshot or b"", Snapshot)
    snapshot.signed.version = 2**40
    snapshot.signed.meta["deployments.json"].version = 2**40
    deployments = roles.read(repository.deployments, Targets)
    deployments.signed.version = 2**40 - 1
    repository.deployments = roles.renewed(deployments.to_bytes(), "deployments", NOW_S)
    repository.timestamp, repository.snapshot = timestamp.to_bytes(), snapshot.to_bytes()
    repository.publish()
    assert device.trust.refresh().timestamp == 2**40 + 1
    repository.timestamp, repository.snapshot, repository.deployments = good
    repository.publish()
    refused(device, "another version than it must.*rotate online")
    repository.rotate("timestamp", "snapshot")
    repository.publish()
    trusted = device.trust.refresh()
    assert (trusted.root, trusted.timestamp, trusted.deployments) == (2, 5, 2)
    assert device.again().refresh() == trusted


def test_a_stolen_timestamp_that_is_of_the_future_is_recovered_from(
    device: Device, repository: Repository
) -> None:
    """By a time far ahead all honest metadata would have expired, for ever."""
    honest = repository.timestamp
    repository.now_s = NOW_S + 50 * YEAR_S
    repository.publish_timestamp()
    repository.now_s = NOW_S
    device.trust.refresh()
    assert device.again().issued_s == NOW_S + 50 * YEAR_S
    repository.timestamp = honest
    repository.publish()
    repository.publish()
    with pytest.raises(Refused, match=r"expired.*signed metadata of 2077-.* was accepted before"):
        device.trust.refresh()
    repository.rotate("timestamp")
    repository.publish()
    assert device.trust.refresh().root == 2
    assert device.again().issued_s == NOW_S


def test_a_time_that_makes_no_sense_is_not_believed(device: Device, repository: Repository) -> None:
    for issued in (10**18, -5, "soon", None, True):
        timestamp = roles.read(repository.timestamp or b"", Timestamp)
        timestamp.signed.version += 1
        timestamp.signed.unrecognized_fields["issued"] = issued
        repository.timestamp = roles.signed(
            roles.unsigned(timestamp.signed), [repository.keys["timestamp"]]
        )
        repository.put("metadata/timestamp.json", repository.timestamp)
        device.trust.refresh()
        assert device.again().issued_s == NOW_S


@pytest.mark.parametrize("damage", [b"", b"{", b"\0" * 400, None])
@pytest.mark.parametrize("name", ["timestamp.json", "snapshot.json", "targets.json",
    "deployments.json", "root_history/2.root.json", "accepted", "issued"])  # fmt: skip
def test_a_torn_file_locks_nobody_out(
    device: Device, repository: Repository, name: str, damage: bytes | None
) -> None:
    repository.rotate("snapshot")
    repository.publish()
    device.trust.refresh()
    path = device.folder / name
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] if damage is None else damage)
    before = device.trust.trusted
    trust = device.again()
    assert (trust.trusted is None) == (name == "accepted")
    assert trust.refresh() == before
    assert trust.deployment("lane") == LANE
    assert path.read_bytes() == content  # mended, the next start finds it whole
    assert device.again().trusted == before


@pytest.mark.parametrize("name", ["accepted", "issued"])
def test_a_flipped_bit_is_no_belief(device: Device, name: str) -> None:
    before, path = device.trust.trusted, device.folder / name
    content = bytearray(path.read_bytes())
    place = (
        content.find(b"2027-") + 3 if name == "accepted" else 32 + content[32:].find(b"\xce") + 1
    )
    content[place] ^= 1
    path.write_bytes(content)
    trust = device.again()
    assert trust.trusted is None if name == "accepted" else trust.issued_s == 0.0
    assert trust.refresh() == before and trust.issued_s == NOW_S


def test_a_torn_small_file_is_fetched_again(device: Device) -> None:
    for path in (device.folder / "files").iterdir():
        path.write_bytes(path.read_bytes()[:-3])
    assert device.again().deployment("lane") == LANE
    assert device.trust.command_keys()


def test_a_folder_in_the_place_of_a_file(device: Device) -> None:
    (device.folder / "timestamp.json").unlink()
    (device.folder / "timestamp.json").mkdir()
    with pytest.raises(Unavailable, match="cannot be written"):
        device.trust.refresh()
    assert device.trust.deployment("lane") == LANE


SLOTS = ("metadata/timestamp.json", "metadata/4.snapshot.json", "metadata/3.targets.json")


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(st.data())
def test_garbage_of_any_kind_is_a_trouble_and_no_crash(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Also garbage that is signed: by a thief, or by a bug."""
    if not _WORLD:
        folder = tmp_path_factory.mktemp("world")
        world = Repository(folder)
        world.release("digits", "1")
        world.deploy(LANE)
        world.release("digits", "2")
        _WORLD.append((world, dict(world.files), folder))
    world, files, folder = _WORLD[0]
    world.files = dict(files)
    slot = data.draw(st.sampled_from(SLOTS))
    tree = json.loads(files[slot])
    place = data.draw(st.sampled_from(_places(tree["signed"])))
    value = data.draw(_VALUES)
    _put(tree["signed"], place, value)
    content = json.dumps(tree).encode()
    role = slot.removesuffix(".json").rpartition("/")[2].rpartition(".")[2]
    with contextlib.suppress(Exception):  # no metadata any more: it is served as it is
        content = roles.signed(content, [world.keys[role]])
    world.put(slot, content)
    device = Device(folder / f"{len(list(folder.iterdir()))}", world)
    device.folder.parent.mkdir()
    try:
        device.trust.refresh()
        device.trust.models()
    except Trouble as trouble:
        assert "\n" not in str(trouble)


_WORLD: list[tuple[Repository, dict[str, bytes], Path]] = []
_VALUES: st.SearchStrategy[object] = st.sampled_from(
    [None, -1, 0, 2**70, "", "x", "../../x", "2027-13-45T00:00:00Z", [], [[]], {}, {"a": {}}, True,
     "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "timestamp", "\ud800", ["deployments"]]
)  # fmt: skip


def _places(tree: object, above: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [above] if above else []
    if isinstance(tree, dict):
        for key, value in tree.items():
            found += _places(value, (*above, key))
    if isinstance(tree, list):
        for number, value in enumerate(tree):
            found += _places(value, (*above, number))
    return found


def _put(tree: dict[str | int, object], place: tuple[str | int, ...], value: object) -> None:
    here = tree
    for part in place[:-1]:
        here = here[part]  # type: ignore[assignment]
    here[place[-1]] = value


def test_the_words_name_no_python(device: Device, repository: Repository) -> None:
    repository.put("metadata/timestamp.json", b'{"signed": 5, "signatures": []}')
    before = device.trust.trusted
    with pytest.raises(Refused) as caught:
        device.trust.refresh()
    assert not re.search(r"Error|object|0x|Traceback", str(caught.value)), str(caught.value)
    assert device.trust.trusted == before


def test_a_deployment_that_is_no_deployment(device: Device, repository: Repository) -> None:
    repository.deploy(Deployment("door", (Rule("digits", "1"),)))
    content = b'{"pipeline": "door", "rules": []}'
    repository.deployments = roles_online.next_deployments(
        repository.deployments, {"lane": content}, NOW_S
    )
    repository.put(f"targets/deployments/{digest_of(content)}.lane.json", content)
    repository.publish()
    device.trust.refresh()
    with pytest.raises(Refused, match="door in the place of lane's"):
        device.trust.deployment("lane")
