"""Agent and runtimes as systemd services on a real machine: starts, deaths, hangs, power cuts.

Runs where VEDETTE_VM names the program that makes virtual machines (see tests/system/machine.py).
The tests are one story in order: each finds the services running, and leaves them so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.registry import Registry, Row
from tests.system.machine import PORT, Machine, installed, program, until
from wire import topics
from wire.config import Broker
from wire.messages import Telemetry, parse
from wire.mqtt.mqtt import MqttLink

pytestmark = [
    pytest.mark.skipif(program() is None, reason="no virtual machines here: name VEDETTE_VM"),
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

DEVICE = "gate"
AGENT = "vedette-agent"
RUNTIMES = {
    "camera": "vedette-runtime@camera",
    "own": "vedette-runtime@own",
    "onnx": "vedette-runtime@onnx",
}
UNITS = [AGENT, *RUNTIMES.values()]
CONFIG = f"""\
device = "{DEVICE}"

[broker]
url = "mqtt://127.0.0.1"

[telemetry]
period_s = 10
acknowledged_by = "registry"

[pipeline.camera]
camera = "v4l2:///dev/video0?size=320x180&fps=5&format=YUYV"
model = "digits"
engine = "null"

[pipeline.own]
camera = "synthetic://160x120@1"
model = "/opt/own"

[pipeline.onnx]
camera = "synthetic://160x120@1"
model = "digits"
engine = "onnxruntime"
"""
PLACE = "/etc/vedette/vedette.toml"
WATCHDOG_S = 30
DRIVERS = "vivid videobuf2_memops videobuf2_v4l2 videodev"  # the upper ones first


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    box = tmp_path_factory.mktemp("box")
    with installed(box, "services", "--forward", f"{PORT}:1883") as machine:
        machine("systemctl stop 'vedette-*'; rm -rf /var/lib/vedette /run/vedette")  # of before
        machine.write(PLACE, CONFIG)
        machine(f"chgrp vedette {PLACE}; chmod 640 {PLACE}")
        # a model that is not of the zoo is tried in a child process first
        machine("cp -rT /opt/vedette/lib/python3.*/site-packages/models/zoo/digits/tflite /opt/own")
        machine(f"systemctl enable -q --now --no-block {' '.join(UNITS)}")
        yield machine


@pytest.fixture(scope="module")
def registry(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """On this side of the wire: it outlives what happens to the machine."""
    broker = Broker(url=f"mqtt://127.0.0.1:{PORT}")
    path = tmp_path_factory.mktemp("registry") / "registry.db"
    registry = Registry(path, lambda post: MqttLink(broker, "registry", post))
    registry.start()
    yield registry
    registry.stop()


def records(registry: Registry) -> list[Telemetry]:
    rows = [row for row in registry.rows() if row.kind == "telemetry"]
    return [parse(row.message, Telemetry) for row in rows]


def await_telemetry(registry: Registry, what: Callable[[Telemetry], bool]) -> Telemetry:
    """The first record that is not here yet and fits."""
    known = {(one.spool, one.seq) for one in records(registry)}
    found: list[Telemetry] = []

    def comes() -> bool:
        new = [one for one in records(registry) if (one.spool, one.seq) not in known]
        found.extend(one for one in new if what(one))
        return bool(found)

    until(comes)
    return found[0]


def all_serve(record: Telemetry) -> bool:
    windows = record.pipelines
    return set(windows) == set(RUNTIMES) and all(window.frames for window in windows.values())


def await_none_missing(registry: Registry) -> None:
    """Of each spool every number from the first to the last, each with one content. What was said
    before the registry was back is said again after 30 s."""
    until(lambda: is_whole(registry.rows()))
    assert not any(row.contradicted for row in registry.rows())


def is_whole(rows: list[Row]) -> bool:
    numbers: dict[str, list[int]] = {}
    for row in rows:
        numbers.setdefault(row.spool, []).append(row.seq)
    return all(seqs == list(range(1, len(seqs) + 1)) for seqs in numbers.values())


def state(machine: Machine) -> dict[str, object]:
    topic = topics.state("home", DEVICE)
    said: dict[str, object] = json.loads(machine(f"mosquitto_sub -t {topic} -C 1 -W 20"))
    return said


def test_all_become_ready_and_telemetry_arrives(machine: Machine, registry: Registry) -> None:
    record = await_telemetry(registry, all_serve)
    assert record.health.clock_synchronised is not None  # the sandbox lets it ask
    assert record.health.memory and record.health.network and record.health.process_rss
    for unit in UNITS:
        assert machine.shows(unit, "ActiveState") == "active"
        assert machine.shows(unit, "NRestarts") == "0"
        assert machine.shows(unit, "StatusText")
    assert machine("stat -c %U:%a /run/vedette /var/lib/vedette").split() == ["vedette:750"] * 2


@pytest.mark.parametrize("unit", UNITS[:2])
def test_a_killed_one_is_started_again(machine: Machine, registry: Registry, unit: str) -> None:
    before = int(machine.shows(unit, "NRestarts"))
    machine(f"kill -9 {machine.shows(unit, 'MainPID')}")
    until(lambda: int(machine.shows(unit, "NRestarts")) == before + 1)
    until(lambda: machine.shows(unit, "ActiveState") == "active")
    record = await_telemetry(registry, all_serve)
    if unit != AGENT:
        assert record.pipelines["camera"].restarts >= 1
    await_none_missing(registry)


@pytest.mark.parametrize("unit", UNITS[:2])
def test_a_stuck_one_is_ended_by_the_watchdog(
    machine: Machine, registry: Registry, unit: str
) -> None:
    before = int(machine.shows(unit, "NRestarts"))
    machine(f"kill -STOP {machine.shows(unit, 'MainPID')}")
    until(lambda: int(machine.shows(unit, "NRestarts")) == before + 1)
    assert f"Watchdog timeout (limit {WATCHDOG_S}s)" in machine.journal(unit)
    assert "Fatal Python error: Aborted" in machine.journal(unit)  # with the stacks of its threads
    await_telemetry(registry, all_serve)
    await_none_missing(registry)


def test_a_camera_that_goes_away_is_waited_for(machine: Machine, registry: Registry) -> None:
    unit, driver = RUNTIMES["camera"], "/sys/bus/platform/drivers/vivid"
    before = machine.shows(unit, "NRestarts")
    machine(f"echo vivid.0 >{driver}/unbind")
    try:
        until(lambda: "no camera" in machine.shows(unit, "StatusText"))
        machine(f"sleep {WATCHDOG_S + 10}")
        assert "no camera" in machine.shows(unit, "StatusText")
    finally:
        machine(f"echo vivid.0 >{driver}/bind")
    await_telemetry(registry, all_serve)
    assert machine.shows(unit, "NRestarts") == before  # no death: neither by the watchdog


def test_a_camera_whose_driver_comes_after_the_start_is_found(
    machine: Machine, registry: Registry
) -> None:
    unit = RUNTIMES["camera"]
    machine(f"systemctl stop {unit}")
    try:
        machine(f"for module in {DRIVERS}; do modprobe -r $module 2>&1 || true; done")
        assert "video4linux" not in machine("cat /proc/devices")
        machine(f"systemctl start --no-block {unit}")
        until(lambda: "no camera" in machine.shows(unit, "StatusText"))
    finally:
        machine("modprobe vivid")
    await_telemetry(registry, all_serve)


def test_a_refused_configuration_changes_nothing(machine: Machine, registry: Registry) -> None:
    machine.write(PLACE, CONFIG.replace("period_s", "period"))
    try:
        machine(f"systemctl reload {AGENT}")
        until(lambda: f"{PLACE}:7: telemetry.period: " in str(state(machine)["config"]))
        machine(f"systemctl restart --no-block {' '.join(UNITS)}")
        await_telemetry(registry, all_serve)
        assert "stays in force" in str(state(machine)["config"])
    finally:
        machine.write(PLACE, CONFIG)
    machine(f"systemctl reload {AGENT}")
    until(lambda: state(machine)["config"] is None)


def test_stopped_in_order_nothing_is_lost(machine: Machine, registry: Registry) -> None:
    await_telemetry(registry, all_serve)
    machine(f"systemctl stop {' '.join(UNITS)}")
    for unit in UNITS:
        assert machine.shows(unit, "Result") == "success"
        assert machine.shows(unit, "ActiveState") == "inactive"
    presence = machine(f"mosquitto_sub -t {topics.presence('home', DEVICE)} -C 1 -W 20")
    assert json.loads(presence)["online"] is False
    assert machine("ls /run/vedette | grep -c sock || true") == "0"
    machine(f"systemctl start --no-block {' '.join(UNITS)}")
    await_telemetry(registry, all_serve)
    await_none_missing(registry)


def test_after_a_power_cut_telemetry_goes_on_and_the_gap_shows(
    machine: Machine, registry: Registry
) -> None:
    last = await_telemetry(registry, all_serve)
    machine.power_cut()
    first = await_telemetry(registry, lambda record: record.boot != last.boot)
    await_telemetry(registry, all_serve)
    told = records(registry)
    old = [one for one in told if one.boot == last.boot]
    new = [one for one in told if one.boot == first.boot]
    assert all(one.lost == 0 for one in told)
    await_none_missing(registry)
    gap_s = min(one.time - one.window_s for one in new) - max(one.time for one in old)
    assert 0 < gap_s < 240  # nobody counted while it was off, and the records say so
    for unit in UNITS:
        assert machine.shows(unit, "NRestarts") == "0"


def test_the_file_that_systemd_reads_is_this_one(machine: Machine) -> None:
    units = Path(__file__).parents[2] / "systemd"
    for name in ("vedette-agent.service", "vedette-runtime@.service"):
        assert machine(f"cat /etc/systemd/system/{name}") == (units / name).read_text().strip()
