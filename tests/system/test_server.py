"""The fleet's server as a systemd service on a real machine: sign-in, sandbox, deaths, power cuts.

Runs where VEDETTE_VM names the program that makes virtual machines (see tests/system/machine.py).
Devices are on this side; who signs in does so in the machine, as the server is on its loopback.
The tests are one story in order: each finds the service running, and leaves it so.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec import Struct
from msgspec import json as msgspec_json

from tests.depot_folder import Yard, make_yard, write_fleet_toml
from tests.laws.sources import ROOT
from tests.system import machine as machines
from tests.system.machine import Machine, installed, program

pytestmark = [
    pytest.mark.skipif(program() is None, reason="no virtual machines here: name VEDETTE_VM"),
    pytest.mark.slow,
    pytest.mark.timeout(1500),
]

SERVE, DEPOT = "vedette-serve", "vedette-depot"
USER = "vedette-depot"
STATE = "/var/lib/vedette-depot"
VEDETTE = "/opt/vedette/bin/vedette"
PATIENCE_S = 500.0  # its processor is emulated, and others may use it
PORT = 18831  # of this machine's loopback: the broker in the machine
PASSWORD = "a long way to go"  # noqa: S105
PARTS = {"live view", "depot", "ingest", "models", "alerts", "metrics"}
ENDS_IN_S = 5.0
MOST_EXPOSED = 2.0
DEVICES = 5
# what every service has for itself: see PrivateTmp and PrivateDevices in systemd.exec(5)
OWN = ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue")  # noqa: S108 - of the service alone

# as docs/updates.md and docs/dashboard.md have it; fleet/ is the operator's folder
SETUP = f"""
set -e
systemctl stop {SERVE} {DEPOT}
rm -rf {STATE}
cd /opt
install -d -m700 -o vedette-depot -g vedette-depot {STATE}
cp -r fleet/fleet.toml fleet/depot {STATE}/
chown -R vedette-depot: {STATE} && chmod -R go= {STATE}
# what a filter refuses would show as an error at most; here it kills. But for one, by which
# OpenBLAS asks where its memory may be: it goes on where that is refused
for unit in {SERVE} {DEPOT}; do
  mkdir -p /etc/systemd/system/$unit.service.d
  printf '[Service]\\nSystemCallErrorNumber=kill\\nSystemCallFilter=mbind\\n' \\
    >/etc/systemd/system/$unit.service.d/test.conf
done
systemctl daemon-reload
# its installation left this out; the service may not write there
/opt/vedette/bin/python -c 'import fleet.serve.whole, uvicorn'
printf '{PASSWORD}\\n' >/opt/password
runuser -u {USER} -- {VEDETTE} fleet users add me --role operator --dir {STATE} \\
  --password-from /opt/password
"""

# run in the machine by its own Python: signs in by the form, and prints what it sees
VISIT = """
import http.cookiejar, json, sys, urllib.parse, urllib.request
home, name, password = sys.argv[1:]
jar = http.cookiejar.CookieJar()
cookies = urllib.request.HTTPCookieProcessor(jar)
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), cookies)
form = urllib.parse.urlencode({"name": name, "password": password}).encode()
asked = urllib.request.Request(home + "/sign-in", form, {"Origin": home})
page = opener.open(asked, timeout=60).read().decode()
told = {path: json.load(opener.open(f"{home}/api/v1/{path}", timeout=60))
        for path in ("devices", "parts")}
print(json.dumps({"csrf": 'name="csrf"' in page,
                  "devices": sorted(each["name"] for each in told["devices"]["devices"]),
                  "parts": {each["name"]: each["status"] for each in told["parts"]}}))
"""


class Visit(Struct, frozen=True):
    """What somebody who signed in saw. csrf: whether the page was one for who is signed in. parts:
    of the server, and how each is."""

    csrf: bool
    devices: list[str]
    parts: dict[str, str]


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Yard:
    return make_yard(tmp_path_factory.mktemp("yard"))


@pytest.fixture(scope="module")
def machine(yard: Yard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    box = tmp_path_factory.mktemp("box")
    with installed(box, "server", "--forward", f"{PORT}:1883", extras=("fleet",)) as machine:
        machine("rm -rf /opt/fleet")
        machine.put(write_fleet_toml(yard, 1883), "/opt/fleet")
        write_fleet_toml(yard, PORT)  # for those on this side
        machine.write("/opt/visit.py", VISIT)
        machine(SETUP, timeout_s=PATIENCE_S)
        machine(f"systemctl enable -q --now --no-block {SERVE}")
        await_up(machine)
        yield machine


def until(what: Callable[[], object]) -> None:
    machines.until(what, PATIENCE_S)


def await_up(machine: Machine) -> None:
    until(lambda: machine.shows(SERVE, "ActiveState") == "active")


def visit(machine: Machine, password: str = PASSWORD) -> Visit:
    words = shlex.join(["/opt/visit.py", "http://127.0.0.1:8080", "me", password])
    return msgspec_json.decode(machine(f"python3 {words}"), type=Visit)


def await_working(machine: Machine) -> Visit:
    """Sign in, until all parts work."""
    seen: list[Visit] = []

    def is_so() -> bool:
        seen.append(visit(machine))
        return set(seen[-1].parts.values()) == {"working"}

    until(is_so)
    return seen[-1]


def devices_speak(yard: Yard, prefix: str) -> dict[str, object]:
    """Devices on this side say what they have to until the registry has acknowledged all of it."""
    words = ["fleet", "simulate", "--dir", str(yard.place), "--devices", str(DEVICES)]
    words += ["--telemetry-s", "3", "--registry", "--seconds", "12", "--prefix", prefix, "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "vedette", *words], cwd=ROOT, capture_output=True, text=True,
        timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told: dict[str, object] = json.loads(done.stdout)
    return told


def names(prefix: str) -> list[str]:
    return [f"{prefix}-{number}" for number in range(1, DEVICES + 1)]


def test_it_is_up_and_what_devices_say_is_kept(machine: Machine, yard: Yard) -> None:
    assert machine.shows(SERVE, "NRestarts") == "0"
    assert set(await_working(machine).parts) == PARTS
    told = devices_speak(yard, "first")
    assert told["records"] and told["waiting"] == 0, told
    until(lambda: visit(machine).devices == names("first"))
    seen = await_working(machine)
    assert seen.csrf
    assert "heard" not in machine.shows(SERVE, "StatusText"), "it says how the fleet is"
    assert PASSWORD not in machine.journal(SERVE) and "sign in as" not in machine.journal(SERVE)


def test_who_has_another_password_stays_outside(machine: Machine) -> None:
    with pytest.raises(AssertionError, match="403"):
        visit(machine, "another one of these")


def test_the_sandbox_holds(machine: Machine) -> None:
    """Whatever the filter of calls refuses kills it here, and it has been through everything."""
    for unit in (SERVE, DEPOT):
        rating = re.search(r"level for \S+: ([\d.]+)", machine(f"systemd-analyze security {unit}"))
        assert rating is not None and float(rating[1]) <= MOST_EXPOSED
    pid = machine.shows(SERVE, "MainPID")
    found = set(writable(machine, pid))
    assert STATE in found
    strange = {each for each in found if not each.startswith((STATE, *OWN))}
    assert strange == set()
    assert machine(f"grep -h '^NoNewPrivs\\|^Seccomp:\\|^CapEff' /proc/{pid}/status").split() == [
        "CapEff:", "0" * 16, "NoNewPrivs:", "1", "Seccomp:", "2",
    ]  # fmt: skip
    assert machine(f"stat -c %U:%a {STATE}") == f"{USER}:700", "nobody else reads what is there"


def writable(machine: Machine, pid: str) -> list[str]:
    """All folders that a process in its place could write to."""
    look = "find / ( -path /proc -o -path /sys ) -prune -o -type d -writable -print"
    user = f"setpriv --reuid {USER} --regid {USER} --clear-groups"
    return machine(
        f"nsenter -t {pid} -m -- {user} {shlex.join(shlex.split(look))} 2>/dev/null || true",
        timeout_s=PATIENCE_S,
    ).split()


def test_killed_it_is_back(machine: Machine) -> None:
    machine(f"kill -9 {machine.shows(SERVE, 'MainPID')}")
    until(lambda: machine.shows(SERVE, "NRestarts") == "1")
    await_up(machine)
    assert await_working(machine).devices == names("first")


def test_it_ends_soon_and_gives_its_place_to_the_depot_and_back(machine: Machine) -> None:
    took = machine(f"date +%s.%N; systemctl stop {SERVE}; date +%s.%N").split()
    took_s = float(took[1]) - float(took[0])
    print(f"systemctl stop took {took_s:.1f} s")
    assert machine.shows(SERVE, "Result") == "success"
    assert took_s < ENDS_IN_S, machine.journal(SERVE)
    machine(f"systemctl start {DEPOT}", PATIENCE_S)
    assert machine.shows(DEPOT, "StatusText")
    machine(
        f"systemctl start {SERVE}", PATIENCE_S
    )  # the two serve one folder: systemd ends the other
    assert machine.shows(DEPOT, "ActiveState") == "inactive"
    assert machine.shows(DEPOT, "Result") == "success"
    await_working(machine)


@pytest.mark.parametrize("way", ["reboot", "power cut"])
def test_after_the_machine_was_off_everything_is_there(
    machine: Machine, yard: Yard, way: str
) -> None:
    boot = machine("cat /proc/sys/kernel/random/boot_id")
    if way == "reboot":
        machine.reboot()
        expected = names("first")
    else:
        assert devices_speak(yard, "second")["waiting"] == 0
        machine.power_cut()  # what was acknowledged a moment ago is on the disk
        expected = names("first") + names("second")
    assert machine("cat /proc/sys/kernel/random/boot_id") != boot
    await_up(machine)
    assert machine.shows(SERVE, "NRestarts") == "0"
    assert await_working(machine).devices == sorted(expected)


def test_the_file_that_systemd_reads_is_this_one(machine: Machine) -> None:
    for unit in (SERVE, DEPOT):
        ours = Path(ROOT / "systemd" / f"{unit}.service").read_text().strip()
        assert machine(f"cat /etc/systemd/system/{unit}.service") == ours
