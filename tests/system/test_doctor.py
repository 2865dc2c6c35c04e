"""The doctor on a real device under systemd: services that fail, a camera that is busy, a watchdog.

Runs where VEDETTE_VM names the program that makes virtual machines (see tests/system/machine.py).
The tests are one story in order: each mends what it broke, by the command that was said.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

import msgspec
import pytest

from tests.examined import Found
from tests.system.machine import Machine, installed, program, until
from wire.finding import Finding

pytestmark = [
    pytest.mark.skipif(program() is None, reason="no virtual machines here: name VEDETTE_VM"),
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

AGENT, CAMERA = "vedette-agent.service", "vedette-runtime@camera.service"
NODE = "/dev/video0"
PLACE = "/etc/vedette/vedette.toml"
CONFIG = f"""\
device = "gate"
[broker]
url = "mqtt://127.0.0.1"
[pipeline.camera]
camera = "v4l2://{NODE}?size=320x180&fps=5&format=YUYV"
model = "digits"
"""
HOLD = f"""
import fcntl, struct, time
f = open("{NODE}", "rb+", buffering=0)
wish = struct.pack("IIII4x", 1, 1, 1, 0)  # VIDIOC_REQBUFS: who has buffers has the camera
fcntl.ioctl(f, 0xC0145608, bytearray(wish))
time.sleep(600)
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    box = tmp_path_factory.mktemp("box")
    with installed(box, "doctor") as machine:
        machine("systemctl stop 'vedette-*'; rm -rf /var/lib/vedette /run/vedette")  # of before
        machine.write(PLACE, CONFIG)
        machine(f"chgrp vedette {PLACE}; chmod 640 {PLACE}")
        machine(f"systemctl enable -q --now {AGENT} {CAMERA}", timeout_s=300)
        until(lambda: machine.shows(CAMERA, "ActiveState") == "active")
        yield machine


def doctor(machine: Machine) -> Found:
    said = machine("/opt/vedette/bin/vedette doctor --json || true", timeout_s=400)
    return msgspec.json.decode(said, type=Found)


def mended(machine: Machine, told: Finding) -> None:
    """Do what was said."""
    machine(str(told.mend).replace("sudo ", ""), timeout_s=300)


def test_a_device_that_is_well(machine: Machine) -> None:
    found = doctor(machine)
    assert [one for one in found.findings if one.level == "bad"] == []
    assert [one.level for one in found.of("services")] == ["ok", "ok"]
    (camera,) = found.of("cameras", "pipeline camera")
    assert camera.says.startswith("in use by the runtime of pipeline camera (process ")
    (sign_in,) = found.of("broker", "sign-in")
    assert sign_in.says.startswith("the agent (process ")


def test_a_watchdog_that_nobody_uses(machine: Machine) -> None:
    (told,) = doctor(machine).of("watchdog")
    assert told.level == "warning" and "nobody uses it" in told.says
    mended(machine, told)
    (told,) = doctor(machine).of("watchdog")
    assert (told.level, "14 s after systemd fell silent" in told.says) == ("ok", True)


def test_a_camera_that_another_process_has(machine: Machine) -> None:
    machine(f"systemctl stop {CAMERA}")
    hold = f"systemd-run --unit=holder python3 -c {shlex.quote(HOLD)}"
    machine(hold)
    until(lambda: machine(f"ls -l /proc/[0-9]*/fd 2>/dev/null | grep {NODE} || true"))
    found = doctor(machine)
    told = found.the_bad("cameras")
    assert told.says.startswith("in use by python3 (process ")
    assert told.mend == "sudo systemctl stop holder.service"
    stopped = found.the_bad("services")
    assert stopped.mend == f"sudo systemctl restart {CAMERA}"
    mended(machine, told)
    mended(machine, stopped)
    until(lambda: machine.shows(CAMERA, "ActiveState") == "active")


def test_a_service_that_fails(machine: Machine) -> None:
    machine.write(PLACE, CONFIG.replace('"digits"', '"/opt/nowhere"'))
    machine(f"systemctl restart --no-block {CAMERA}")
    until(lambda: int(machine.shows(CAMERA, "NRestarts") or 0) >= 1)
    found = doctor(machine)
    (told,) = found.of("services", CAMERA)
    assert told.level in ("bad", "warning")
    assert "there is no model at /opt/nowhere" in told.says
    assert "there is no model at /opt/nowhere" in found.the_bad("models").says
    machine.write(PLACE, CONFIG)
    machine(f"systemctl restart {CAMERA}", timeout_s=300)


def test_services_that_are_not_enabled_or_gone(machine: Machine) -> None:
    machine(f"systemctl disable -q --now {AGENT}; mv /etc/systemd/system/{AGENT} /opt/")
    machine("systemctl daemon-reload")
    gone = doctor(machine).the_bad("services")
    assert (gone.about, gone.says) == (AGENT, "it is not installed")
    machine(f"mv /opt/{AGENT} /etc/systemd/system/ && systemctl daemon-reload")
    told = doctor(machine).the_bad("services")
    assert told.says == "it does not run, and is not enabled (inactive)"
    mended(machine, told)
    assert machine.shows(AGENT, "ActiveState") == "active"


def test_a_bundle_holds_the_journal(machine: Machine) -> None:
    command = "/opt/vedette/bin/vedette support --json --out /tmp/s.tar.gz"
    made = json.loads(machine(command, timeout_s=600))
    assert {"journal.txt", "services/show.txt"} <= {one["name"] for one in made["parts"]}
    part = "vedette-support/journal.txt"
    assert "vedette" in machine(f"tar -xzOf /tmp/s.tar.gz {part} | head -c 5000")
