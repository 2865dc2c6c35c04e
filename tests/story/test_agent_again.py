"""The agent's process opens everything anew, and goes on whatever it finds."""

from __future__ import annotations

import shutil
import signal
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


@pytest.mark.slow
def test_a_run_folder_that_was_taken_away_comes_back(tmp_path: Path) -> None:
    with Device(tmp_path / "d", NOBODY) as device:
        device.start("agent")
        socket = agent_socket(device.folder / "run")
        until(socket.exists)
        shutil.rmtree(device.folder / "run")
        until(socket.exists, why="runtimes would never be heard again")
        assert device.stop("agent") == 0
