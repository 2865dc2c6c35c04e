"""`vedette fleet forget`: a device that is no more goes from the broker and from the dashboard."""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx
import pytest

from tests.brokers import Listener, Mosquitto
from tests.depot_folder import FLEET, make_yard, write_fleet_toml
from tests.enrolled import Client, Scene, vedette, why_refused
from tests.fleet_talk import Talker
from tests.story.depot_process import until
from tests.story.serve_process import ServeProcess, wait_for_part
from tests.story.test_enrolled import persons
from wire import topics

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def names(client: httpx.Client) -> list[str]:
    return sorted(each["name"] for each in client.get("/api/v1/devices").json()["devices"])


def says(broker: Listener, name: str, online: bool) -> None:
    talker, now_s = Talker(name), time.time()
    presence, state = talker.presence(now_s, online), talker.state(now_s)
    broker.publish(topics.presence(FLEET, name), presence.payload, retain=True)
    broker.publish(topics.state(FLEET, name), state.payload, retain=True)
    broker.publish(topics.telemetry(FLEET, name), talker.telemetry(now_s).payload)


def test_every_list_forgets_it_and_it_comes_back(tmp_path: Path) -> None:
    yard = make_yard(tmp_path)
    with (
        Mosquitto() as broker,
        ServeProcess(yard, broker) as served,
        Listener(broker.port) as devices,
    ):
        client = served.signed_in(*served.first_account())
        wait_for_part(client, "ingest", "working")
        says(devices, "dead", online=False)
        says(devices, "live", online=True)
        until("both", lambda: names(client) == ["dead", "live"])
        done = vedette("fleet", "forget", "dead", "live", "dread", "--dir", str(yard.place))
        assert done.returncode == 2 and done.stderr == ""
        dead, live, dread = done.stdout.splitlines()
        assert "keeps nothing of it any more; it comes back if it connects again" in dead
        assert live == "live: is online, and stays: end it first, or vedette fleet revoke it"
        assert "is the name right?" in dread
        until("it is gone", lambda: names(client) == ["live"])
        with Listener(broker.port, topics.presence(FLEET, "dead")) as late:
            late.publish(topics.presence(FLEET, "dead"), b"x")
            heard = late.wait_for(lambda heard: bool(heard), 30)
            assert [one.payload for one in heard] == [b"x"], "the broker kept nothing"
        says(devices, "dead", online=True)
        until("it is back", lambda: names(client) == ["dead", "live"])
        words = ("--although-online", "--dir", str(yard.place), "--json")
        done = vedette("fleet", "forget", "live", *words)
        assert done.returncode == 0
        assert json.loads(done.stdout)["devices"][0]["outcome"] == "removed"
        until("it is gone too", lambda: names(client) == ["dead"])


def test_the_rules_of_fleet_broker_must_allow_it_first(tmp_path: Path) -> None:
    with Scene(tmp_path) as scene:
        sim = persons(scene, "sim", "simulator")
        here = topics.presence(FLEET, "plain-01")
        with Client(sim, "plain-01") as device:
            device.say(here, b'{"online": false}', retain=True)
        never = vedette("fleet", "revoke", "plain-01", "--dir", str(scene.path))
        assert never.returncode == 2 and "vedette fleet forget plain-01" in never.stderr
        mistyped = ("fleet", "forget", "plain-10", "--dir", str(scene.path))
        book = sorted((scene.path / "enrolled").iterdir())
        done = vedette(*mistyped)
        assert done.returncode == 2 and "never enrolled: is the name right?" in done.stdout
        assert "mosquitto" not in done.stdout
        assert sorted((scene.path / "enrolled").iterdir()) == book, "no rule is made for nobody"
        words = ("fleet", "forget", "plain-01", "--dir", str(scene.path))
        done = vedette(*words)
        assert (done.returncode, done.stderr) == (1, "")
        assert "  sudo systemctl reload mosquitto\n" in done.stdout
        assert done.stdout.endswith("then once more: vedette fleet forget plain-01\n")
        scene.broker.bring()
        scene.broker.reload()
        done = vedette(*words)
        assert done.returncode == 0 and "keeps nothing of it any more" in done.stdout
        listed = vedette("fleet", "acl", "--dir", str(scene.path)).stdout
        assert "plain-01: device, forgotten\n" in listed
        never = vedette("fleet", "revoke", "plain-01", "--dir", str(scene.path))
        assert never.returncode == 2 and "plain-01 was never enrolled" in never.stderr
        assert vedette(*mistyped, "--although-unknown").returncode == 1, "the rules come first"
        assert (scene.path / "enrolled" / "plain-10.toml").exists()
        with Client(sim, "sim-again", here) as device:
            device.say(topics.presence(FLEET, "other"), b"{}")
            assert here not in device.topics()


def test_a_device_that_was_forgotten_before_is_revoked_all_the_same(tmp_path: Path) -> None:
    """The broker lets its last words be removed already: that proves no revocation."""
    with Scene(tmp_path) as scene:
        door = scene.broker_for(scene.enroll("door"), tmp_path / "door")
        here = topics.presence(FLEET, "door")
        with Client(door, "door") as device:
            device.say(here, b'{"online": false}', retain=True)
        assert vedette("fleet", "forget", "door", "--dir", str(scene.path)).returncode == 1
        scene.broker.bring()
        scene.broker.reload()
        done = vedette("fleet", "revoke", "door", "--dir", str(scene.path))
        assert why_refused(door, "door") is None, "it is still let in"
        again = vedette("fleet", "revoke", "door", "--dir", str(scene.path))
        for told in (done.stdout, again.stdout):
            assert "goes by the new rules" not in told
            assert "  sudo systemctl reload mosquitto\n" in told
        scene.broker.bring()
        scene.broker.reload()
        assert why_refused(door, "door") is not None


def test_a_broker_that_is_not_there_is_said(tmp_path: Path) -> None:
    folder = write_fleet_toml(make_yard(tmp_path), 9)
    done = vedette("fleet", "forget", "a", "--dir", str(folder), "--patience", "1")
    assert done.returncode == 1 and "a: the broker was not reached: nothing listens" in done.stdout
