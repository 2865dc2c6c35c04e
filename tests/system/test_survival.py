"""A device under real systemd, installed and enrolled by TLS, and all that may befall it.

Runs where VEDETTE_VM names the program that makes virtual machines (see tests/system/machine.py).
Broker, depot and operator are on this side. The tests are one story in order: each finds the
services running, and leaves them so. VEDETTE_TEST_SEED names the moments of the power cuts,
VEDETTE_TEST_ROUNDS=2 makes them twice as many.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from models import bundle
from tests.rounds import rounds
from tests.system.houses import house
from tests.system.machine import Machine, program
from tests.system.sites import (
    AGENT,
    CAMERA,
    ENDS,
    RUNTIME,
    OperatorsSide,
    active_s,
    frames_of,
    install,
    print_costs,
    wait,
)
from tests.yard import digits_folder
from wire.messages import Event, Telemetry
from wire.version import VERSION

pytestmark = [
    pytest.mark.skipif(program() is None, reason="no virtual machines here: name VEDETTE_VM"),
    pytest.mark.slow,
    pytest.mark.timeout(2400),
]

DEVICE = "door"
SEED = os.environ.get("VEDETTE_TEST_SEED") or str(random.randrange(10**6))
ROUNDS = rounds(10)
PATIENCE_S = 400.0  # the processor is emulated, and others may use it
TRIAL_S = 6.0
SIZE = 1_000_000
SPAN_S = 30.0  # of an update, where it was not measured
CUT_S = 180
STATE = "/var/lib/vedette"
CONFIG = "/etc/vedette/vedette.toml"
DRIVER = "/sys/bus/platform/drivers/vivid"
MODULES = "vivid videobuf2_memops videobuf2_v4l2 videodev"  # the upper ones first
# written for the product's own defaults; so that the story is shorter
QUICKER = {
    "# period_s = 60 .*": "period_s = 10",
    "# keepalive_s = 30": "keepalive_s = 10",
    "# kib_per_s = 500 .*": "kib_per_s = 200",
    "# spread_s = 2 .*": "spread_s = 0",
}
LITTER = (
    f"find {STATE} /var/cache/vedette -name '*.part' -o -name '*.have' -o -name '.coming' "
    "-o -name '.going' -o -name '.*.new' -o -name '*.tmp' -o -name '*.db-journal'"
)
KEPT = {
    "accepted.toml",
    "lost+found",  # on a disk of its own
    "models",
    "commands.json",
    "settings.json",
    "spool.db",
    "spool.db-wal",
    "updates",
}
FSTAB = f"""\
/dev/vda / ext4 ro 0 1
/dev/vdb {STATE} ext4 nosuid,nodev 0 2
tmpfs /tmp tmpfs nosuid,nodev 0 0
tmpfs /var/cache tmpfs nosuid,nodev 0 0
tmpfs /var/log tmpfs nosuid,nodev 0 0
tmpfs /var/tmp tmpfs nosuid,nodev 0 0
tmpfs /var/lib/systemd tmpfs nosuid,nodev 0 0
"""


@dataclass
class Site:
    """The device, and the operator's side. span_s: of an update that nothing disturbs."""

    machine: Machine
    side: OperatorsSide
    box: Path
    span_s: float = SPAN_S
    digests: set[str] = field(default_factory=set)

    def wait(self, holds: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
        wait(holds, patience_s, self.told)

    def told(self) -> list[str]:
        return [f"{one.kind} {one.subject}: {one.text}" for one in self.side.ear.events[-12:]]

    def newest(self) -> Telemetry:
        return self.side.ear.records[-1]

    def await_frames(self, fits: Callable[[Telemetry], bool] = lambda _: True) -> Telemetry:
        """The first record from now on in which frames came."""
        since = len(self.side.ear.records)
        found: list[Telemetry] = []

        def comes() -> bool:
            new = self.side.ear.records[since:]
            found.extend(one for one in new if frames_of(one) and fits(one))
            return bool(found)

        self.wait(comes)
        return found[0]

    def await_event(self, since: int, fits: Callable[[Event], bool]) -> Event:
        """since: how many events there were before."""

        def those() -> list[Event]:
            return [one for one in self.side.ear.events[since:] if fits(one)]

        self.wait(those)
        return those()[0]

    def push(self, version: str) -> None:
        """A new one, with bytes of its own. How fast it is shall not matter here: this machine is
        shared, and a trial is short."""
        made = digits_folder(self.box, version)
        manifest, model = made / "manifest.toml", made / "digits.tflite"
        manifest.write_text(manifest.read_text() + "\n[floors]\nfps_share = 0.1\n")
        with open(model, "ab") as file:
            file.write(os.urandom(SIZE))
        self.digests.add(hashlib.sha256(model.read_bytes()).hexdigest())
        packed = self.box / f"{version}.zip"
        bundle.pack(made, packed)
        self.side.push(packed, TRIAL_S)

    def await_end(self, version: str) -> str:
        phases = self.side.ear.phases
        self.wait(lambda: set(ENDS) & set(phases(version)))
        return phases(version)[-1]

    def runs(self) -> str | None:
        """The version that serves."""
        state = self.side.ear.state
        lane = None if state is None else state.pipelines["camera"]
        return lane.version if lane is not None and lane.phase == "serving" else None

    def next_version(self) -> str:
        made = [int(path.name.split("-")[1]) for path in self.box.glob("digits-*-tflite")]
        return str(max(made, default=0) + 1)

    def assert_nothing_missing(self) -> None:
        """Of each spool every number has come, or comes as what waited is sent."""
        self.wait(lambda: not self.side.ear.missing())
        assert all(one.lost == 0 for one in self.side.ear.records)

    def assert_no_litter(self) -> None:
        """Also of what is swept a moment after its end."""
        self.wait(lambda: self.machine(LITTER) == "", 90)
        assert set(self.machine(f"ls -A {STATE}").split()) <= KEPT
        assert self.machine("ls /opt/vedette/releases") == f"{VERSION}-1"
        assert self.machine("ls /opt/vedette/upgrade.json 2>/dev/null || true") == ""

    def assert_whole(self) -> None:
        """Each model in the store is one that was pushed, to its last byte."""
        said = self.machine(f"find {STATE}/models -name digits.tflite | xargs sha256sum")
        found = {line.split()[0] for line in said.splitlines()}
        assert found and found <= self.digests


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    vm = program()
    assert vm is not None
    machine, keep = Machine(vm, "survival"), os.environ.get("VEDETTE_VM_KEEP")
    machine.host("build", timeout_s=1800)
    kept = Path(tempfile.gettempdir()) / "vedette-survival"  # of the machine that is kept
    box = kept if keep else tmp_path_factory.mktemp("survival")
    if not (keep and machine.is_on()):
        shutil.rmtree(kept, ignore_errors=True)
        machine.host("fresh")
        machine.host("up", "--net", "--mem", "1024")
    print(f"VEDETTE_TEST_SEED={SEED}")
    try:
        with OperatorsSide(box / "yard", DEVICE) as side:
            (box / "bundles").mkdir(exist_ok=True)
            models = (box / "bundles").glob("digits-*/digits.tflite")
            digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in models}
            yield Site(machine, side, box / "bundles", digests=digests)
    finally:
        if not keep:
            machine.host("fresh")


def test_one_command_installs_and_enrolls_it(site: Site) -> None:
    machine = site.machine
    machine("mkdir -p /opt/houses")
    machine.put(house(site.box.parent / VERSION), f"/opt/houses/{VERSION}")
    machine.put(site.side.enroll(), "/opt/houses/door.vedette")
    began_s = time.monotonic()
    said = install(
        machine, VERSION, "--enroll", "/opt/houses/door.vedette", "--camera", f"'{CAMERA}'"
    )
    print(f"installed after {time.monotonic() - began_s:.0f} s")
    assert said["done"] is True, said
    assert (said["device"], said["pipelines"]) == (DEVICE, ["camera"])
    assert site.side.ear.events, "telemetry is here, as it says"
    line = "".join(f"-e 's,^{old}$,{new},' " for old, new in QUICKER.items())
    machine(f"rm /opt/houses/door.vedette; sed -i {line} {CONFIG}; systemctl reload {AGENT}")
    for new in QUICKER.values():
        assert new in machine(f"cat {CONFIG}")


def test_the_first_model_comes_over_tls_and_becomes_good(site: Site) -> None:
    new = site.next_version()
    site.push(new)
    assert site.await_end(new) == "good", site.told()
    lane = site.await_frames().pipelines["camera"]
    assert (lane.version, lane.camera, lane.absent) == (new, CAMERA, None)
    phases = site.side.ear.phases(new)
    assert phases == ["fetching", "staged", "checking", "trial", "good"]
    site.assert_no_litter()


def test_the_next_takes_its_place_while_frames_flow(site: Site) -> None:
    pid, since = site.machine.shows(RUNTIME, "MainPID"), len(site.side.ear.records)
    new = site.next_version()
    site.push(new)
    began_s = time.monotonic()
    assert site.await_end(new) == "good", site.told()
    site.span_s = time.monotonic() - began_s
    print(f"an update took {site.span_s:.0f} s")
    assert site.machine.shows(RUNTIME, "MainPID") == pid
    assert all(frames_of(one) for one in site.side.ear.records[since:])


@pytest.mark.parametrize("number", range(ROUNDS))
def test_power_cut_at_any_moment_of_an_update(site: Site, number: int) -> None:
    """Every fourth update is cut twice."""
    chance = random.Random(f"{SEED} {number}")
    old, new = site.runs(), site.next_version()
    assert old is not None
    cuts = 2 if number % 4 == 3 else 1
    site.push(new)
    if number % 2:
        # the moments are spread: one in each part of an update
        time.sleep((number * 7 % ROUNDS + chance.random()) / ROUNDS * site.span_s)
    else:  # by the clock alone some phases would hardly be met: which one is short depends on load
        phase = chance.choice(("fetching", "checking", "trial", "trial"))
        site.wait(lambda: set(site.side.ear.phases(new)) & {phase, *ENDS})
        time.sleep(chance.uniform(0, TRIAL_S))
    for cut in range(cuts):
        time.sleep(cut * chance.uniform(0, site.span_s / 2))
        cut_while(site, f"round {number}, cut {cut + 1}", old, new)
    end = site.await_end(new)
    print(f"round {number}: {new} is {end} at last: {site.side.ear.updates(new)[-1].reason}")
    if cuts == 1:
        assert end == "good"
    else:
        assert end in ("good", "rolled_back")
        assert end == "good" or "went down" in str(site.side.ear.updates(new)[-1].reason)
    site.wait(lambda: site.runs() == (new if end == "good" else old))
    site.assert_whole()
    site.assert_no_litter()
    site.assert_nothing_missing()


def cut_while(site: Site, which: str, old: str, new: str) -> None:
    """Power off and on. What runs is whole, telemetry goes on, and the gap is explained."""
    last, phases = site.newest(), site.side.ear.phases(new)
    since = len(site.side.ear.events)
    site.machine.host("cut")
    began_s = time.monotonic()
    site.machine.host("up", "--keep", "--no-wait")
    first = site.await_frames(lambda one: one.boot != last.boot)
    waited_s = time.monotonic() - began_s
    site.wait(lambda: is_up(site.machine))
    assert first.pipelines["camera"].version in (old, new)
    told = site.await_event(since, lambda one: one.boot == first.boot and one.subject == "agent")
    assert "went down without a shutdown" in told.text
    of_before = [one.time for one in site.side.ear.records if one.boot == last.boot]
    gap_s = (first.time - first.window_s) - max(of_before)
    assert gap_s > -1  # no second is told twice
    print(
        f"{which}: in {phases[-1] if phases else 'no phase yet'}; first result "
        f"{active_s(site.machine, RUNTIME):.1f} s, first record with frames "
        f"{first.uptime_s:.0f} s after the kernel's start, {waited_s:.0f} s after power on; "
        f"nobody counted for {gap_s:.0f} s"
    )


def is_up(machine: Machine) -> bool:
    try:
        return bool(machine("echo yes", timeout_s=30))
    except (AssertionError, subprocess.TimeoutExpired):
        return False


def test_a_killed_runtime_is_back_and_telemetry_says_so(site: Site) -> None:
    before = int(site.machine.shows(RUNTIME, "NRestarts"))
    told = site.newest().pipelines["camera"].restarts
    site.machine(f"kill -9 {site.machine.shows(RUNTIME, 'MainPID')}")
    site.wait(lambda: int(site.machine.shows(RUNTIME, "NRestarts")) == before + 1)
    site.await_frames(lambda one: one.pipelines["camera"].restarts == told + 1)
    site.assert_nothing_missing()


def test_a_killed_agent_is_back_and_says_so(site: Site) -> None:
    before = int(site.machine.shows(AGENT, "NRestarts"))
    since = len(site.side.ear.events)
    site.machine(f"kill -9 {site.machine.shows(AGENT, 'MainPID')}")
    site.wait(lambda: int(site.machine.shows(AGENT, "NRestarts")) == before + 1)
    told = site.await_event(since, lambda one: one.subject == "agent")
    assert "the one before did not end in order" in told.text
    site.await_frames()
    site.assert_nothing_missing()


def test_a_camera_whose_driver_goes_and_comes(site: Site) -> None:
    pid, since = site.machine.shows(RUNTIME, "MainPID"), len(site.side.ear.events)
    site.machine(f"echo vivid.0 >{DRIVER}/unbind")
    try:
        fault = site.await_event(since, lambda e: (e.kind, e.subject) == ("fault", "camera"))
        print(f"fault: {fault.text}")
        site.machine(f"for module in {MODULES}; do modprobe -r $module 2>&1 || true; done")
        assert "video4linux" not in site.machine("cat /proc/devices")
        site.machine("sleep 40")  # longer than the watchdog's patience
    finally:
        site.machine("modprobe vivid")
    site.await_event(since, lambda e: (e.kind, e.subject) == ("recovered", "camera"))
    site.await_frames()
    assert site.machine.shows(RUNTIME, "MainPID") == pid


def test_a_full_disk_stops_no_frame(site: Site) -> None:
    since = len(site.side.ear.events)
    try:
        fill(site.machine, "one")
        # both start on it, too; and what the restart has freed is filled again
        site.machine(f"systemctl restart {AGENT} {RUNTIME}", timeout_s=PATIENCE_S)
        fill(site.machine, "two")
        fault = site.await_event(since, lambda e: (e.kind, e.subject) == ("fault", "spool"))
        print(f"fault: {fault.text}")
        for _ in range(4):
            site.await_frames()
    finally:
        site.machine("rm -f /var/filler-*")
    site.await_event(since, lambda e: (e.kind, e.subject) == ("recovered", "spool"))
    site.await_frames()
    site.assert_nothing_missing()


def fill(machine: Machine, name: str) -> None:
    """Leave no room on the disk of the state folder for who is not root."""
    room = f"$(df --output=avail -B1 {STATE} | tail -1)"
    machine(f"room={room}; [ $room -eq 0 ] || fallocate -l $room /var/filler-{name}")
    assert machine(f"df --output=avail {STATE} | tail -1").strip() == "0"


def test_minutes_without_a_network_lose_nothing(site: Site) -> None:
    link = site.machine("ip -o route show default | sed 's/.* dev \\([^ ]*\\).*/\\1/'")
    since, last = len(site.side.ear.events), site.newest()
    line = f"sleep 2; ip link set {link} down; sleep {CUT_S}; ip link set {link} up"
    site.machine(f"systemd-run -q --unit=cable-{last.seq} sh -c '{line}'")
    time.sleep(CUT_S)
    told = site.await_event(since, lambda one: one.subject == "broker")
    print(told.text)
    site.wait(lambda: is_up(site.machine))
    site.assert_nothing_missing()
    of_then = [
        one for one in site.side.ear.records
        if one.boot == last.boot and told.uptime_s - CUT_S < one.uptime_s < told.uptime_s
    ]  # fmt: skip
    assert sum(one.window_s for one in of_then) > CUT_S - 25
    assert all(frames_of(one) for one in of_then)
    site.await_frames()


def test_what_it_costs(site: Site) -> None:
    """Prints it."""
    boot = site.newest().boot
    site.machine.reboot()
    site.await_frames(lambda one: one.boot != boot)
    print(site.machine("systemd-analyze time || true"))
    time.sleep(60)
    print_costs(site.machine)


def test_a_root_that_is_read_only(site: Site) -> None:
    """State on a disk of its own, all else that is written in memory."""
    machine = site.machine
    disk = site.box.parent / "state.img"
    with open(disk, "wb") as file:
        file.truncate(512 << 20)
    machine.host("down")
    machine.host("up", "--keep", "--qemu", f"-drive file={disk},if=virtio,format=raw")
    machine(
        f"systemctl stop {AGENT} {RUNTIME}; mkfs.ext4 -q /dev/vdb; mount /dev/vdb /mnt; "
        f"cp -a {STATE}/. /mnt/; chown --reference={STATE} /mnt; chmod 750 /mnt; umount /mnt"
    )
    machine.write("/etc/fstab", FSTAB)
    boot = site.newest().boot
    machine.reboot()
    site.await_frames(lambda one: one.boot != boot)
    assert "read-only" in machine("touch /opt/x /etc/x /usr/x 2>&1 || true").lower()
    new = site.next_version()
    site.push(new)
    assert site.await_end(new) == "good", site.told()
    site.wait(lambda: site.runs() == new)
    boot = site.newest().boot
    machine.power_cut()
    site.await_frames(lambda one: one.boot != boot)
    assert site.runs() == new
    print("failed units:", machine("systemctl --failed --no-legend --plain || true") or "none")
    for unit in (AGENT, RUNTIME):
        assert machine.shows(unit, "ActiveState") == "active"
        assert machine.shows(unit, "NRestarts") == "0"
    site.assert_nothing_missing()
