"""Agent and runtime as processes on a real broker: what goes on when something dies."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.keeping import Keeping
from tests.brokers import Amqtt, Heard, Listener, Mosquitto
from tests.device import ROOT, Device, until
from tests.registry import Registry
from wire import topics
from wire.config import Broker, TelemetryTable
from wire.health import Health
from wire.messages import Event, Presence, State, Telemetry, body_of, parse, to_json
from wire.mqtt.mqtt import MqttLink
from wire.troubles import Refused

HERE = topics.presence("yard", "door")
TELEMETRY = topics.telemetry("yard", "door")
STATE = topics.state("yard", "door")
ALL = "vedette/#"
FPS = 2  # so that a busy machine loses no frame, only a loop that is blocked for seconds
UNHURRIED = f"synthetic://160x120@{FPS}"
pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as broker:
        yield broker


def records(heard: list[Heard]) -> list[Telemetry]:
    """Each record once, in the order of its number."""
    found = [parse(each.payload, Telemetry) for each in heard if each.topic == TELEMETRY]
    return list({(one.spool, one.seq): one for one in found}.values())


def windows(heard: list[Heard]) -> int:
    return sum(1 for record in records(heard) if record.pipelines)


def state(heard: list[Heard]) -> State:
    return parse([each.payload for each in heard if each.topic == STATE][-1], State)


def said(heard: list[Heard]) -> list[tuple[str, str]]:
    topic = topics.event("yard", "door")
    found = [parse(each.payload, Event) for each in heard if each.topic == topic]
    return [(one.kind, one.subject) for one in found]


def online(heard: list[Heard]) -> bool:
    """By the last word on it that can be read."""
    words = []
    for each in heard:
        if each.topic == HERE:
            with contextlib.suppress(Refused):
                words.append(parse(each.payload, Presence).online)
    return bool(words) and words[-1]


def test_a_device_appears_reports_and_leaves(tmp_path: Path, broker: Mosquitto) -> None:
    with Listener(broker.port, ALL) as listener, Device(tmp_path / "d", broker.port) as device:
        device.start("agent")
        device.start("lane")
        heard = listener.wait_for(lambda heard: windows(heard) >= 1)
        window = records(heard)[-1].pipelines["lane"]
        assert (window.model, window.phase, window.restarts) == ("digits", "serving", 0)
        assert window.stages.end_to_end.count == window.frames > 0
        health = records(heard)[-1].health
        assert health.memory is not None
        assert len(health.cpu_percent or ()) == os.cpu_count()
        listener.wait_for(lambda heard: any("/result/lane" in each.topic for each in heard))
        assert online(heard)
        assert device.stop("lane") == 0
        assert device.stop("agent") == 0
        listener.wait_for(lambda heard: not online(heard))
        assert "Traceback" not in device.log("agent") + device.log("lane")


@pytest.mark.slow
def test_killed_again_and_again_it_neither_loses_nor_doubles_a_frame(
    tmp_path: Path, broker: Mosquitto
) -> None:
    """The agent's sums are held against what the runtime itself says at its end."""
    with Listener(broker.port, ALL) as listener, Device(tmp_path / "d", broker.port) as device:
        device.start("lane", "--json")
        for _ in range(4):
            device.start("agent")
            time.sleep(6)
            device.kill("agent")
        device.start("agent")
        listener.wait_for(lambda heard: online(heard))
        assert device.stop("lane") == 0
        assert device.stop("agent") == 0
        heard = listener.wait_for(lambda heard: not online(heard))
        frames = sum(record.pipelines["lane"].frames for record in records(heard))
        last = records(heard)[-1].pipelines["lane"]
        assert last.phase == "ended"
        counted = json.loads(device.log("lane").splitlines()[-1])["frames"]
        assert frames == counted > 0
        assert len([one for one in said(heard) if one == ("note", "agent")]) >= 5


@pytest.mark.slow
def test_the_loop_notices_neither_stopped_agent_nor_dead_broker(
    tmp_path: Path, broker: Mosquitto
) -> None:
    calm = Device(tmp_path / "d", broker.port, camera=UNHURRIED)
    with Listener(broker.port, ALL) as listener, calm as device:
        device.start("agent")
        device.start("lane")
        listener.wait_for(lambda heard: windows(heard) >= 1)
        device.signal("agent", signal.SIGSTOP)
        time.sleep(12)
        device.signal("agent", signal.SIGCONT)
        broker.kill()
        time.sleep(12)
        broker.start()
        until(lambda: windows(listener.heard) >= 3)
        device.kill("agent")
        time.sleep(3)
        device.start("agent")
        until(lambda: windows(listener.heard) >= 5)
        total = [record.pipelines["lane"] for record in records(listener.heard)[1:]]
        assert sum(window.losses.driver + window.losses.skipped for window in total) == 0
        seconds = sum(window.seconds for window in total)
        assert sum(window.frames for window in total) == pytest.approx(FPS * seconds, rel=0.05)
        assert {window.restarts for window in total} == {0}


@pytest.mark.slow
def test_a_full_disk_costs_no_frame_and_no_record(tmp_path: Path, broker: Mosquitto) -> None:
    """Full: no file of the agent may grow beyond some kB, as its limit says."""
    calm = Device(tmp_path / "d", broker.port, camera=UNHURRIED)
    with Listener(broker.port, ALL) as listener, calm as device:
        pid = device.start("agent").pid
        device.start("lane")
        listener.wait_for(lambda heard: windows(heard) >= 1)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        heard = listener.wait_for(lambda heard: windows(heard) >= 3, 60)
        assert any("spool" in fault for fault in state(heard).faults)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        listener.wait_for(lambda heard: ("recovered", "spool") in said(heard), 90)
        total = [record.pipelines["lane"] for record in records(listener.heard)[1:]]
        assert sum(window.losses.skipped for window in total) == 0
        assert {record.lost for record in records(listener.heard)} == {0}


def test_why_a_pipeline_does_not_run_reaches_the_operator(
    tmp_path: Path, broker: Mosquitto
) -> None:
    device = Device(tmp_path / "d", broker.port)
    good = device.config.read_text()
    with Listener(broker.port, ALL) as listener, device:
        device.config.write_text(good.replace('model = "digits"', 'model = "/no/such.tflite"'))
        device.start("agent")
        listener.wait_for(online)  # a runtime that ends at once says why once: somebody must listen
        device.start("lane")
        listener.wait_for(lambda heard: any("such.tflite" in f for f in faults(heard)))
        device.config.write_text(good)
        device.start("lane")
        listener.wait_for(lambda heard: state(heard).pipelines["lane"].phase == "serving")
        listener.wait_for(lambda heard: faults(heard) == ())
        device.config.write_text(good.replace('model = "digits"', 'model = "/no/such.tflite"'))
        device.signal("lane", signal.SIGHUP)
        listener.wait_for(lambda heard: any("runs on" in f for f in faults(heard)))
        assert state(listener.heard).pipelines["lane"].phase == "serving"


def faults(heard: list[Heard]) -> tuple[str, ...]:
    return state(heard).faults if STATE in topics_of(heard) else ()


@pytest.mark.slow
def test_two_devices_of_one_name_say_so(tmp_path: Path, broker: Mosquitto) -> None:
    with Device(tmp_path / "a", broker.port) as one, Device(tmp_path / "b", broker.port) as two:
        one.start("agent")
        until(lambda: "connected" in one.log("agent"))
        two.start("agent")
        until(lambda: "another device connects as 'door'" in two.log("agent"))
        until(lambda: "another device connects as 'door'" in one.log("agent"))
        assert "device in vedette.toml" in two.log("agent")


def test_a_refused_configuration_leaves_the_old_one_in_force(
    tmp_path: Path, broker: Mosquitto
) -> None:
    with Listener(broker.port, ALL) as listener, Device(tmp_path / "d", broker.port) as device:
        good = device.config.read_text()
        device.start("agent")
        listener.wait_for(lambda heard: online(heard))
        device.config.write_text(good.replace("[telemetry]", "[telemetri]"))
        device.signal("agent", signal.SIGHUP)
        heard = listener.wait_for(lambda heard: STATE in topics_of(heard) and state(heard).config)
        assert "telemetri" in str(state(heard).config)
        listener.wait_for(lambda heard: ("fault", "config") in said(heard))
        device.kill("agent")
        device.start("agent")  # also after a restart
        listener.wait_for(lambda heard: said(heard).count(("note", "agent")) >= 3)
        device.config.write_text(good)
        device.signal("agent", signal.SIGHUP)
        listener.wait_for(lambda heard: state(heard).config is None)
        listener.wait_for(lambda heard: ("recovered", "config") in said(heard))


def topics_of(heard: list[Heard]) -> set[str]:
    return {each.topic for each in heard}


@pytest.mark.slow
def test_garbage_on_every_topic_and_socket(tmp_path: Path, broker: Mosquitto) -> None:
    payloads = [
        b"", b"\0" * 10, b"{}", b"[]", b"null", b'{"spool":1,"seq":"x"}', os.urandom(300_000),
        b"[" * 200_000, b'{"online":false,"boot":"x","session":"y","spool":"z"}', b"\xff\xfe",
        b'{"spool":"a","seq":99999999999999999999}', b'{"body":"x","key":"","signature":""}',
    ]  # fmt: skip
    with Listener(broker.port, ALL) as listener, Device(tmp_path / "d", broker.port) as device:
        device.start("agent")
        listener.wait_for(lambda heard: online(heard))
        for topic in (HERE, topics.command("yard", "door"), topics.ack("yard", "door")):
            for payload in payloads:
                listener.publish(topic, payload)
                listener.publish(topic, payload, retain=True)
        listener.wait_for(lambda heard: online(heard))
        device.start("lane")
        listener.wait_for(lambda heard: windows(heard) >= 1)
        assert device.runs("agent")
        device.kill("agent")
        device.start("agent")  # with the garbage retained
        before = len(records(listener.heard))
        listener.wait_for(lambda heard: len(records(heard)) > before)
        assert online(listener.heard)
        assert "Traceback" not in device.log("agent")


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_narrow_broker(tmp_path: Path) -> None:
    """A backlog goes through a broker that takes little at a time: a quarter of it, at most."""
    count = 60
    lines = ("max_packet_size 70000", "max_queued_messages 10", "max_inflight_messages 5")
    told = 'acknowledged_by = "registry"'
    with Mosquitto(tmp_path, lines=lines) as broker:
        fill_spool(tmp_path / "d" / "state", count)
        link = Broker(url=broker.url())
        registry = Registry(
            tmp_path / "registry.db", lambda post: MqttLink(link, "registry", post), fleet="yard"
        )
        registry.start()
        try:
            with Device(tmp_path / "d", broker.port, telemetry=told) as device:
                device.start("agent")
                wanted = set(range(1, count + 1))
                until(lambda: wanted <= {row.seq for row in registry.rows()}, 150)
        finally:
            registry.stop()
    assert all(row.contradicted == 0 for row in registry.rows())


def fill_spool(state_folder: Path, count: int) -> None:
    """Telemetry from an outage, near the size at which records are split."""
    state_folder.mkdir(parents=True)
    sensors = {f"sensor{number:032}": 40.0 for number in range(900)}
    health = Health(temperatures_c=sensors)
    record = Telemetry("", 0, 0, "boot0", 1.0, 1.0, 60.0, 0, {}, health)
    keeping = Keeping(state_folder, TelemetryTable(), SystemClock())
    for _ in range(count):
        keeping.append([("telemetry", body_of(record))], {})
    keeping.close()


def test_the_agent_runs_without_a_broker(tmp_path: Path) -> None:
    with Device(tmp_path / "d", 9) as device:
        device.start("agent")
        until(lambda: "not connected" in device.log("agent"))
        time.sleep(4)
        assert device.log("agent").count("not connected") == 1, "it is said once"
        assert device.stop("agent") == 0


@pytest.mark.slow
def test_a_broker_that_speaks_3_1_1_only(tmp_path: Path) -> None:
    with Amqtt(tmp_path) as broker, Device(tmp_path / "d", broker.port) as device:
        with Listener(broker.port, TELEMETRY) as listener:
            device.start("agent")
            device.start("lane")
            listener.wait_for(lambda heard: windows(heard) >= 1, 60)
        assert "MQTT 3.1.1" in device.log("agent")


def test_a_second_agent_in_the_same_folders_says_why_it_cannot_run(
    tmp_path: Path, broker: Mosquitto
) -> None:
    with Device(tmp_path / "d", broker.port) as device:
        device.start("agent")
        until(lambda: "connected" in device.log("agent"))
        places = ["--config", str(device.config), "--state", str(device.folder / "state")]
        second = subprocess.run(
            [sys.executable, "-m", "vedette", "agent", *places, "--run", str(tmp_path)],
            cwd=ROOT, capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        assert second.returncode == 1
        assert second.stderr.count("\n") == 1
        assert str(device.folder / "state") in second.stderr


def test_an_old_will_does_not_make_a_device_look_gone(tmp_path: Path, broker: Mosquitto) -> None:
    with Listener(broker.port, ALL) as listener, Device(tmp_path / "d", broker.port) as device:
        device.start("agent")
        listener.wait_for(lambda heard: online(heard))
        present = [parse(one.payload, Presence) for one in listener.heard if one.topic == HERE][-1]
        lie = Presence(False, present.boot, "an-older-session", present.spool)
        listener.publish(HERE, to_json(lie), retain=True)
        listener.wait_for(lambda heard: not online(heard))
        listener.wait_for(lambda heard: online(heard))
