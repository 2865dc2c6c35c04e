"""What the doctor reads of systemd, the kernel's files and boards that are not this machine."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from agent.boards import open_board
from agent.checking.board import look_at_clock, look_at_power
from agent.checking.spool import look_at_spool
from agent.checking.validity import validity_of
from agent.keeping import IN_MEMORY, Keeping
from agent.recorder import Recorder
from runtime.cameras import KINDS
from runtime.cameras.v4l2_choice import Offer, Span
from runtime.cameras.v4l2_list import Listed
from runtime.cameras.video_decoder import ffmpeg
from runtime.commands.cameras import lines
from runtime.doctor import cameras, services, systemd
from runtime.doctor.holders import holders
from runtime.doctor.machine import look_at_machine, look_at_memory, look_at_watchdog
from runtime.doctor.network import look_at_network
from runtime.doctor.systemd import Unit
from tests import csi_cameras, twin_picamera2
from tests.certificates import Authority
from tests.rig import FixedBoard
from tests.trees.unpack import unpack
from wire import mends
from wire.config import Broker, Config, Pipeline, TelemetryTable
from wire.finding import Finding, in_words
from wire.health import Health

AGENT = "vedette-agent.service"
LANE = "vedette-runtime@lane.service"
# as systemd 252 says it
SHOWN = f"""\
NRestarts=0
MainPID=812
StatusText=connected to mqtt://10.0.2.2:18830; 1 pipeline; 0 records wait
Result=success
Id={AGENT}
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled

NRestarts=7
MainPID=0
Result=exit-code
Id={LANE}
LoadState=loaded
ActiveState=activating
SubState=auto-restart
UnitFileState=enabled
"""
LAST = "vedette: there is no camera at /dev/video0: plug it in, or see `vedette cameras`"


def answers(command: Sequence[str]) -> str:
    if command[0] == "systemctl":
        return SHOWN
    return f"{LAST}\n" if command[-1].endswith(LANE) else ""


def test_units_are_read_as_systemd_shows_them() -> None:
    agent, lane, gone = systemd.units_of([AGENT, LANE, "vedette-runtime@gone.service"], answers)
    assert services.judged(agent).level == "ok"
    assert services.judged(agent).says.startswith("it runs: connected to mqtt://10.0.2.2:18830")
    told = services.judged(lane)
    assert told.level == "bad"
    assert told.says == f"it ends again and again (exit-code, 7 times); its last words: {LAST}"
    assert told.mend == f"journalctl -u {LANE} -n 50"
    assert services.judged(gone).says == "it is not installed"


@pytest.mark.parametrize(
    ("unit", "level", "says", "mend"),
    [
        (Unit(AGENT), "bad", "it is not installed", "sudo scripts/install"),
        (
            Unit(AGENT, "loaded", "disabled", "inactive", "dead", "success"), "bad",
            "it does not run, and is not enabled (inactive)",
            f"sudo systemctl enable --now {AGENT}",
        ),
        (
            Unit(AGENT, "loaded", "disabled", "active", "running"), "warning",
            "it runs, and will not after a reboot: it is not enabled",
            f"sudo systemctl enable {AGENT}",
        ),
        (
            Unit(AGENT, "loaded", "enabled", "failed", "failed", "oom-kill", last="x"), "bad",
            "it does not run (failed: oom-kill); its last words: x",
            f"sudo systemctl restart {AGENT}",
        ),
        (
            Unit(AGENT, "masked", "masked", "inactive", "dead"), "bad",
            "somebody masked it: it never starts",
            f"sudo systemctl unmask {AGENT} && sudo systemctl enable --now {AGENT}",
        ),
        (
            Unit(AGENT, "loaded", "enabled", "active", "running", restarts=9, last="x"), "warning",
            "it runs, and was started again 9 times; its last words: x",
            f"journalctl -u {AGENT} -n 50",
        ),
    ],
    ids=["missing", "stopped", "not enabled", "failed", "masked", "restless"],
)  # fmt: skip
def test_a_service(
    unit: Unit, level: str, says: str, mend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))  # no units came with this release
    told = services.judged(unit)
    assert (told.level, told.says, told.mend) == (level, says, mend)


def test_a_service_that_is_missing_is_installed_from_its_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    unit = tmp_path / "share/vedette/systemd" / AGENT
    unit.parent.mkdir(parents=True)
    unit.touch()
    mend = services.judged(Unit(AGENT)).mend or ""
    assert mend.startswith(f"sudo install -Dm644 -t /etc/systemd/system {unit} && ")
    assert mend.endswith(f" && sudo systemctl enable --now {AGENT}")


def test_a_service_of_no_pipeline() -> None:
    (told,) = services.strangers([AGENT, LANE], [LANE, "vedette-runtime@old.service"])
    assert told.mend == "sudo systemctl disable --now vedette-runtime@old.service"


@pytest.mark.parametrize(
    ("words", "us"),
    [("0", 0), ("14s", 14_000_000), ("1min 30s", 90_000_000), ("infinity", 0), ("", None)],
)
def test_how_long_systemd_may_be_silent(words: str, us: int | None) -> None:
    assert systemd.watchdog_us(lambda _: f"{words}\n") == us


def test_a_watchdog_that_nobody_uses(tmp_path: Path) -> None:
    assert [one.level for one in look_at_watchdog(0, tmp_path)] == ["ok"]
    folder = tmp_path / "sys/class/watchdog/watchdog0"
    folder.mkdir(parents=True)
    (folder / "identity").write_text("Broadcom BCM2835 Watchdog timer\n")
    (unused,) = look_at_watchdog(0, tmp_path)
    assert unused.level == "warning" and unused.says.startswith("Broadcom BCM2835 Watchdog timer")
    assert unused.mend is not None and "RuntimeWatchdogSec=14s" in unused.mend
    (used,) = look_at_watchdog(14_000_000, tmp_path)
    assert (used.level, used.mend) == ("ok", None)


def write(root: Path, path: str, content: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(content)


@pytest.mark.parametrize("is_pi", [True, False], ids=["Raspberry Pi OS", "a PC"])
def test_memory_that_is_not_accounted_for(tmp_path: Path, is_pi: bool) -> None:
    write(tmp_path, "proc/meminfo", "MemTotal: 3884000 kB\nMemAvailable: 3000000 kB\n")
    write(tmp_path, "sys/fs/cgroup/cgroup.controllers", "cpuset cpu io pids\n")
    write(tmp_path, "boot/firmware/cmdline.txt" if is_pi else "etc/default/grub", "")
    _, told = look_at_memory(tmp_path)
    assert told.level == "warning" and "cgroups" in told.says
    assert told.mend is not None and "cgroup_enable=memory cgroup_memory=1" in told.mend
    assert ("/boot/firmware/cmdline.txt" in told.mend) == is_pi
    write(tmp_path, "sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n")
    assert [one.level for one in look_at_memory(tmp_path)] == ["ok", "ok"]


def test_memory_that_is_used_up(tmp_path: Path) -> None:
    write(tmp_path, "proc/meminfo", "MemTotal: 900000 kB\nMemAvailable: 9000 kB\nSwapTotal: 0 kB\n")
    told = next(look_at_memory(tmp_path))
    assert told.level == "bad" and told.mend is not None and told.mend.startswith("ps aux")


def the_cmdline_works(mend: str, line: Path) -> None:
    command = mend.partition(" && ")[0].removeprefix("sudo ")
    subprocess.run(command.replace("/boot/firmware/cmdline.txt", str(line)), shell=True, check=True)  # noqa: S602


def test_the_command_for_the_boot_line_does_it(tmp_path: Path) -> None:
    write(tmp_path, "boot/firmware/cmdline.txt", "console=tty1 root=PARTUUID=x rootwait\n")
    write(tmp_path, "proc/meminfo", "MemTotal: 3884000 kB\nMemAvailable: 3000000 kB\n")
    write(tmp_path, "sys/fs/cgroup/cgroup.controllers", "cpu\n")
    _, told = look_at_memory(tmp_path)
    line = tmp_path / "boot/firmware/cmdline.txt"
    the_cmdline_works(str(told.mend), line)
    assert line.read_text() == (
        "console=tty1 root=PARTUUID=x rootwait cgroup_enable=memory cgroup_memory=1\n"
    )


@pytest.mark.parametrize("board", ["raspberry-pi-4-throttled", "raspberry-pi-5-throttled"])
def test_a_board_with_too_little_voltage(tmp_path: Path, board: str) -> None:
    health = open_board(tmp_path, unpack(board, tmp_path / "root")).read()
    told = next(look_at_power(health))
    assert told.about in ("voltage", "heat") and told.level in ("bad", "warning")
    assert told.mend is not None and told.mend.startswith("vcgencmd ")
    assert "Raspberry Pi" in next(look_at_machine(tmp_path / "root")).says


def test_a_board_that_is_well(tmp_path: Path) -> None:
    health = open_board(tmp_path, unpack("raspberry-pi-4", tmp_path / "root")).read()
    assert [one.level for one in look_at_power(health)] == ["ok"]


def test_a_clock_that_follows_nobody() -> None:
    (told,) = look_at_clock(Health(clock_synchronised=False))
    assert told.level == "warning"
    assert told.mend is not None and told.mend.endswith("sudo timedatectl set-ntp true")
    assert [one.level for one in look_at_clock(Health(clock_synchronised=True))] == ["ok"]


def raw(node: Path) -> Listed:
    node.touch()
    offer = Offer("pBAA", Span(640, 640), Span(480, 480))
    return Listed(str(node), "rp1-cfe", "rp1-cfe", "platform:csi", (), (offer,), "no format")


def test_a_camera_on_the_ribbon_cable(tmp_path: Path) -> None:
    write(tmp_path, "sys/class/video4linux/v4l-subdev2/name", "imx708_wide 10-001a\n")
    (told,) = cameras.judged(raw(tmp_path / "video0"), None, "bad", tmp_path)
    assert told.says.startswith("imx708_wide is on the ribbon cable (CSI)")
    assert "    raw values of a sensor: on a Raspberry Pi or a Jetson, try csi://0" in lines(
        raw(tmp_path / "video0")
    )
    assert told.level == "bad"
    assert "picamera2 is missing" in told.says
    assert str(told.mend).startswith("sudo apt-get install -y python3-picamera2")
    write(tmp_path, "proc/device-tree/compatible", "nvidia,p3767-0005\0nvidia,tegra234\0")
    says, mend = cameras.csi(tmp_path)
    assert (says, mend) == (
        "imx708_wide is on the ribbon cable (CSI): name it csi://0 in the pipeline",
        None,
    )


def test_a_pipeline_on_the_ribbon_cable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose camera is in use by its own service is well."""
    monkeypatch.setitem(KINDS, "csi", csi_cameras.__name__)
    config = Config(broker=Broker("mqtt://x"), pipeline={"door": Pipeline("csi://0", "digits")})
    for bench, level in (
        (twin_picamera2.Bench(), "ok"),
        (twin_picamera2.Bench(busy=True), "ok"),
        (twin_picamera2.Bench(cameras=[]), "bad"),
    ):
        monkeypatch.setattr(twin_picamera2, "BENCH", bench)
        found = list(cameras.look_at_cameras(config, tmp_path))
        (told,) = [one for one in found if one.about == "pipeline door"]
        assert told.level == level, told.says


@pytest.mark.parametrize(
    ("uri", "level", "told"),
    [
        ("rtsp://h/x", "bad", "rtsp:// needs PyAV"),
        ("http://h/x", "ok", "http:// works; rtsp:// needs PyAV"),
        (None, "ok", "no pipeline here needs it"),
    ],
)
def test_cameras_on_the_network_without_pyav(
    uri: str | None, level: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = look_at_network([] if uri is None else [uri])
    assert there.level == "ok" and "decodes H.264 and H.265" in there.says
    ffmpeg.cache_clear()
    monkeypatch.setitem(sys.modules, "av", None)
    found = look_at_network([] if uri is None else [uri])
    assert found.level == level and told in found.says
    assert (found.mend or "").endswith("-m pip install 'av>=17'") == (level == "bad")


def test_no_camera_and_what_the_bus_says(tmp_path: Path) -> None:
    write(tmp_path, "proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0")
    assert cameras.why_nothing(tmp_path)[1] == "rpicam-hello --list-cameras"
    write(tmp_path, "sys/bus/usb/devices/1-1:1.0/bInterfaceClass", "0e\n")
    says, mend = cameras.why_nothing(tmp_path)
    assert (says.startswith("a USB camera is plugged in"), mend) == (True, "sudo modprobe uvcvideo")


@pytest.fixture
def held(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A file that another process has open, in place of a camera."""
    file = tmp_path / "video"
    file.touch()
    words = [sys.executable, "-c", f"f = open({str(file)!r}); print(1, flush=True); input()"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline()
        yield file, process.pid
        process.kill()


def test_who_has_a_device_open(held: tuple[Path, int]) -> None:
    file, pid = held
    (who,) = holders(str(file))
    assert (who.pid, who.pipeline) == (pid, None)
    assert who.name.startswith("python")
    with open(file):
        assert [one.pid for one in holders(str(file))] == [pid], "not ourselves"


def test_a_runtime_of_ours_is_known_by_its_words(tmp_path: Path) -> None:
    file = tmp_path / "video"
    file.touch()
    hold = f"f = open({str(file)!r}); print(1, flush=True); input()"
    words = [sys.executable, "-c", hold, "/opt/vedette/bin/vedette", "runtime", "door", "--x"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline()
        (who,) = holders(str(file))
        process.kill()
    assert who.pipeline == "door"


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.up_s = 1000.0

    def uptime_s(self) -> float:
        return self.up_s

    def wall_s(self) -> float:
        return 0.0


@pytest.mark.parametrize("by", ["broker", "registry"])
def test_a_spool_that_grows(tmp_path: Path, by: str) -> None:
    table = TelemetryTable(acknowledged_by="registry" if by == "registry" else "broker")
    clock = Hand()
    (nothing,) = look_at_spool(tmp_path, table, tmp_path / "run")
    assert nothing.level == "ok"
    keeping = Keeping(tmp_path, table, clock)
    for _ in range(40):
        clock.up_s += 60
        keeping.append([("telemetry", os.urandom(2000))], {})
    during = list(look_at_spool(tmp_path, table, tmp_path / "run"))
    assert len(during) == 1, "an agent that runs keeps nobody from looking"
    keeping.close()
    (told,) = look_at_spool(tmp_path, table, tmp_path / "run")
    assert told.level == "warning"
    assert (
        told.says
        == f"40 records wait, the oldest for 0.7 h: it grows, because the {by} acknowledges none"
    )
    assert told.where == ("operator" if by == "registry" else "here")


def test_a_spool_that_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "spool.db").write_bytes(b"no database" * 1000)
    (told,) = look_at_spool(tmp_path, TelemetryTable(), tmp_path / "run")
    assert told.level == "warning" and "cannot be read now" in told.says
    with sqlite3.connect(tmp_path / "other.db") as db:
        db.execute("CREATE TABLE x (y)")
    db.close()
    (tmp_path / "other.db").replace(tmp_path / "spool.db")
    (told,) = look_at_spool(tmp_path, TelemetryTable(), tmp_path / "run")
    assert told.level == "warning"


def test_records_that_wait_in_memory_are_not_none(tmp_path: Path) -> None:
    """On a full disk; the agent's own words are in the run folder, which is memory."""
    run, table, clock = tmp_path / "run", TelemetryTable(), Hand()
    run.mkdir()
    keeping = Keeping(tmp_path, table, clock)
    keeping.append([("telemetry", b"{}")], {})
    recorder = Recorder(keeping, FixedBoard(), clock, "boot", run, lambda: None)
    fault = f"no space left on the disk; {IN_MEMORY}"
    for wrong, level in ((fault, "warning"), (None, "ok")):
        clock.up_s += 60
        recorder.faults.tell("spool", None, wrong)
        recorder.say(recorder.faults.due(clock.up_s))
        (told,) = look_at_spool(tmp_path, table, run)
        assert told.level == level
        assert (fault in told.says) == (wrong is not None)
    keeping.close()


def test_how_long_a_certificate_is_valid(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    for days in (1, 30, 3650, 365 * 60):
        made = authority.issue("door", ends=timedelta(days=days))
        right = x509.load_pem_x509_certificate(made.certificate.read_bytes())
        found = validity_of(str(made.certificate))
        assert found is not None
        assert found.starts_s == right.not_valid_before_utc.timestamp()
        assert found.ends_s == right.not_valid_after_utc.timestamp()
    content = made.certificate.read_text()
    for cut in range(0, len(content), 37):
        made.certificate.write_text(content[:cut] + "-----END CERTIFICATE-----\n")
        validity_of(str(made.certificate))
    assert validity_of(str(tmp_path / "nothing")) is None


def test_what_a_person_reads_is_safe_to_print() -> None:
    bad = Finding("services", "bad", "x", "its last words: \x1b[2J\nboo", "true", "operator")
    section, line, mend, end = in_words([bad])
    assert (section, end) == ("services", "")
    assert "\x1b" not in line and "\n" not in line
    assert mend.strip() == "on the operator's machine: $ true"


def test_a_broker_of_this_machine_that_is_not_installed(tmp_path: Path) -> None:
    assert mends.listen(tmp_path) == "sudo apt-get install -y mosquitto"
    (tmp_path / "usr/sbin").mkdir(parents=True)
    (tmp_path / "usr/sbin/mosquitto").touch()
    assert mends.listen(tmp_path) == "sudo systemctl enable --now mosquitto"
