"""`vedette fleet push` and its sisters as an operator or CI runs them: a real broker and depot;
the devices say what the test wants. tests/story/test_update.py has real ones."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from models import bundle
from tests.acting import NOTHING, Actor, Command
from tests.brokers import Listener, free_port
from tests.yard import FLEET, Yard, digits, digits_folder, heavy, rewrite

pytestmark = pytest.mark.slow


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with Yard(tmp_path) as yard:
        yield yard


@pytest.fixture
def speaker(yard: Yard) -> Iterator[Listener]:
    with Listener(yard.broker.port) as speaker:
        yield speaker


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def in_force(yard: Yard) -> tuple[str, ...]:
    """What the depot's folder holds, the timestamp apart: it is signed anew as time goes by."""
    found = [path for path in (yard.fleet / "depot").rglob("*") if path.is_file()]
    names = {path.relative_to(yard.fleet).as_posix() for path in found}
    return tuple(sorted(name for name in names if "/metadata/" in name or "/targets/" in name))


def test_it_ends_well_when_the_devices_do(yard: Yard, speaker: Listener, tmp_path: Path) -> None:
    door, gate = Actor(speaker, "door"), Actor(speaker, "gate")
    Actor(speaker, "roof", ("sky",))
    away = Actor(speaker, "away")
    away.goes()
    packed = digits(tmp_path, "1")
    digest = sha256(packed)
    words = ("fleet", "push", str(packed), "--pipeline", "lane", "--json")
    with Command(tmp_path, yard.fleet, *words) as push:
        push.says("lane: digits 1 to all: deployed")
        door.is_in("fetching", "1", digest, percent=40)
        push.says("door: fetching 40 %")
        door.is_in("trial", "1", digest)
        gate.is_in("good", "1", digest)
        push.says("gate: good")
        door.is_in("good", "1", digest)
        assert push.ends() == 0
    told = json.loads(push.out)
    assert (told["ok"], told["released"], told["deployed"]) == (True, True, True)
    assert (told["model"], told["version"], told["pipeline"]) == ("digits", "1", "lane")
    stands = {name: one["stand"] for name, one in told["devices"].items()}
    assert stands == {"door": "good", "gate": "good", "away": "waiting"}
    assert "away: offline" in push.err and "roof" not in push.err


def test_a_device_that_goes_back_is_named_with_its_reason(
    yard: Yard, speaker: Listener, tmp_path: Path
) -> None:
    door, gate = Actor(speaker, "door"), Actor(speaker, "gate")
    packed = digits(tmp_path, "1")
    digest = sha256(packed)
    with Command(tmp_path, yard.fleet, "fleet", "push", str(packed), "--pipeline", "lane") as push:
        push.says("deployed")
        gate.is_in("good", "1", digest)
        door.is_in("trial", "1", digest)
        push.says("door: trial")
        door.runs("0", NOTHING)
        door.is_in("rolled_back", "1", digest, reason="p95 is 80 ms, 40 are allowed")
        assert push.ends() == 1
    assert "door: rolled back: p95 is 80 ms, 40 are allowed" in push.err
    assert push.out == "lane: digits 1: 1 good, 1 failed, of 2 devices\n"

    same = yard.run("fleet", "push", str(packed), "--pipeline", "lane", "--timeout", "1")
    assert (same.code, same.out) == (1, push.out), same.err
    assert "it is so already" in same.err
    again = yard.run("fleet", "deploy", "lane", "digits", "1", "--retry", "--timeout", "1")
    assert again.code == 1 and "gave up waiting for door" in again.out, again.err
    assert "rolled back" not in again.out + again.err, "what was said of the try before is old"


def test_nothing_is_done_twice(yard: Yard, speaker: Listener, tmp_path: Path) -> None:
    Actor(speaker, "door")
    packed = digits(tmp_path, "1")
    first = yard.push(packed, more=("--no-wait",))
    assert first.code == 0, first.err
    before = in_force(yard)
    again = yard.push(packed, more=("--no-wait",))
    assert again.code == 0 and not again.said["released"] and not again.said["deployed"]
    assert "released before, with the same bytes" in again.err
    plain = yard.run("fleet", "push", str(packed), "--no-deploy")
    assert (plain.code, plain.out) == (0, "digits 1: is there already: nothing to do\n")
    deployed = yard.run("fleet", "deploy", "lane", "digits", "1", "--trial", "3", "--no-wait")
    assert deployed.out == "lane: digits 1: it is so already: nothing to do\n"
    assert in_force(yard) == before


def test_what_is_refused_leaves_everything_as_it_was(
    yard: Yard, speaker: Listener, tmp_path: Path
) -> None:
    """One line, exit code 2, and not a byte changed at the depot."""
    Actor(speaker, "door")
    early = yard.run("fleet", "deploy", "lane", "digits", "1")
    assert (early.code, early.out) == (2, "")
    assert "no model digits: nothing is released yet: vedette fleet push BUNDLE" in early.err
    one, two = digits(tmp_path, "1"), digits(tmp_path, "2")
    assert yard.push(one, more=("--no-wait",)).code == 0
    other = digits_folder(tmp_path / "other", "1")
    rewrite(other, "top_k = 3", "top_k = 4")
    bundle.pack(other, tmp_path / "other.zip")
    torn = tmp_path / "torn.zip"
    torn.write_bytes(two.read_bytes()[:-100])
    push = ("fleet", "push", "--pipeline", "lane", "--no-wait")
    before = in_force(yard)
    refusals = {
        (*push, str(tmp_path / "other.zip")): "digits 1 exists with other bytes: give this one",
        (*push, str(torn)): "torn.zip",
        (*push, str(one), str(two)): "push one version at a time",
        (*push, str(two), "--canary", "door,nobody"): "nobody: not seen in fleet yard: it has door",
        (*push, str(two), "--canary", "door", "--group", "roofs"): "in none of the groups roofs",
        (*push, str(two), "--wave", "0%"): "takes nobody",
        (*push, str(two), "--key", str(yard.fleet / "keys" / "command.pem")): "not a release key",
        ("fleet", "push", str(two), "--no-wait"): "say which pipeline",
        ("fleet", "push", str(two), "--pipeline", "lan"): "has a pipeline lan: they have lane",
        ("fleet", "deploy", "lane", "digits", "7"): "there is no digits 7: released are 1",
        ("fleet", "deploy", "lane", "cats", "1"): "there is no model cats: released are digits",
        ("fleet", "rollback", "lane"): "no version is known from before digits 1",
        ("fleet", "rollback", "sky"): "nothing is deployed to sky",
        ("fleet", "retire", "digits", "1"): "digits 1 is deployed to lane",
        ("fleet", "retire", "digits", "7"): "there is no digits 7",
        ("fleet", "sign", "0123abcd", "--yes"): "no such candidate waits in the depot: none waits",
    }
    for words, why in refusals.items():
        refused = yard.run(*words)
        assert (refused.code, refused.out) == (2, ""), (words, refused)
        assert len(refused.err.splitlines()) == 1 and why in refused.err, (words, refused.err)
    wrong = yard.run(*push, str(two), passphrase="not this one")  # noqa: S106
    assert (wrong.code, wrong.out) == (2, "")
    assert len(wrong.err.splitlines()) == 1 and "this is not its passphrase" in wrong.err
    assert in_force(yard) == before


def test_what_is_not_there_is_said_with_what_to_check(yard: Yard, tmp_path: Path) -> None:
    packed = str(digits(tmp_path, "1"))
    nowhere = f"mqtt://127.0.0.1:{free_port()}"
    yard.kill_depot()
    waiting = [
        ("fleet", "push", packed, "--broker", nowhere),
        ("fleet", "push", packed, "--pipeline", "lane"),
        ("fleet", "status"),
    ]
    with ThreadPoolExecutor() as together:
        broker, depot, status = together.map(lambda words: yard.run(*words), waiting)
    assert (broker.code, broker.out) == (1, "") and len(broker.err.splitlines()) == 1
    assert "no connection to the broker" in broker.err and "--broker" in broker.err
    folder = yard.run("fleet", "push", packed, "--dir", str(tmp_path / "none"))
    assert folder.code == 1 and "run vedette fleet init" in folder.err
    assert (depot.code, depot.out) == (1, "") and len(depot.err.splitlines()) == 1
    assert "is the depot running" in depot.err and yard.broker.url() in depot.err
    assert status.code == 1 and "warning: fleet yard" in status.out
    assert status.out.startswith("fleet yard: its signed metadata was never seen here\n")


def test_waves_a_roll_back_and_a_retirement(yard: Yard, speaker: Listener, tmp_path: Path) -> None:
    door, gate = Actor(speaker, "door"), Actor(speaker, "gate")
    one, two = digits(tmp_path, "1"), digits(tmp_path, "2")
    assert yard.push(one, more=("--no-wait",)).code == 0
    for actor in (door, gate):
        actor.is_in("good", "1", sha256(one))
    words = ("fleet", "push", str(two), "--pipeline", "lane", "--canary", "gate")
    with Command(tmp_path, yard.fleet, *words) as push:
        push.says("lane: digits 2 to gate: deployed")
        gate.is_in("good", "2", sha256(two))
        assert push.ends() == 0
    assert push.out == "lane: digits 2: 1 good, of 1 device\n"
    status = yard.run("fleet", "status")
    assert "pipeline lane: digits 2 to gate; then digits 1 to all\n" in status.out, status.err
    assert "model digits: 1, 2\n" in status.out
    rows = [line.split() for line in status.out.splitlines()]
    assert ["door", "lane", "digits", "1", "digits", "1", "good"] in rows
    assert ["gate", "lane", "digits", "2", "digits", "2", "good"] in rows
    told = yard.run("fleet", "status", "--json").said
    assert set(told["devices"]) == {"door", "gate"}  # type: ignore[call-overload]

    with Command(tmp_path, yard.fleet, "fleet", "rollback", "lane", "--json") as back:
        back.says("lane: digits 1 to all: deployed")
        back.says("gate: waiting, runs digits 2")
        gate.runs("1", sha256(one))
        assert back.ends() == 0
    assert set(json.loads(back.out)["devices"]) == {"gate"}, "door is not concerned"

    retired = yard.run("fleet", "retire", "digits", "2", "--json")
    assert retired.code == 0 and retired.said["retired"] == ["2"], retired.err
    gone = yard.run("fleet", "deploy", "lane", "digits", "2")
    assert gone.code == 2 and "digits 2 was retired: no device can get it" in gone.err
    pushed = yard.run("fleet", "push", str(two), "--pipeline", "lane", "--no-wait")
    assert pushed.code == 2 and "digits 2 was retired: give this one another" in pushed.err
    forced = yard.run("fleet", "retire", "digits", "1", "--force")
    assert forced.code == 0, forced.err
    assert "nothing is deployed" in yard.run("fleet", "status").out


def test_a_deployment_that_is_so_already_is_watched_to_its_end(
    yard: Yard, speaker: Listener, tmp_path: Path
) -> None:
    door = Actor(speaker, "door")
    packed = digits(tmp_path, "1")
    assert yard.push(packed, more=("--no-wait",)).code == 0
    deploy = ("fleet", "deploy", "lane", "digits", "1")
    late = yard.run(*deploy, "--timeout", "1")
    assert late.code == 1 and "gave up waiting for door" in late.out, late.err
    with Command(tmp_path, yard.fleet, *deploy, "--json") as again:
        again.says("it is so already")
        door.is_in("good", "1", sha256(packed))
        assert again.ends() == 0
    told = json.loads(again.out)
    assert (told["ok"], told["deployed"]) == (True, False)
    assert told["devices"]["door"]["stand"] == "good"


def test_who_stops_watching_is_told_that_it_stays_deployed(
    yard: Yard, speaker: Listener, tmp_path: Path
) -> None:
    Actor(speaker, "door")
    packed = str(digits(tmp_path, "1"))
    with Command(tmp_path, yard.fleet, "fleet", "push", packed, "--pipeline", "lane") as push:
        push.says("door: waiting")
        push.process.send_signal(signal.SIGINT)
        assert push.ends() == 130
    last = push.err.splitlines()[-1]
    assert last == (
        "vedette: lane: digits 1 stays deployed (2): vedette fleet status shows how far"
    ), push.err


def test_a_roll_back_counts_only_devices_that_heard_of_it(
    yard: Yard, speaker: Listener, tmp_path: Path
) -> None:
    door = Actor(speaker, "door")
    one, two = digits(tmp_path, "1"), digits(tmp_path, "2")
    assert yard.push(one, more=("--no-wait",)).code == 0
    door.is_in("good", "1", sha256(one))
    assert yard.push(two, more=("--no-wait", "--group", "nobody")).code == 0
    back = yard.run("fleet", "rollback", "lane")
    assert back.code == 0 and "no device that was seen was to run digits 2" in back.out, back.err

    assert yard.push(two, more=("--no-wait",)).code == 0
    door.is_in("rejected", "2", sha256(two), reason="3 of 4 golden samples")
    unheard = yard.run("fleet", "rollback", "lane", "--timeout", "1")
    assert unheard.code == 1 and "gave up waiting for door" in unheard.out, unheard.err
    assert yard.push(two, more=("--no-wait",)).code == 0
    with Command(tmp_path, yard.fleet, "fleet", "rollback", "lane") as heard:
        heard.says("door: waiting")
        door.believes(99)
        assert heard.ends() == 0, heard.err


def test_a_candidate_waits_for_a_signature(yard: Yard, speaker: Listener, tmp_path: Path) -> None:
    """A CI job has fleet.toml and a bundle, and no key."""
    ci = tmp_path / "ci"
    ci.mkdir()
    (ci / "fleet.toml").write_text((yard.fleet / "fleet.toml").read_text())
    packed = digits(tmp_path, "1")
    offered = yard.run("fleet", "push", str(packed), "--candidate", "--dir", str(ci))
    assert offered.code == 0, offered.err
    short = sha256(packed)[:12]
    assert f"vedette fleet sign {sha256(packed)}" in offered.out
    listed = yard.run("fleet", "sign")
    assert short in listed.out and "digits 1 tflite" in listed.out
    assert short in yard.run("fleet", "status").out

    unseen = yard.run("fleet", "sign", short)
    assert unseen.code == 2 and "say --yes" in unseen.err
    blind = yard.run("fleet", "sign", short, "--yes")
    assert blind.code == 2 and "--yes needs the whole digest" in blind.err
    signed = yard.run("fleet", "sign", sha256(packed), "--yes", "--json")
    assert signed.code == 0 and signed.said["released"], signed.err
    assert f"sha256 {sha256(packed)}" in signed.err, "it was shown first"
    assert yard.run("fleet", "sign").out == "no bundle waits for a signature\n"
    Actor(speaker, "door")
    deployed = yard.run("fleet", "deploy", "lane", "digits", "1", "--no-wait")
    assert deployed.code == 0, deployed.err


def test_a_depot_that_dies_while_it_fetches_costs_only_time(yard: Yard, tmp_path: Path) -> None:
    packed = heavy(tmp_path, "1", 48_000_000)
    words = ("fleet", "push", str(packed), "--no-deploy", "--json")
    with Command(tmp_path, yard.fleet, *words) as push:
        push.says("handing digits 1 to the depot: 46 MiB")
        yard.kill_depot()
        yard.start_depot()
        assert push.ends() == 0, push.err
    assert json.loads(push.out)["released"] is True


def test_a_broker_that_dies_while_devices_are_watched(
    yard: Yard, speaker: Listener, tmp_path: Path
) -> None:
    door = Actor(speaker, "door")
    packed = digits(tmp_path, "1")
    words = ("fleet", "push", str(packed), "--pipeline", "lane")
    with Command(tmp_path, yard.fleet, *words) as push:
        push.says("deployed")
        yard.broker.kill()
        push.says("the broker went away")
        yard.broker.start()
        push.says("the broker is there again")
        door.comes()
        door.is_in("good", "1", sha256(packed))
        assert push.ends() == 0
    assert push.out == "lane: digits 1: 1 good, of 1 device\n"


def test_two_at_once_do_not_undo_each_other(yard: Yard, speaker: Listener, tmp_path: Path) -> None:
    Actor(speaker, "door", ("lane", "sky"))
    one, two = digits(tmp_path, "1"), digits(tmp_path, "2")
    (tmp_path / "b").mkdir()
    first = ("fleet", "push", str(one), "--pipeline", "lane", "--no-wait")
    second = ("fleet", "push", str(two), "--pipeline", "sky", "--no-wait")
    trust = tmp_path / "fleet2"
    trust.mkdir()
    for name in ("fleet.toml", "root.json", "keys"):  # another operator with a folder of her own
        (trust / name).symlink_to(yard.fleet / name)
    with (
        Command(tmp_path, yard.fleet, *first) as a,
        Command(tmp_path / "b", trust, *second) as b,
    ):
        codes = (a.ends(), b.ends())
    assert codes == (0, 0), a.err + b.err
    status = yard.run("fleet", "status").out
    assert "pipeline lane: digits 1 to all\npipeline sky: digits 2 to all\n" in status
    assert f"fleet {FLEET}: root 1, release 3, deployments 3" in status


def test_commands_on_one_folder_wait_for_each_other(yard: Yard, tmp_path: Path) -> None:
    with ExitStack() as stack:
        commands = []
        for number in range(4):
            place = tmp_path / f"shell-{number}"
            place.mkdir()
            commands.append(
                stack.enter_context(Command(place, yard.fleet, "fleet", "status", "--json"))
            )
        assert [command.ends() for command in commands] == [0] * 4, commands[-1].out
        assert all(not json.loads(command.out)["warnings"] for command in commands)


class TwoSigners(Yard):
    """A fleet whose releases two keys must sign. In the story each lies with another person."""

    founded_with = ("--release-keys", "2", "--release-threshold", "2")


def test_a_release_that_two_must_sign(tmp_path: Path) -> None:
    with TwoSigners(tmp_path) as yard:
        packed = digits(tmp_path, "1")
        first, second = (str(yard.fleet / "keys" / f"release-{n}.pem") for n in (1, 2))
        before = in_force(yard)
        push = ("fleet", "push", str(packed), "--pipeline", "lane", "--json")
        alone = yard.run(*push, "--key", first)
        assert alone.code == 1 and alone.said["ok"] is False, alone.err
        pending = str(alone.said["missing"])
        assert pending == str(yard.fleet / "pending" / "2.targets.json")
        assert in_force(yard) == before, "one is not enough"
        again = yard.run("fleet", "sign", pending, "--key", first, "--yes")
        assert again.code == 0 and "1 more of the release keys must sign" in again.err
        assert in_force(yard) == before, "nor is the same one twice"
        foreign = yard.run(
            "fleet", "sign", pending, "--key", str(yard.fleet / "keys" / "root-1.pem"), "--yes"
        )
        assert foreign.code == 2 and "is not a release key" in foreign.err
        packed.unlink()  # all that the second needs lies in pending/
        hers = tmp_path / "hers"  # the other person has what she was told to ask for
        hers.mkdir()
        for name in ("fleet.toml", "root.json", "pending"):
            assert str(yard.fleet / name) in again.err
            (hers / name).symlink_to(yard.fleet / name)
        (hers / "keys").mkdir()
        second = shutil.copy(second, str(hers / "keys" / "release-2.pem"))
        theirs = str(hers / "pending" / "2.targets.json")
        words = ("fleet", "sign", theirs, "--dir", str(hers), "--key", second, "--yes", "--json")
        signed = yard.run(*words)
        assert signed.code == 0 and signed.said["released"], signed.err
        assert "new: models/digits/1/tflite.zip" in signed.err, "what is signed is shown"
        assert list((yard.fleet / "pending").iterdir()) == []
        deployed = yard.run("fleet", "deploy", "lane", "digits", "1", "--no-wait")
        assert deployed.code == 0, deployed.err
        both = yard.push(digits(tmp_path, "2"), more=("--no-wait",))
        assert both.code == 0 and both.said["released"], both.err


def test_metadata_that_was_changed_after_it_was_signed_is_not_released(tmp_path: Path) -> None:
    with TwoSigners(tmp_path) as yard:
        packed = digits(tmp_path, "1")
        first, second = (str(yard.fleet / "keys" / f"release-{n}.pem") for n in (1, 2))
        words = ("fleet", "push", str(packed), "--no-deploy", "--json", "--key", first)
        pending = Path(str(yard.run(*words).said["missing"]))
        other = "0" * 64
        pending.write_text(pending.read_text().replace(sha256(packed), other))
        signed = yard.run("fleet", "sign", str(pending), "--key", second, "--yes", "--json")
        assert signed.said["released"] is False and other in signed.err
        assert "1 more of the release keys must sign" in signed.err
