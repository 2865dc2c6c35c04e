"""scripts/install on a real machine: from a wheelhouse to services, upgrades, power cuts, and away.

Runs where VEDETTE_VM names the program that makes virtual machines (see tests/system/machine.py).
The broker is on this side. The tests are one story in order: each finds the services running.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.brokers import Listener, Mosquitto
from tests.install.pretended import wheelhouse
from tests.laws.sources import ROOT
from tests.system.houses import BROKEN, house, other
from tests.system.machine import HOST, Machine, program, until
from wire import topics
from wire.messages import State, Telemetry, parse
from wire.version import VERSION

pytestmark = [
    pytest.mark.skipif(program() is None, reason="no virtual machines here: name VEDETTE_VM"),
    pytest.mark.slow,
    pytest.mark.timeout(2400),
]

DEVICE = "edge-vm"  # the machine's name
AGENT, RUNTIME = "vedette-agent", "vedette-runtime@camera"
CAMERA = "v4l2:///dev/video0?size=320x180&fps=5&format=YUYV"
GOOD, BAD = "0.9.1", "0.9.2"
INSTALL_S = 1800.0  # pip on an emulated processor
BOOT_S = 900.0  # a busy machine of ours needs minutes
MARKER = "/opt/vedette/upgrade.json"
# files and folders, without what a running system makes by itself
FILES = r"""find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /dev -o -path /tmp \
  -o -path /var/log -o -path /var/tmp -o -path /var/lib/systemd -o -path /var/lib/dpkg \
  -o -path /root -o -path /opt/houses -o -path /var/lib/mosquitto \) -prune -o -print | sort"""
TRACES = re.compile(r"/etc/(passwd|group|shadow|gshadow|subuid|subgid)-|/etc/\.pwd\.lock")


@dataclass
class Site:
    """A device in the machine, and the broker that it talks to."""

    machine: Machine
    broker: Mosquitto
    heard: Listener

    def install(self, *words: str, house: str = VERSION) -> dict[str, object]:
        """What the installer said in JSON, whatever its exit code."""
        line = f"/opt/houses/{house}/install --json {' '.join(words)} 2>/tmp/said; true"
        said: dict[str, object] = json.loads(self.machine(line, timeout_s=INSTALL_S))
        return said

    def runs(self) -> str:
        return self.machine("readlink /opt/vedette/current").removeprefix("releases/")

    def house(self) -> str:
        """The wheelhouse of the release that runs."""
        return self.runs().rpartition("-")[0]

    def await_telemetry(self) -> Telemetry:
        """A record that was made from now on, in which frames came."""
        since = len(self.telemetry())
        until(lambda: any(self.frames(one) for one in self.telemetry()[since:]), 400)
        return self.telemetry()[-1]

    def telemetry(self) -> list[Telemetry]:
        place = topics.telemetry("home", DEVICE)
        return [parse(payload, Telemetry) for payload in self.heard.payloads(place)]

    @staticmethod
    def frames(record: Telemetry) -> int:
        return sum(window.frames for window in record.pipelines.values())

    def version(self) -> str:
        """Of the agent that spoke last."""
        return parse(self.heard.payloads(topics.state("home", DEVICE))[-1], State).agent

    def is_settled(self) -> bool:
        """Also while the machine is booting: then it is not."""
        try:
            return self.machine(f"test -e {MARKER} || echo yes", timeout_s=30) == "yes"
        except (AssertionError, subprocess.TimeoutExpired):
            return False


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    vm = program()
    assert vm is not None
    machine = Machine(vm, "install")
    machine.host("build", timeout_s=1800)
    keep = os.environ.get("VEDETTE_VM_KEEP")
    if not (keep and machine.is_on()):
        machine.host("fresh")
        machine.host("up", "--net", "--mem", "1024")
        machine(f"mkdir -p /opt/houses; {FILES} >/opt/houses/before")
    if machine("ls /opt/houses | wc -l") == "1":
        box = tmp_path_factory.mktemp("houses")
        good = house(box / VERSION)
        for one in (good, other(good, box / GOOD, GOOD), other(good, box / BAD, BAD, BROKEN)):
            machine.put(one, f"/opt/houses/{one.name}")
    try:
        with (
            Mosquitto(tmp_path_factory.mktemp("broker")) as broker,
            Listener(broker.port, "#") as heard,
        ):
            yield _with_broker(Site(machine, broker, heard))
    finally:
        if not keep:
            machine.host("fresh")


def _with_broker(site: Site) -> Site:
    """A machine that was kept knows the broker of another run."""
    url = f"mqtt://{HOST}:{site.broker.port}"
    place = "/etc/vedette/vedette.toml"
    if site.machine(f"test -e {place} && echo there || true") == "there":
        site.machine(f"sed -i 's,^url = .*,url = \"{url}\",' {place}")
        site.machine(f"systemctl try-restart --no-block {AGENT}")
    return site


def test_one_command_and_it_works(site: Site) -> None:
    url = f"mqtt://{HOST}:{site.broker.port}"
    said = site.install("--camera", f"'{CAMERA}'", "--model", "digits", "--broker", url)
    assert said["done"] is True, said
    assert said["missing"] == [] and said["pipelines"] == ["camera"]
    # it is true what it says: that it started is a record, too
    assert site.heard.payloads(topics.event("home", DEVICE))
    for unit in (AGENT, RUNTIME):
        assert site.machine.shows(unit, "ActiveState") == "active"
        assert site.machine.shows(unit, "NRestarts") == "0"
    site.await_telemetry()


def test_a_second_run_changes_nothing(site: Site) -> None:
    pids = [site.machine.shows(unit, "MainPID") for unit in (AGENT, RUNTIME)]
    files = site.machine(FILES)
    said = site.install()
    assert said["done"] is True, said
    assert [site.machine.shows(unit, "MainPID") for unit in (AGENT, RUNTIME)] == pids
    assert site.machine(FILES) == files


@pytest.mark.parametrize("unit", [AGENT, RUNTIME])
def test_hardened_as_it_runs(site: Site, unit: str) -> None:
    said = site.machine(f"systemd-analyze security --no-pager {unit} | tail -1")
    found = re.search(r"exposure level for \S+: ([\d.]+)", said)
    assert found and float(found[1]) <= 2.0, said


@pytest.mark.parametrize("unit", [RUNTIME, AGENT])
def test_stops_within_5_s(site: Site, unit: str) -> None:
    """On a processor that is ten times slower than a Raspberry Pi's."""
    timing = f"s=$(date +%s%N); systemctl stop {unit}; e=$(date +%s%N); echo $(((e-s)/1000000))"
    took_ms = int(site.machine(timing))
    assert site.machine.shows(unit, "Result") == "success"
    site.machine(f"systemctl start --no-block {unit}")
    assert took_ms < 5000


def test_comes_up_by_itself_after_a_power_cut(site: Site) -> None:
    site.machine.power_cut()
    site.await_telemetry()


def test_an_upgrade_that_works_stays(site: Site) -> None:
    spool = site.machine("stat -c %i /var/lib/vedette/spool.db")
    said = site.install("--upgrade", house=GOOD)
    assert said["done"] is True, said
    assert site.runs() == f"{GOOD}-1"
    site.await_telemetry()
    assert site.version() == GOOD
    assert site.machine("stat -c %i /var/lib/vedette/spool.db") == spool


def test_one_that_does_not_come_up_goes_back(site: Site) -> None:
    said = site.install("--upgrade", house=BAD)
    assert said["done"] is False
    assert "vedette-agent" in str(said["went_back"])
    assert site.runs() == f"{GOOD}-1"
    assert site.machine("ls /opt/vedette/releases").split() == [f"{VERSION}-1", f"{GOOD}-1"]
    site.await_telemetry()
    assert site.version() == GOOD


@pytest.mark.parametrize("after_s", [0, 30])
def test_power_cut_in_the_middle_of_an_upgrade(site: Site, after_s: int) -> None:
    """after_s: since the new release was begun to be tried."""
    old = site.runs()
    new = VERSION if old.startswith(GOOD) else GOOD
    line = f"/opt/houses/{new}/install --upgrade"
    site.machine(f"systemd-run -q --unit=upgrade-{after_s} {line}")
    until(lambda: not site.is_settled(), INSTALL_S)
    time.sleep(after_s)
    site.machine.power_cut()
    until(site.is_settled, 600)
    assert site.runs().startswith(new)
    site.await_telemetry()
    assert site.version() == new
    assert len(site.machine("ls /opt/vedette/releases").split()) == 2
    assert site.machine("systemctl is-system-running --wait || true") == "running"


def test_power_cut_while_a_release_is_made(site: Site) -> None:
    """What was not finished is litter, and the next run removes it."""
    old = site.runs()
    new = VERSION if old.startswith(GOOD) else GOOD
    site.machine(f"systemd-run -q --unit=making /opt/houses/{new}/install --upgrade")
    until(lambda: len(site.machine("ls /opt/vedette/releases").split()) == 3)
    time.sleep(5)
    site.machine.power_cut()
    assert site.runs() == old
    site.await_telemetry()
    said = site.install(house=site.house())
    assert said["done"] is True, said
    assert len(site.machine("ls /opt/vedette/releases").split()) == 2


def test_the_hardware_resets_a_kernel_that_hangs(site: Site) -> None:
    said = site.install("--watchdog", house=site.house())
    assert said["done"] is True, said
    assert site.machine("systemctl show -P RuntimeWatchdogUSec") == "14s"
    boot = site.machine("cat /proc/sys/kernel/random/boot_id")
    site.machine(
        "sysctl -q kernel.panic=0; (sleep 2; echo c >/proc/sysrq-trigger) >/dev/null 2>&1 &"
    )

    def is_new() -> bool:
        try:
            return site.machine("cat /proc/sys/kernel/random/boot_id", timeout_s=60) != boot
        except (AssertionError, subprocess.TimeoutExpired):
            return False

    until(is_new, BOOT_S)
    site.await_telemetry()


def test_uninstall_and_purge_leave_nothing(site: Site) -> None:
    said = site.install("--uninstall", house=VERSION)
    assert said["done"] is True, said
    assert said["kept"] == ["/etc/vedette", "/var/lib/vedette", "/var/cache/vedette"]
    assert site.machine("systemctl list-units --all --no-legend 'vedette-*' | wc -l") == "0"
    said = site.install("--uninstall", "--purge", house=VERSION)
    assert said == {"done": True, "kept": []}
    assert left(site) == []
    assert site.machine("getent passwd vedette; getent group vedette; true") == ""


def test_the_package_leaves_nothing_either(site: Site, tmp_path: Path) -> None:
    """Of a Vedette that starts within no time: what dpkg makes of the scripts is what is tried."""
    small = wheelhouse(tmp_path / "house", "3.0.0")
    deb = tmp_path / "vedette.deb"
    build = [str(ROOT / "scripts" / "build-deb"), str(deb), "--wheelhouse", str(small)]
    subprocess.run(build, check=True, timeout=120)
    site.machine.put(deb, "/opt/houses/vedette.deb")
    site.machine("dpkg -i /opt/houses/vedette.deb", timeout_s=INSTALL_S)
    assert site.runs() == "3.0.0-1"
    assert site.machine("vedette --version") == "vedette 3.0.0"
    site.machine("mkdir /var/lib/vedette; dpkg -r vedette")
    assert site.machine("ls -d /opt/vedette /etc/vedette /var/lib/vedette 2>/dev/null; true") == (
        "/etc/vedette\n/var/lib/vedette"
    )
    site.machine("dpkg --purge vedette")
    assert left(site) == []


def left(site: Site) -> list[str]:
    """What is there and was not before anything was installed."""
    now = {name for name in site.machine(FILES).splitlines() if not TRACES.fullmatch(name)}
    return sorted(now.difference(site.machine("cat /opt/houses/before").splitlines()))
