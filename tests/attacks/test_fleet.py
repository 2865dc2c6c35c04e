"""Attacks on a whole fleet of real processes, one after the other on the same one."""

from __future__ import annotations

import io
import shutil
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from fleet.roles import roles
from models import bundle
from tests.attacks.scene import (
    Scene,
    depot_as_before,
    depot_away,
    online_thief_deploys,
    timestamp_of_thief,
)
from tests.brokers import Listener
from tests.yard import FLEET, Yard, digits, digits_folder, heavy
from wire import topics
from wire.block.blocks import Block, BlockRequest, block_bytes, packed
from wire.deployments import Deployment, Gates, Rule
from wire.messages import parse, to_json
from wire.offers import OfferAnswer
from wire.results import Result
from wire.troubles import Refused

pytestmark = pytest.mark.slow

DAY_S = 24 * 3600.0


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("scene")
    with Yard(folder) as yard:
        yield Scene(yard, folder)


@pytest.fixture
def yard(scene: Scene) -> Yard:
    return scene.yard


def stored(yard: Yard, ending: str) -> Path:
    """The newest file of the depot's targets with that ending."""
    found = list((yard.fleet / "depot" / "targets").rglob(f"*{ending}"))
    return max(found, key=lambda path: path.stat().st_mtime_ns)


def test_tampered_bundle(scene: Scene, yard: Yard) -> None:
    """Somebody with the depot's disk changes the model's bytes after they were signed. The device
    asks again for what is wrong, and takes the right bytes when they are back."""
    version = scene.next_version()
    scene.device.kill("agent")
    path = heavy(scene.folder, version, 100_000)
    assert yard.push(path, trial_s=1, more=("--no-wait",)).code == 0
    path = stored(yard, ".zip")
    right = path.read_bytes()
    wrong = bytearray(right)
    wrong[len(right) // 2] ^= 1
    with depot_away(yard):
        path.write_bytes(wrong)
    spoiled = topics.block(FLEET, path.name.partition(".")[0], len(right) // 2 // 32768)
    with Listener(yard.broker.port, spoiled) as hears:
        scene.device.start("agent")
        hears.wait_for(lambda heard: len(heard) >= 3)
    assert yard.phases(version) == ["fetching"]
    assert scene.still_serves
    path.write_bytes(right)
    yard.until(lambda: yard.phases(version)[-1:] == ["good"])
    scene.running = version


def test_malicious_depot_of_wrong_blocks_and_of_words_that_there_is_nothing(
    scene: Scene, yard: Yard
) -> None:
    """Each request is answered at once by somebody else: wrong blocks, and words that there is no
    such file. The right ones come later, and are the ones that count."""
    packed_path = heavy(scene.folder, scene.next_version(), 1_000_000)
    size = packed_path.stat().st_size
    stop = threading.Event()
    told: list[str] = []

    def lie(hears: Listener) -> None:
        answered = 0
        while not stop.wait(0.005):
            heard = hears.heard
            for one in heard[answered:]:
                try:
                    wanted = parse(one.payload, BlockRequest)
                except Refused:
                    continue
                for first, behind in wanted.ranges:
                    for number in range(first, min(behind, first + 64)):
                        length = block_bytes(size, number)
                        wrong = Block(size, b"\0" * length) if length > 0 else Block(None, b"")
                        topic = topics.block(FLEET, wanted.file, number)
                        hears.publish(topic, packed(wrong), qos=0)
                        told.append(topic)
            answered = len(heard)

    with Listener(yard.broker.port, topics.from_devices(FLEET, "request")) as hears:
        thread = threading.Thread(target=lie, args=(hears,))
        thread.start()
        try:
            scene.pushed(packed_path)
        finally:
            stop.set()
            thread.join()
    assert len(told) > 20, "it was lied to"


def test_malicious_depot_that_never_has_anything(scene: Scene, yard: Yard) -> None:
    """It says of every file that there is none, for as long as it likes: nothing is rejected, and
    all goes on with the true depot."""
    version = scene.next_version()
    scene.device.kill("agent")
    path = digits(scene.folder, version)
    assert yard.push(path, trial_s=1, more=("--no-wait",)).code == 0
    nothing = packed(Block(None, b""))
    asked = topics.from_devices(FLEET, "request")
    with depot_away(yard), Listener(yard.broker.port, asked) as hears:
        scene.device.start("agent")
        for number in range(4):
            one = hears.wait_for(lambda heard, number=number: len(heard) > number)[number]
            wanted = parse(one.payload, BlockRequest)
            for first, _ in wanted.ranges:
                hears.publish(topics.block(FLEET, wanted.file, first), nothing, qos=0)
        assert yard.phases(version) in ([], ["fetching"])
        assert scene.still_serves
    yard.until(lambda: yard.phases(version)[-1:] == ["good"])
    scene.running = version


def test_rollback_to_older_metadata(scene: Scene, yard: Yard) -> None:
    """The depot is set back to what it had before: a device that knows better does not follow."""
    with depot_as_before(yard, scene.folder, scene.pushed):
        yard.until(lambda: "has another version than it must" in scene.faults)
        assert scene.still_serves
    yard.until(lambda: not scene.told_of_trust)


def test_wrong_key(scene: Scene, yard: Yard) -> None:
    """Another fleet's keys, under this fleet's name: nothing of theirs is believed."""
    thieves, version = scene.folder / "thieves", scene.next_version()
    url = yard.broker.url()
    made = yard.run("fleet", "init", "--dir", str(thieves), "--name", FLEET, "--broker", url)
    assert made.code == 0, made.err
    own = yard.fleet
    with depot_away(yard):
        yard.fleet = thieves
    pushed = yard.push(digits(scene.folder, version), more=("--no-wait",))
    assert pushed.code == 0, pushed.err
    yard.until(lambda: "not signed by enough keys" in scene.faults)
    assert scene.still_serves and yard.phases(version) == []
    with depot_away(yard):
        yard.fleet = own
    yard.until(lambda: not scene.told_of_trust)


def hostile(folder: Path, entries: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip as an attacker would write it, around an honest manifest."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", method) as file:
        for path in sorted(folder.iterdir()):
            file.writestr(path.name, path.read_bytes())
        for name, content in entries.items():
            file.writestr(name, content)
    return whole.getvalue()


@pytest.mark.parametrize("attack", ["path traversal", "zip bomb"])
def test_bundle_that_bites(scene: Scene, yard: Yard, attack: str) -> None:
    """Also one who holds the release key cannot write outside the store, or fill the disk."""
    version = scene.next_version()
    folder = digits_folder(scene.folder, version)
    if attack == "path traversal":
        content = hostile(folder, {"../../../../escaped": b"out"})
    else:
        content = hostile(folder, {"zeros.bin": bytes(64 << 20)}, zipfile.ZIP_DEFLATED)
    packed_path = scene.folder / f"hostile-{version}.zip"
    packed_path.write_bytes(content)
    refused = yard.push(packed_path)
    assert refused.code == 2 and "Traceback" not in refused.err
    with pytest.raises(Refused):
        bundle.inspect(packed_path)
    assert yard.phases(version) == [] and scene.still_serves
    assert not list(scene.folder.rglob("escaped"))


def test_garbage_on_the_bell(scene: Scene, yard: Yard) -> None:
    """Whoever may write to the broker rings with nonsense; the next true bell is heard."""
    bell = topics.bell(FLEET)
    for nonsense in (b"", b"{}", b"\xff" * 1000, msgspec.json.encode({"signed": {"version": 99}})):
        yard.listener.publish(bell, nonsense, retain=True)
    scene.pushed()


def test_a_stolen_online_key_cannot_deploy_what_was_retired(scene: Scene, yard: Yard) -> None:
    old = scene.running
    new = scene.pushed()
    retired = yard.run("fleet", "retire", "digits", old)
    assert retired.code == 0, retired.err
    before = len(yard.phases(old))
    with depot_away(yard) as depot:
        online_thief_deploys(depot, Deployment("lane", (Rule("digits", old, attempt=99),)))
    yard.until(lambda: yard.phases(old)[before:] == ["rejected"])
    assert "no such version, or has retired it" in yard.reason(old)
    assert scene.still_serves and yard.runs(new)


def test_a_deployment_that_names_an_unknown_model(scene: Scene, yard: Yard) -> None:
    with depot_away(yard) as depot:
        online_thief_deploys(depot, Deployment("lane", (Rule("faces", "666"),)))
    yard.until(lambda: yard.phases("666") == ["rejected"])
    assert "has released no such version" in yard.reason("666")
    assert scene.still_serves


def test_a_stolen_online_key_cannot_lower_floors(scene: Scene, yard: Yard) -> None:
    """What the manifest says is signed by the release key; a thief may only ask for more."""
    version = scene.next_version()
    folder = digits_folder(scene.folder, version)
    with open(folder / "manifest.toml", "a") as file:
        file.write("\n[floors]\ntrial_s = 2\n")
    path = scene.folder / f"floors-{version}.zip"
    bundle.pack(folder, path)
    pushed = yard.push(path, more=("--no-wait", "--group", "nobody"))
    assert pushed.code == 0, pushed.err
    soft = Gates(trial_s=0.001, first_result_s=3600, fps_share=0, score_drop=1, error_share=1)
    with depot_away(yard) as depot:
        online_thief_deploys(depot, Deployment("lane", (Rule("digits", version, gates=soft),)))
    yard.until_ended(version, "good")
    since = {one.phase: one.since for one in yard.updates() if one.version == version}
    assert since["good"] - since["trial"] >= 2.0
    scene.running = version


def test_a_forged_answer_makes_no_push_succeed(scene: Scene, yard: Yard) -> None:
    """Somebody answers in the depot's place that all is done, while the depot cannot sign: the
    command looks at what is in force."""
    key, away = yard.fleet / "depot/keys/deployments.pem", scene.folder / "deployments.pem"
    with depot_away(yard):
        shutil.move(key, away)
    stop = threading.Event()

    def lie(hears: Listener) -> None:
        while not stop.wait(0.005):
            for one in hears.heard:
                place = topics.offered(one.topic)
                assert place is not None
                said = to_json(OfferAnswer(place.id, "done", "deployments 999 are in force"))
                hears.publish(topics.offer(FLEET, place.id, "answer"), said)

    with Listener(yard.broker.port, topics.offers(FLEET, "deploy")) as hears:
        thread = threading.Thread(target=lie, args=(hears,))
        thread.start()
        try:
            words = ("fleet", "deploy", "lane", "digits", scene.running, "--group", "nobody")
            deployed = yard.run(*words, "--yes", "--no-wait")
        finally:
            stop.set()
            thread.join()
        assert hears.heard, "it was lied to"
    assert deployed.code != 0 and "999" not in deployed.out, deployed
    with depot_away(yard):
        shutil.move(away, key)


def test_freeze(scene: Scene, yard: Yard) -> None:
    """The key of the timestamp is lost: the depot serves on, and nothing says any more what is
    newest. Who holds back news looks just like that."""
    depot = yard.fleet / "depot"
    key, lost = depot / "keys" / "timestamp.pem", scene.folder / "timestamp.pem"
    shutil.move(key, lost)
    was_taken = any(expires_soon(scene, lost, life_s) for life_s in (8.0, 30.0))
    assert was_taken, "in time: it is for the machine to be quick"
    yard.until(lambda: "timestamp has expired" in scene.faults)
    assert "nothing is updated" in scene.faults and "depot" in scene.faults
    assert scene.told("fault"), "it is an event, too"
    assert "nothing can be signed anew" in yard.depot_log
    before = results(yard)
    yard.until(lambda: results(yard) > before)
    assert scene.still_serves
    version = scene.next_version()
    path = digits(scene.folder, version)
    refused = yard.push(path)
    assert refused.code == 2 and "timestamp expired" in refused.err
    assert yard.phases(version) == []
    with depot_away(yard):
        shutil.move(lost, key)
    yard.until(lambda: not scene.told_of_trust)
    assert scene.told("recovered")
    scene.pushed(path)


def expires_soon(scene: Scene, key: Path, life_s: float) -> bool:
    """Sign for a moment, and have the depot serve that. Whether the device took it in time."""
    with depot_away(scene.yard) as depot:
        last = timestamp_of_thief(depot, key, 0, life_s)
        (depot / "metadata" / "timestamp.json").write_bytes(last)
    scene.yard.until(lambda: scene.told_of_trust or is_believed(scene, last))
    return is_believed(scene, last)


def is_believed(scene: Scene, timestamp: bytes) -> bool:
    return scene.timestamp == roles.version_of(timestamp)


def results(yard: Yard) -> int:
    """The number of the newest frame that the device told a result of."""
    told = yard.listener.payloads(topics.result(FLEET, "door", "lane"))
    return parse(told[-1], Result).frame if told else 0


def test_fast_forward_and_recovery_by_rotation_of_the_online_keys(scene: Scene, yard: Yard) -> None:
    """A thief of the timestamp's key says that it is a billion versions later. Whatever the depot
    signs then is older, until `vedette fleet keys rotate online`."""
    depot = yard.fleet / "depot"
    ahead = timestamp_of_thief(depot, depot / "keys" / "timestamp.pem", 10**9, 7 * DAY_S)

    def is_heard() -> bool:
        yard.listener.publish(topics.bell(FLEET), ahead, retain=True)
        time.sleep(0.2)
        return is_believed(scene, ahead)

    yard.until(is_heard)
    yard.until(lambda: "the fleet has seen timestamp 1000" in yard.depot_log)
    with depot_away(yard):
        pass  # it rings when it comes
    yard.until(lambda: "keys rotate online" in scene.faults)
    assert scene.still_serves
    rotated = yard.run("fleet", "keys", "rotate", "online")
    assert rotated.code == 0, rotated.err
    yard.until(lambda: scene.timestamp < 10**9 and not scene.told_of_trust)
    scene.pushed()


def test_a_revoked_command_key(scene: Scene, yard: Yard) -> None:
    """An operator left with a copy of the folder: what was rotated since is obeyed by nobody."""
    left = scene.folder / "left"
    shutil.copytree(yard.fleet, left, ignore=shutil.ignore_patterns("depot"))
    rotated = yard.run("fleet", "keys", "rotate", "command")
    assert rotated.code == 0, rotated.err
    words = ("fleet", "deploy", "lane", "digits", scene.running, "--dir", str(left), "--no-wait")
    refused = yard.run(*words, "--group", "nobody")
    assert refused.code == 2 and "command key" in refused.err, refused.err
    assert scene.still_serves
