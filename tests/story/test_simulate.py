"""Simulated devices are what operators and brokers see of real ones."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.commands import simulate
from tests.depot_folder import make_yard
from tests.fanout import Many
from tests.registry import Registry
from tests.yard import FLEET, digits
from wire import topics
from wire.config import Broker
from wire.messages import Presence, Telemetry, parse
from wire.mqtt.mqtt import MqttLink
from wire.troubles import Refused

pytestmark = pytest.mark.slow
NAMES = ("simulated-1", "simulated-2", "simulated-3")
PATIENCE_S = 100.0


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Many]:
    with Many(tmp_path_factory.mktemp("yard")) as yard:
        yield yard


@pytest.fixture(autouse=True)
def _nobody_stays(yard: Many) -> Iterator[None]:
    """Else who is left by a test that fails would have the names of the next one's."""
    yield
    yard.end_crowds()


def online(yard: Many) -> list[bool]:
    """What each device said last of itself."""
    said = [yard.listener.payloads(topics.presence(FLEET, name)) for name in NAMES]
    return [parse(each[-1], Presence).online for each in said if each]


def test_a_push_goes_through_with_them(yard: Many) -> None:
    crowd = yard.simulate(3, "--fetch", "--spread-s", "0", "--telemetry-s", "0.2")
    # what the operator's command finds at the broker, not only that they are connected
    yard.until(lambda: online(yard) == [True] * 3 and all(map(yard.state, NAMES)))
    pushed = yard.push(digits(yard.folder, "2"))
    assert pushed.code == 0, pushed.err
    devices = pushed.said["devices"]
    assert isinstance(devices, dict)
    assert sorted(devices) == list(NAMES)
    # our listener is another one than the command's
    yard.until(lambda: all(yard.runs("2", name) for name in NAMES))
    yard.until_ended("2", "good", NAMES[0])
    assert yard.phases("2", NAMES[0]) == ["fetching", "trial", "good"]
    status = yard.run("fleet", "status", "--json")
    assert status.code == 0
    telemetry = topics.telemetry(FLEET, NAMES[2])

    def records() -> list[Telemetry]:
        return [parse(one, Telemetry) for one in yard.listener.payloads(telemetry)]

    yard.until(lambda: len(told := records()) >= 3 and told[-1].pipelines["lane"].version == "2")
    assert [one.seq for one in records()] == sorted({one.seq for one in records()})
    assert online(yard) == [True] * 3

    crowd.send_signal(signal.SIGINT)
    told, _ = crowd.communicate(timeout=PATIENCE_S)
    assert crowd.returncode == 0
    report = json.loads(told)
    assert (report["devices"], report["fetched"], report["lost"]) == (3, 3, 0)
    assert report["troubles"] == {}
    yard.until(lambda: online(yard) == [False] * 3)  # they said goodbye


def test_the_will_of_each_is_the_brokers_to_say(yard: Many) -> None:
    crowd = yard.simulate(3)
    yard.until(lambda: online(yard) == [True] * 3)
    crowd.kill()
    yard.until(lambda: online(yard) == [False] * 3)


def test_once_ends_when_all_have_it(yard: Many) -> None:
    pushed = yard.run("fleet", "push", str(digits(yard.folder, "3")), "--pipeline", "lane",
                      "--no-wait")  # fmt: skip
    assert pushed.code == 0, pushed.err
    crowd = yard.simulate(
        5, "--fetch", "--once", "--seconds", "60", "--prefix", "many", "--spread-s", "0"
    )
    told, _ = crowd.communicate(timeout=PATIENCE_S)
    assert crowd.returncode == 0, yard.crowd_log
    assert json.loads(told)["up_to_date"] == 5


def test_they_answer_signed_commands(yard: Many, tmp_path: Path) -> None:
    """As `vedette ask` asks a real device."""
    pushed = yard.run("fleet", "push", str(digits(yard.folder, "4")), "--pipeline", "lane",
                      "--no-wait")  # fmt: skip
    assert pushed.code == 0, pushed.err
    crowd = yard.simulate(3, "--fetch", "--spread-s", "0", "--snapshots", "--prefix", "asked")
    yard.until(lambda: yard.runs("4", "asked-2"))
    key, jpeg = str(yard.fleet / "keys" / "command.pem"), tmp_path / "picture.jpg"
    where = ["--key", key, "--fleet", FLEET, "--broker", yard.broker.url(), "--json"]

    def ask(*words: str) -> dict[str, object]:
        done = yard.run("ask", "asked-2", *words, *where)
        assert done.code == 0, done.err
        return done.said

    content = ask("status")["content"]
    assert isinstance(content, dict)
    assert content["pipelines"]["lane"]["version"] == "4"
    assert ask("snapshot", "--output", str(jpeg))["ok"]
    assert jpeg.read_bytes().startswith(b"\xff\xd8\xff")
    figures = ask("bench", "--frames", "50")["content"]
    assert isinstance(figures, dict)
    assert (figures["frames"], figures["version"]) == (50, "4")
    ask("restart")
    yard.until(lambda: (state := yard.state("asked-2")) and state.pipelines["lane"].restarts == 1)
    stranger = yard.run("ask", "--new-key", str(tmp_path / "stranger.pem"))
    assert stranger.code == 0
    where[1] = str(tmp_path / "stranger.pem")
    refused = yard.run("ask", "asked-2", "status", *where)
    assert refused.code != 0
    assert "nobody whom this fleet believes" in refused.err + refused.out
    crowd.send_signal(signal.SIGINT)
    told, _ = crowd.communicate(timeout=PATIENCE_S)
    assert json.loads(told)["answered"] == 4


def test_a_fleet_that_is_not_theirs(yard: Many, tmp_path: Path) -> None:
    """They believe another root: nothing is taken, and why is told."""
    root = yard.fleet / "root.json"
    right = root.read_bytes()
    root.write_bytes((make_yard(tmp_path).place / "root.json").read_bytes())
    try:
        crowd = yard.simulate(2, "--fetch", "--once", "--seconds", "4", "--prefix", "wary",
                              "--spread-s", "0")  # fmt: skip
        told, _ = crowd.communicate(timeout=PATIENCE_S)
    finally:
        root.write_bytes(right)
    report = json.loads(told)
    assert crowd.returncode == 1
    assert (report["fetched"], report["up_to_date"]) == (0, 0)
    assert sum(report["troubles"].values()) == 2
    assert "with trouble" in yard.crowd_log


@pytest.mark.timeout(240)
def test_a_registry_that_comes_late_and_goes_gets_every_record_once(
    yard: Many, tmp_path: Path
) -> None:
    broker = Broker(f"mqtt://127.0.0.1:{yard.broker.port}")

    def registry() -> Registry:
        made = Registry(
            tmp_path / "registry.db", lambda post: MqttLink(broker, "registry", post), FLEET
        )
        made.start()
        assert made.connected.wait(30)
        return made

    crowd = yard.simulate(
        20, "--registry", "--telemetry-s", "0.5", "--prefix", "counted", "--seconds", "12"
    )
    first = registry()
    yard.until(lambda: len(first.rows()) > 40)
    first.stop()
    before = len(first.rows())
    second = registry()
    # what the first one died with comes again after half a minute
    told, _ = crowd.communicate(timeout=PATIENCE_S)
    rows = second.rows()
    second.stop()
    report = json.loads(told)
    assert (report["waiting"], report["dropped"], report["lost"]) == (0, 0, 0)
    assert len(rows) == report["records"] > before
    assert all(row.contradicted == 0 for row in rows)


def test_a_broker_that_is_not_there_is_told(yard: Many) -> None:
    """Also at the end: none of them was ever connected."""
    told = yard.run("fleet", "simulate", "--devices", "2", "--seconds", "3",
                    "--broker", "mqtt://127.0.0.1:1")  # fmt: skip
    assert told.code == 1
    assert "2 with trouble: nothing listens at 127.0.0.1, port 1" in told.err


def test_that_nothing_is_deployed_is_told(yard: Many) -> None:
    crowd = yard.simulate(2, "--fetch", "--once", "--seconds", "60", "--prefix", "idle",
                          "--pipeline", "typo")  # fmt: skip
    told, _ = crowd.communicate(timeout=PATIENCE_S)
    report = json.loads(told)
    assert (crowd.returncode, report["up_to_date"], report["idle"]) == (0, 2, 2)
    assert "nothing is deployed to the pipeline of 2" in yard.crowd_log


def test_that_no_depot_was_heard_is_told(yard: Many) -> None:
    told = yard.run("fleet", "simulate", "--devices", "2", "--fetch", "--once", "--seconds", "3",
                    "--fleet", "deserted")  # fmt: skip
    assert told.code == 1
    assert "2 with trouble: no depot has told yet which models there are" in told.err


@pytest.mark.parametrize("words", [["--devices", "0"], ["--devices", "99999"], []])
def test_what_cannot_be_meant_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        simulate.main(words)
    assert refused.value.code == 2


def test_once_is_about_fetching(yard: Many) -> None:
    with pytest.raises(Refused, match="--fetch"):
        simulate.main(["--devices", "3", "--once", "--dir", str(yard.fleet)])


def test_a_folder_without_a_root_is_told(yard: Many, tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_text((yard.fleet / "fleet.toml").read_text())
    missing = yard.run("fleet", "simulate", "--devices", "1", "--fetch", "--dir", str(tmp_path))
    assert missing.code == 1
    assert "root.json" in missing.err
