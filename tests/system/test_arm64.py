"""An arm64 device, a Raspberry Pi's processor under emulation: installed from a wheelhouse, and up.

Runs where VEDETTE_VM names the program that makes virtual machines (see tests/system/machine.py).
The broker is on this side. The tests are one story in order: each finds the services running.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.brokers import Listener, Mosquitto
from tests.system.houses import house
from tests.system.machine import HOST, Machine, program, until
from tests.system.sites import AGENT, CAMERA, RUNTIME, frames_of, install, print_costs
from wire import topics
from wire.messages import Telemetry, parse
from wire.version import VERSION

pytestmark = [
    pytest.mark.skipif(program() is None, reason="no virtual machines here: name VEDETTE_VM"),
    pytest.mark.slow,
    pytest.mark.timeout(2400),
]

DEVICE = "edge-vm"  # the machine's name
SYNTHETIC = "synthetic://320x240@5"
CONFIG = "/etc/vedette/vedette.toml"
PATIENCE_S = 400.0


@dataclass
class Site:
    """A device in the machine, and the broker that it talks to."""

    machine: Machine
    broker: Mosquitto
    heard: Listener

    def telemetry(self) -> list[Telemetry]:
        place = topics.telemetry("home", DEVICE)
        return [parse(payload, Telemetry) for payload in self.heard.payloads(place)]

    def await_frames(self, camera: str = "") -> Telemetry:
        """A record that was made from now on, in which frames of this camera came."""
        since = len(self.telemetry())

        def fits(record: Telemetry) -> bool:
            return frames_of(record) > 0 and camera in record.pipelines["camera"].camera

        until(lambda: any(fits(one) for one in self.telemetry()[since:]), PATIENCE_S)
        return self.telemetry()[-1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    vm = program()
    assert vm is not None
    machine, keep = Machine(vm, "arm64"), os.environ.get("VEDETTE_VM_KEEP")
    machine.host("build", "--arch", "arm64", timeout_s=1800)
    if not (keep and machine.is_on()):
        machine.host("fresh")
        machine.host("up", "--arch", "arm64", "--net", "--mem", "1024")
    try:
        with (
            Mosquitto(tmp_path_factory.mktemp("broker")) as broker,
            Listener(broker.port, "#") as heard,
        ):
            yield Site(machine, broker, heard)
    finally:
        if not keep:
            machine.host("fresh")


def test_one_command_and_it_works(site: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    made = house(tmp_path_factory.mktemp("houses") / VERSION, "aarch64")
    size = sum(path.stat().st_size for path in made.glob("*.whl"))
    site.machine("mkdir -p /opt/houses")
    site.machine.put(made, f"/opt/houses/{VERSION}")
    url = f"mqtt://{HOST}:{site.broker.port}"
    words = ("--camera", f"'{SYNTHETIC}'", "--model", "digits", "--broker", url)
    said = install(site.machine, VERSION, *words)
    assert said["done"] is True, said
    assert said["missing"] == [] and said["pipelines"] == ["camera"]
    assert site.machine("uname -m") == "aarch64"
    release = site.machine("du -sm /opt/vedette/releases | cut -f1")
    print(f"installed after {said['seconds']} s: wheels {size >> 20} MiB, release {release} MiB")
    assert site.heard.payloads(topics.event("home", DEVICE)), "telemetry is here, as it says"
    site.await_frames()
    for unit in (AGENT, RUNTIME):
        assert site.machine.shows(unit, "NRestarts") == "0"


def test_comes_up_by_itself_after_a_power_cut(site: Site) -> None:
    site.machine("sed -i 's/^# period_s = 60 .*/period_s = 10/' " + CONFIG)
    site.machine.power_cut()
    site.await_frames()
    print_costs(site.machine)


def test_the_golden_answers_are_right_there_too(site: Site) -> None:
    """By the child process that tries a model before it may run. It fails where one is not."""
    zoo = "/opt/vedette/current/lib/python3*/site-packages/models/zoo/digits/tflite"
    said = json.loads(site.machine(f"vedette model show {zoo} --json", PATIENCE_S))
    assert said["golden"] == 4


def test_a_v4l2_camera(site: Site) -> None:
    uri = CAMERA.replace("&", r"\&")
    site.machine(f"sed -i 's,^camera = .*,camera = \"{uri}\",' {CONFIG}")
    site.machine(f"systemctl restart --no-block {RUNTIME}")
    lane = site.await_frames("v4l2").pipelines["camera"]
    assert lane.absent is None
