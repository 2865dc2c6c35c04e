"""The files for systemd that the installer adds: the end of an upgrade, limits, the watchdog."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest
from installing.places import Places

from tests.laws.sources import ROOT

UNITS = ROOT / "systemd"
PLACES = Places(Path("/"))


def table(name: str, section: str) -> dict[str, str]:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(UNITS / name)
    return dict(parser[section])


def test_settling_starts_at_boot_and_only_with_a_marker() -> None:
    unit = table("vedette-settle.service", "Unit")
    assert unit["ConditionPathExists"] == str(PLACES.marker)
    assert table("vedette-settle.service", "Install") == {"WantedBy": "multi-user.target"}


def test_settling_is_done_by_the_installer_of_the_release() -> None:
    program, option = table("vedette-settle.service", "Service")["ExecStart"].split()
    (link,) = (link for link, target in PLACES.links if target == "current/installer")
    assert (program, option) == (f"{link}/install", "--settle")
    # it may wait for the new release, and then for the old one
    assert table("vedette-settle.service", "Service")["TimeoutStartSec"] == "1800s"


def test_settling_that_fails_is_tried_again_for_ever() -> None:
    """Not only at the next boot."""
    service, unit = (table("vedette-settle.service", name) for name in ("Service", "Unit"))
    assert (service["Restart"], service["RestartSec"]) == ("on-failure", "60s")
    assert unit["StartLimitIntervalSec"] == "0"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_has_nothing_to_say(tmp_path: Path) -> None:
    text = (UNITS / "vedette-settle.service").read_text()
    path = tmp_path / "vedette-settle.service"
    path.write_text(text.replace("/opt/vedette/installer/install", "/bin/true"))
    words = ["systemd-analyze", "verify", "--man=no", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("name", "memory"), [("vedette-agent.service", "256M"), ("vedette-runtime@.service", "80%")]
)
def test_no_service_can_take_the_machine(name: str, memory: str) -> None:
    service = table(name, "Service")
    assert service["MemoryMax"] == memory
    assert {"TasksMax", "CPUWeight"} <= set(service)


def test_frames_come_before_reports() -> None:
    agent, runtime = (table(f"vedette-{n}.service", "Service") for n in ("agent", "runtime@"))
    assert int(runtime["CPUWeight"]) > int(agent["CPUWeight"])


def test_the_watchdog_fits_the_timers_of_boards() -> None:
    """A Raspberry Pi's counts to 15 s."""
    seconds = table("watchdog.conf", "Manager")["RuntimeWatchdogSec"]
    assert 10 <= int(seconds.removesuffix("s")) < 15
