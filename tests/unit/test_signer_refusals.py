"""What the signer refuses, each in one line, and without a trace in its folder."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleet.roles import roles
from fleet.roles import targets as roles_targets
from fleet.roles.targets import Target
from fleet.signer.signer import Signer
from tests.depot_folder import FLEET, Yard, block_digests, make_yard, pack, without_a_trace
from tests.unit.test_signer import listing, take
from wire.release import COMMAND_KEYS, Variant
from wire.signing import make_key
from wire.troubles import Refused


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return make_yard(tmp_path)


@pytest.fixture
def signer(yard: Yard) -> Iterator[Signer]:
    signer = Signer(yard.depot)
    take(yard, signer, yard.with_model("6"))
    yield signer
    signer.close()


def refuses(yard: Yard, signer: Signer, targets: bytes, why: str) -> None:
    before = listing(yard.depot)
    files = yard.staged(targets, yard.place / "staged")
    with pytest.raises(Refused, match=why) as refused:
        signer.take_release((), targets, files)
    assert "\n" not in str(refused.value)
    assert listing(yard.depot) == before


def with_file(yard: Yard, path: str, content: bytes, variant: Variant | None = None) -> bytes:
    digest = hashlib.sha256(content).hexdigest()
    yard.files[path] = content
    return roles_targets.with_target(yard.targets, Target(path, digest, len(content), variant))


def test_what_is_no_metadata(yard: Yard, signer: Signer) -> None:
    for bad in (b"", b"{}", b"\xff\xfe", b"[" * 5000, signer.timestamp, yard.root):
        with pytest.raises(Refused):
            signer.take_release((), bad, {})


def test_an_unsigned_release(yard: Yard, signer: Signer) -> None:
    unsigned = roles.renewed(yard.targets, "targets", time.time())
    refuses(yard, signer, unsigned, "lacks 1 signature")


def test_a_release_signed_by_a_wrong_key(yard: Yard, signer: Signer) -> None:
    for key in (make_key(yard.place / "thief.pem"), yard.root_key, yard.command_key):
        refuses(yard, signer, yard.signed(yard.targets, [key]), "lacks 1 signature")


def test_a_release_that_was_changed(yard: Yard, signer: Signer) -> None:
    targets = yard.with_model("7").replace(b"digits/7", b"digits/8")
    refuses(yard, signer, targets, "lacks 1 signature")


def test_a_release_of_before(yard: Yard, signer: Signer) -> None:
    first = (yard.depot / "metadata" / "1.targets.json").read_bytes()
    refuses(yard, signer, first, "release 1 is older than release 2, which is in force")


def test_another_release_of_the_same_number(yard: Yard, signer: Signer) -> None:
    """Two operators pushed at once: the later one must look again."""
    first, second = yard.with_model("7"), yard.with_model("8")
    assert take(yard, signer, first)
    refuses(yard, signer, second, "another release 3 is in force: somebody else pushed")


def test_a_release_too_far_ahead(yard: Yard, signer: Signer) -> None:
    ahead = roles.renewed(yard.targets, "targets", time.time())
    refuses(yard, signer, yard.signed(ahead), "release 4 does not follow release 2")


def test_a_release_that_expired(yard: Yard, signer: Signer) -> None:
    old = roles.renewed(yard.targets, "targets", time.time() - 366 * 24 * 3600)
    refuses(yard, signer, roles.signed(old, [yard.release_key]), "expired on .*: sign it anew")


def test_a_version_that_exists_with_other_bytes(yard: Yard, signer: Signer) -> None:
    yard.targets = without_a_trace(yard.targets, "6")
    targets = yard.with_model("6", b"TFL3 other")
    yard.targets = signer.held.targets
    refuses(
        yard, signer, targets, "is there already with other bytes: give the model a new version"
    )


def test_a_file_that_is_not_there(yard: Yard, signer: Signer) -> None:
    targets = yard.with_model("7")
    del yard.files["models/digits/7/tflite.zip"]
    refuses(yard, signer, targets, "models/digits/7/tflite.zip: is not there")


@pytest.mark.parametrize("path", ["models/digits/7/tflite.zip", "models/digits/7/tflite.blocks"])
@pytest.mark.parametrize(
    "damage", [lambda content: content[:-1], lambda content: content[:-1] + b"\1"]
)
def test_a_file_with_other_bytes(
    yard: Yard, signer: Signer, path: str, damage: Callable[[bytes], bytes]
) -> None:
    targets = yard.with_model("7")
    digest = next(file.digest for file in roles_targets.targets_of(targets) if file.path == path)
    files = yard.staged(targets, yard.place / "staged")
    files[digest].write_bytes(damage(yard.files[path]))
    before = listing(yard.depot)
    with pytest.raises(Refused, match="digits/7/tflite"):
        signer.take_release((), targets, files)
    assert listing(yard.depot) == before


def test_a_list_of_blocks_of_another_bundle(yard: Yard, signer: Signer) -> None:
    content, variant = pack(yard.place, "7", b"TFL3")
    path = "models/digits/7/tflite.zip"
    yard.targets = with_file(yard, path, content, variant)
    other = block_digests(b"x" * len(content))
    targets = yard.signed(with_file(yard, "models/digits/7/tflite.blocks", other))
    yard.targets = signer.held.targets
    refuses(yard, signer, targets, "the list of its blocks does not fit it")


def test_a_bundle_without_a_list_of_blocks(yard: Yard, signer: Signer) -> None:
    content, variant = pack(yard.place, "7", b"TFL3")
    targets = yard.signed(with_file(yard, "models/digits/7/tflite.zip", content, variant))
    refuses(yard, signer, targets, "no list of its blocks")


@pytest.mark.parametrize("content", [b"no zip at all", b"PK\5\6" + b"\0" * 18])
def test_a_signed_file_that_is_no_bundle(yard: Yard, signer: Signer, content: bytes) -> None:
    path, variant = "models/digits/7/tflite.zip", Variant("digits", "7", "tflite")
    yard.targets = with_file(yard, path, content, variant)
    targets = yard.signed(with_file(yard, "models/digits/7/tflite.blocks", block_digests(content)))
    yard.targets = signer.held.targets
    refuses(yard, signer, targets, "^models/digits/7/tflite.zip: ")


def test_a_bundle_that_says_it_is_another_model(yard: Yard, signer: Signer) -> None:
    content, _ = pack(yard.place, "7", b"TFL3")
    path, variant = "models/faces/1/tflite.zip", Variant("faces", "1", "tflite")
    yard.targets = with_file(yard, path, content, variant)
    targets = yard.signed(with_file(yard, "models/faces/1/tflite.blocks", block_digests(content)))
    yard.targets = signer.held.targets
    refuses(yard, signer, targets, "describes it otherwise than its own manifest")


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd", "/etc/passwd", "models/../../x/7/a.zip", "models/digits/7/a/b.zip",
        "deployments/lane.json", "models/digits/7/.zip", "models/digits/7/x.exe", "x\ny",
        "metadata/timestamp.json", "models/digits/7/a.zip\n",
    ],
)  # fmt: skip
def test_a_name_that_leads_elsewhere(yard: Yard, signer: Signer, path: str) -> None:
    refuses(yard, signer, yard.signed(with_file(yard, path, b"x")), "no such file may be in it")


def test_a_list_of_command_keys_that_is_none(yard: Yard, signer: Signer) -> None:
    refuses(yard, signer, yard.signed(with_file(yard, COMMAND_KEYS, b"{}")), "not a list of keys")


def test_other_command_keys_are_obeyed_at_once(yard: Yard, signer: Signer) -> None:
    key = make_key(yard.place / "second.pem")
    content = roles_targets.command_keys_file([key.public])
    assert take(yard, signer, yard.signed(with_file(yard, COMMAND_KEYS, content)))
    with pytest.raises(Refused, match="not signed by a command key that the release names"):
        signer.deploy(FLEET, "w1", yard.wish("6", 1))
    signer.deploy(FLEET, "w1", yard.wish("6", 1, key=key))


def wish_refused(yard: Yard, signer: Signer, wish: bytes, why: str) -> None:
    before = listing(yard.depot)
    with pytest.raises(Refused, match=why) as refused:
        signer.deploy(FLEET, "w1", wish)
    assert "\n" not in str(refused.value)
    assert listing(yard.depot) == before


def test_a_forged_wish(yard: Yard, signer: Signer) -> None:
    thief = make_key(yard.place / "thief.pem")
    for key in (thief, yard.release_key, yard.root_key):
        wish_refused(yard, signer, yard.wish("6", 1, key=key), "not signed by a command key")
    wish = yard.wish("6", 1)
    changed = wish.replace(b'\\"wave\\":', b'\\"wavy\\":').replace(b"lane", b"gate")
    wish_refused(yard, signer, changed, "the signature is wrong")
    unsigned = wish[: wish.index(b'"key"')] + b'"key":""}'
    wish_refused(yard, signer, unsigned, "not signed")


def test_a_wish_that_is_none(yard: Yard, signer: Signer) -> None:
    for bad in (b"", b"{}", b"[]", b"\xff", b"[" * 5000, b"x" * 600_000):
        wish_refused(yard, signer, bad, "wish")


def test_an_expired_wish(yard: Yard, signer: Signer) -> None:
    wish = yard.wish("6", 1, issued_s=time.time() - 1000, lifetime_s=900)
    wish_refused(yard, signer, wish, "the wish expired .* ago: are both clocks right")


def test_a_wish_from_the_future(yard: Yard, signer: Signer) -> None:
    wish_refused(yard, signer, yard.wish("6", 1, issued_s=time.time() + 3600), "s ahead")
    wish_refused(yard, signer, yard.wish("6", 1, lifetime_s=90_000), "valid for too long")


def test_a_replayed_wish(yard: Yard, signer: Signer) -> None:
    take(yard, signer, yard.with_model("7"))
    old = yard.wish("6", 1)
    signer.deploy(FLEET, "w1", old)
    signer.deploy(FLEET, "w1", yard.wish("7", 2))
    wish_refused(yard, signer, old, "follows deployments 1, and 3 are in force: somebody else")


def test_a_wish_for_others(yard: Yard, signer: Signer) -> None:
    wish_refused(yard, signer, yard.wish("6", 1, fleet="home"), "is for fleet home")
    wish_refused(yard, signer, yard.wish("6", 1, identity="w2"), "it is a copy")


def test_a_wish_for_an_unknown_version(yard: Yard, signer: Signer) -> None:
    wish_refused(yard, signer, yard.wish("9", 1), "digits 9 is not among .*: there are 6: push it")
    wish_refused(yard, signer, yard.wish("6", 1, model="faces"), "there is none of it: push it")


def test_a_wish_for_a_retired_version(yard: Yard, signer: Signer) -> None:
    take(yard, signer, yard.with_model("7"))
    retired = roles_targets.without_version(yard.targets, "digits", "6")
    take(yard, signer, yard.signed(retired))
    wish_refused(yard, signer, yard.wish("6", 1), "digits 6 is not among the fleet's releases")


@pytest.mark.parametrize(
    "name",
    ["timestamp.json", "2.snapshot.json", "2.targets.json", "1.deployments.json", "1.root.json"],
)
def test_a_damaged_folder_says_what_to_do(yard: Yard, signer: Signer, name: str) -> None:
    signer.close()
    path = yard.depot / "metadata" / name
    whole = path.read_bytes()
    changed = whole.replace(b'"version":', b'"versiom":', 1)
    assert changed != whole
    for damage in (None, b"", whole[: len(whole) // 2], changed, b"\0" * len(whole)):
        path.unlink()
        if damage is not None:
            path.write_bytes(damage)
        with pytest.raises(Refused, match=r"damaged: .*: put back a backup") as refused:
            Signer(yard.depot)
        assert "\n" not in str(refused.value)
        path.write_bytes(whole)
    Signer(yard.depot).close()


def test_a_bundle_that_went_away_says_what_to_do(yard: Yard, signer: Signer) -> None:
    signer.close()
    (path,) = (yard.depot / "targets").rglob("*.zip")
    path.unlink()
    with pytest.raises(Refused, match=r"damaged: targets/.*zip is not there, or not whole: put"):
        Signer(yard.depot)


def test_a_folder_that_is_no_depot(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="is no depot: run vedette fleet init"):
        Signer(tmp_path)


def test_what_was_retired_stays_so(yard: Yard, signer: Signer) -> None:
    """Other bytes by that name, the same ones, and a release that knows nothing of it."""
    with_six = signer.held.targets
    take(yard, signer, yard.signed(roles_targets.without_version(with_six, "digits", "6")))
    assert roles_targets.retired_of(signer.held.targets) == (("digits", "6"),)
    held = roles.renewed(signer.held.targets, "targets", time.time())
    assert roles_targets.retired_of(held) == (("digits", "6"),), "each next release says so, too"
    again = held
    for target in roles_targets.targets_of(with_six):
        if target.variant is not None:
            sixth = target
        if target.variant is not None or target.path.endswith(".blocks"):
            again = roles_targets.with_target(again, target)
    refuses(yard, signer, roles.signed(again, [yard.release_key]), "digits 6 was retired")
    forgetting = roles.parsed(held)
    del forgetting.signed.unrecognized_fields[roles_targets.RETIRED]
    bare = roles.signed(forgetting.to_bytes(), [yard.release_key])
    refuses(yard, signer, bare, "forgets what was retired")
    with pytest.raises(Refused, match="digits 6 was retired: give this one another version"):
        roles_targets.with_bundle(held, sixth, b"")
