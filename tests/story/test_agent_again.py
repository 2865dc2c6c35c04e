"""The agent's process opens everything anew, and goes on whatever it finds."""

from __future__ import annotations

import shutil
import signal
import socket
from pathlib import Path

import pytest

from tests.device import Device, until
from wire.accepted import FILE_NAME
from wire.local import agent_socket

NOBODY = 9  # a port on which no broker listens
pytestmark = pytest.mark.timeout(120)


def test_a_refused_configuration_changes_nothing_where_no_copy_could_be_kept(
    tmp_path: Path,
) -> None:
    with Device(tmp_path / "d", NOBODY) as device:
        device.start("agent")
        copy = device.folder / "state" / FILE_NAME
        until(copy.exists, why="the agent did not start")
        copy.unlink()
        device.config.write_text("device = 7")
        device.signal("agent", signal.SIGHUP)
        until(lambda: "stays in force" in device.log("agent") or not device.runs("agent"))
        assert device.stop("agent") == 0
        assert not copy.exists()


@pytest.mark.parametrize(
    ("was", "is_now", "why"),
    [
        ('camera = "synthetic://160x120@30"', 'camera = "synthetic://bad"', "WIDTHxHEIGHT"),
        ('camera = "synthetic://160x120@30"', 'camera = "gopher://x"', "names no camera"),
        ('model = "digits"', 'model = "digits"\nengine = "foo"', "there is none of that name"),
    ],
)
def test_what_no_runtime_can_do_leaves_the_last_accepted_in_force(
    tmp_path: Path, was: str, is_now: str, why: str
) -> None:
    """In the agent, in the runtime, when it is read again and after a reboot."""
    with Device(tmp_path / "d", NOBODY) as device:
        device.start("agent")
        copy = device.folder / "state" / FILE_NAME
        until(copy.exists, why="the agent did not start")
        before = copy.read_bytes()
        device.config.write_text(device.config.read_text().replace(was, is_now))
        device.signal("agent", signal.SIGHUP)
        until(lambda: why in device.log("agent"))
        for name in ("agent", "lane"):
            if name == "agent":
                assert device.stop("agent") == 0
            device.start(name)
        until(lambda: device.log("agent").count("vedette: error: ") == 2)
        until(lambda: "digits 1 on synthetic://160x120@30" in device.log("lane"))
        assert "the last accepted one stays in force" in device.log("lane")
        assert copy.read_bytes() == before
        device.config.write_text(device.config.read_text().replace(is_now, was))
        device.signal("agent", signal.SIGHUP)
        until(lambda: device.log("agent").count("reading") == 2)
        assert device.stop("agent") == 0 and device.stop("lane") == 0


def test_a_large_spool_may_take_its_time_before_the_agent_is_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mending it may take longer than the unit's TimeoutStartSec: it would never end otherwise."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(40.0)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with Device(tmp_path / "d", NOBODY, telemetry="spool_mib = 1000") as device:
            device.start("agent")
            assert systemd.recv(4096) == b"EXTEND_TIMEOUT_USEC=1060000000\n"
            assert systemd.recv(4096).startswith(b"READY=1\n")
            assert device.stop("agent") == 0


@pytest.mark.slow
def test_a_run_folder_that_was_taken_away_comes_back(tmp_path: Path) -> None:
    with Device(tmp_path / "d", NOBODY) as device:
        device.start("agent")
        address = agent_socket(device.folder / "run")
        until(address.exists)
        shutil.rmtree(device.folder / "run")
        until(address.exists, why="runtimes would never be heard again")
        assert device.stop("agent") == 0
