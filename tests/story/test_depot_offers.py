"""What operators offer and wish, over a real broker: taken, refused in words, or kept for later."""

from __future__ import annotations

import hashlib
import io
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from fleet.roles import roles
from fleet.roles import targets as roles_targets
from fleet.signer.checks import check_blocks
from tests.brokers import Listener, Mosquitto
from tests.depot_folder import FLEET, Yard, block_digests, make_yard, pack, without_a_trace
from tests.story.depot_process import (
    Peer,
    Running,
    bell_of,
    device,
    operator,
    rand_model,
    timestamp_of,
    until,
)
from wire import topics
from wire.block.client import FetchTerms
from wire.block.part import Part
from wire.offers import (
    CANDIDATE_LIST,
    CandidateList,
    OfferAnswer,
    candidate_blocks_path,
    candidate_path,
)
from wire.release import file_key, target_file
from wire.signing import make_key

SHORT = FetchTerms(read_s=3.0, patience_s=3.0)


@pytest.fixture(scope="module")
def broker() -> Iterator[Mosquitto]:
    with Mosquitto() as broker:
        yield broker


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return make_yard(tmp_path)


@pytest.fixture
def running(yard: Yard, broker: Mosquitto) -> Iterator[Running]:
    with Running(yard, broker, SHORT) as running:
        yield running
    with Listener(broker.port) as speaker:  # the next fleet here has the same keys, and is younger
        speaker.publish(topics.bell(FLEET), b"", retain=True)


@pytest.fixture
def push(broker: Mosquitto, running: Running) -> Iterator[Peer]:
    with operator(broker) as push:
        yield push


def released(yard: Yard, push: Peer, version: str, identity: str = "first") -> None:
    targets = yard.with_model(version)
    push.offer(identity, "release", yard.offered(targets))
    assert push.outcome(identity).phase == "done", push.answers(identity)
    yard.targets = targets


def refused(push: Peer, identity: str, why: str) -> None:
    answer = push.outcome(identity)
    assert answer.phase == "refused"
    assert why in answer.text


def test_the_same_release_twice(yard: Yard, running: Running, push: Peer) -> None:
    released(yard, push, "7")
    before = timestamp_of(yard)
    push.offer("again", "release", yard.offered(yard.targets))
    answer = push.outcome("again")
    assert (answer.phase, answer.text) == ("done", "nothing is new: release 2 is in force")
    assert timestamp_of(yard) == before


def test_an_offer_that_is_sent_often_is_taken_once(
    yard: Yard, running: Running, push: Peer
) -> None:
    files = yard.offered(yard.with_model("7"))
    for _ in range(5):
        push.offer("o1", "release", files)
    assert push.outcome("o1").phase == "done"
    push.offer("o1", "release", files)
    assert running.signer.versions.targets == 2
    assert running.depot.counts.releases == 1


def test_releases_that_are_refused(yard: Yard, running: Running, push: Peer) -> None:
    released(yard, push, "6")
    before = timestamp_of(yard)
    thief = make_key(yard.place / "thief.pem")
    ahead = yard.signed(roles.renewed(yard.targets, "targets", time.time()))
    push.offer("ahead", "release", yard.offered(ahead))
    refused(push, "ahead", "release 4 does not follow release 2")
    unsigned = yard.signed(yard.targets, [])
    push.offer("unsigned", "release", yard.offered(unsigned))
    refused(push, "unsigned", "lacks 1 signature")
    stolen = yard.with_model("7", rand_model(300_000), keys=[thief])
    push.offer("thief", "release", yard.offered(stolen))
    refused(push, "thief", "lacks 1 signature")
    yard.targets, held = without_a_trace(yard.targets, "6"), yard.targets
    other = yard.with_model("6", b"other bytes")
    push.offer("other", "release", yard.offered(other))
    refused(push, "other", "is there already with other bytes: give the model a new version")
    yard.targets = held
    push.offer("nothing", "release", {"targets/x.zip": b"x"})
    refused(push, "nothing", "must name its metadata")
    push.offer("garbage", "release", {"metadata/3.targets.json": b"garbage"})
    refused(push, "garbage", "not signed metadata")
    assert timestamp_of(yard) == before
    assert push.served_bytes < 200_000, "no bundle was asked for before its signature was seen"
    assert not list((yard.depot / "incoming").iterdir())


@pytest.mark.slow
def test_a_bundle_whose_bytes_differ_from_what_was_signed(
    yard: Yard, running: Running, push: Peer
) -> None:
    targets = yard.with_model("7", rand_model(200_000))
    files = yard.offered(targets)
    path = next(path for path in files if path.endswith(".zip"))
    whole = files[path]
    push.offer("o1", "release", files | {path: whole[:100_000] + b"!" + whole[100_001:]})
    refused(push, "o1", "nobody answered")
    assert running.signer.versions.targets == 1
    push.offer("o2", "release", files)
    assert push.outcome("o2").phase == "done"


@pytest.mark.slow
def test_a_file_that_was_not_offered(yard: Yard, running: Running, push: Peer) -> None:
    files = yard.offered(yard.with_model("7", rand_model(100_000)))
    push.offer("o1", "release", {p: c for p, c in files.items() if not p.endswith(".zip")})
    refused(push, "o1", "was not offered: push all files of the release")
    assert running.signer.versions.targets == 1


@pytest.mark.slow
def test_an_operator_that_goes_away(
    yard: Yard, broker: Mosquitto, running: Running, push: Peer
) -> None:
    """What came is kept, and the next one gets its turn."""
    files = yard.offered(yard.with_model("7", rand_model(3_000_000)))
    size = sum(map(len, files.values()))
    with operator(broker, "leaving", kib_per_s=1024) as leaving:
        leaving.offer("o1", "release", files)
        until("half of it", lambda: leaving.served_bytes > size // 2)
        had = leaving.served_bytes
    push.offer("o2", "release", files)
    assert push.outcome("o2").phase == "done", push.answers("o2")
    assert push.served_bytes < size - had + size // 4
    refused(push, "o1", "nobody answered")


def test_devices_are_served_while_an_offer_comes(
    yard: Yard, broker: Mosquitto, running: Running, push: Peer, tmp_path: Path
) -> None:
    model = rand_model(500_000)
    targets = yard.with_model("7", model)
    push.offer("first", "release", yard.offered(targets))
    assert push.outcome("first").phase == "done"
    yard.targets = targets
    (file,) = (f for f in roles_targets.targets_of(targets) if f.path.endswith(".zip"))
    with operator(broker, "slow", kib_per_s=160) as slow, device(broker) as door:
        slow.offer("o2", "release", yard.offered(yard.with_model("8", rand_model(8_000_000))))
        until("some of it", lambda: slow.served_bytes > 50_000)
        digests = yard.files["models/digits/7/tflite.blocks"]
        part = Part(tmp_path / "part", file.size, file.digest, digests)
        door.files.fetch(file.digest, part, lambda _: None, lambda: False)
        assert part.finish().stat().st_size == file.size
        push.send("w1", "deploy", yard.wish("7", 1))
        assert push.outcome("w1").phase == "done"
        assert not [a for a in push.answers("o2") if a.phase != "fetching"], "it still comes"


def test_wishes_that_are_refused(yard: Yard, running: Running, push: Peer) -> None:
    released(yard, push, "6", "zeroth")
    released(yard, push, "7")
    thief = make_key(yard.place / "thief.pem")
    bad = {
        "forged": (yard.wish("7", 1, identity="forged", key=thief), "not signed by a command key"),
        "late": (
            yard.wish("7", 1, identity="late", issued_s=time.time() - 900),
            "the wish expired",
        ),
        "copy": (yard.wish("7", 1, identity="other"), "it is a copy"),
        "unknown": (yard.wish("9", 1, identity="unknown"), "digits 9 is not among"),
        "garbage": (b"garbage", "not a wish"),
    }
    for identity, (payload, why) in bad.items():
        push.send(identity, "deploy", payload)
        refused(push, identity, why)
    push.send("w1", "deploy", yard.wish("7", 1))
    assert push.outcome("w1").phase == "done"
    push.send("again", "deploy", yard.wish("6", 1, identity="again"))
    refused(push, "again", "somebody else deployed meanwhile")
    retired = yard.signed(roles_targets.without_version(yard.targets, "digits", "7"))
    push.offer("retired", "release", yard.offered(retired))
    assert push.outcome("retired").phase == "done"
    push.send("gone", "deploy", yard.wish("7", 2, identity="gone"))
    refused(push, "gone", "digits 7 is not among the fleet's releases")
    assert running.signer.versions.deployments == 2


def test_a_candidate_waits_until_it_is_signed(
    yard: Yard, running: Running, push: Peer, tmp_path: Path
) -> None:
    content, _ = pack(yard.place, "7", rand_model(100_000))
    digest, digests = hashlib.sha256(content).hexdigest(), block_digests(content)
    zipped, blocks = candidate_path(digest), candidate_blocks_path(digest)
    push.offer("c1", "candidate", {zipped: content, blocks: digests})
    assert push.outcome("c1").phase == "done", push.answers("c1")
    listed = msgspec.json.decode(push.files.read(CANDIDATE_LIST, 1 << 20), type=CandidateList)
    (one,) = listed.candidates
    assert (one.digest, one.model, one.version, one.size) == (digest, "digits", "7", len(content))
    assert push.files.read(blocks, 1 << 20) == digests
    part = Part(tmp_path / "c", one.size, digest, digests)
    push.files.fetch(file_key(zipped), part, lambda _: None, lambda: False)
    check_blocks(part.finish(), "it", digests)
    targets = yard.with_model("7", rand_model(100_000))
    push.offer("o1", "release", yard.offered(targets))
    assert push.outcome("o1").phase == "done"
    listed = msgspec.json.decode(push.files.read(CANDIDATE_LIST, 1 << 20), type=CandidateList)
    assert listed.candidates == ()
    assert [path.name for path in (yard.depot / "candidates").iterdir()] == ["index.json"]


def bomb() -> bytes:
    """A zip of 50 KB that would be 50 MB."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("manifest.toml", bytes(50_000_000))
    return packed.getvalue()


@pytest.mark.parametrize("content", [bomb(), b"no zip", b""], ids=["bomb", "no zip", "empty"])
def test_a_candidate_that_is_no_bundle(
    yard: Yard, running: Running, push: Peer, content: bytes
) -> None:
    digest = hashlib.sha256(content).hexdigest()
    files = {candidate_path(digest): content, candidate_blocks_path(digest): block_digests(content)}
    push.offer("c1", "candidate", files)
    refused(push, "c1", "the candidate: ")
    assert [path.name for path in (yard.depot / "candidates").iterdir()] == ["index.json"]
    assert not list((yard.depot / "incoming").iterdir())


def test_candidates_that_are_offered_wrongly(yard: Yard, running: Running, push: Peer) -> None:
    push.offer("c1", "candidate", {"candidates/x.zip": b"x"})
    refused(push, "c1", "must name its bundle by its digest")
    digest = hashlib.sha256(b"x").hexdigest()
    push.offer("c2", "candidate", {candidate_path(digest): b"x", "../../etc/passwd": b"x"})
    refused(push, "c2", "must name the list of its blocks, and no more")


def test_garbage_on_every_topic(yard: Yard, running: Running, push: Peer) -> None:
    released(yard, push, "7")
    before = timestamp_of(yard)
    garbage = (b"", b"{}", b"\xff\xfe", b"[" * 20_000, b"x" * 600_000, b'{"file":1}')
    for payload in garbage:
        for part in ("ask", "offer", "deploy", "answer", "want"):
            push.link.publish(topics.offer(FLEET, "stranger", part), payload)  # type: ignore[arg-type]
        push.link.publish(topics.request(FLEET, "door"), payload)
        push.link.publish(topics.block(FLEET, "0" * 64, 0), payload)
        push.link.publish(f"vedette/{FLEET}/device/a b/request/0", payload)
    push.send("w1", "deploy", yard.wish("7", 1))
    assert push.outcome("w1").phase == "done"
    assert running.depot.counts.garbage >= len(garbage) - 1
    assert timestamp_of(yard) != before


def test_who_rings_another_bell_is_overruled(yard: Yard, running: Running, push: Peer) -> None:
    until("the bell", lambda: bell_of(push) == timestamp_of(yard))
    push.link.publish(topics.bell(FLEET), b"forged", retain=True)
    until("heard", lambda: b"forged" in [one.payload for one in list(push.heard)])
    until("overruled", lambda: bell_of(push) == timestamp_of(yard))


def test_files_below_targets_and_nothing_else(yard: Yard, running: Running, push: Peer) -> None:
    released(yard, push, "7")
    for file in roles_targets.targets_of(yard.targets):
        path = target_file(file.path, file.digest)
        assert hashlib.sha256(push.files.read(path, 1 << 20)).hexdigest() == file.digest
    assert isinstance(push.answers("first")[0], OfferAnswer)
