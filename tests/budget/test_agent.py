"""What the agent costs a device that runs at 30 fps and reports every 10 s."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from models.store import Store
from tests.brokers import Listener, Mosquitto
from tests.budget.bill import at_most
from tests.device import ColdDevice, until
from tests.small_fleet import SmallFleet, rule
from wire.config import Broker
from wire.link import Link, Post
from wire.mqtt.mqtt import MqttLink

pytestmark = [pytest.mark.budget, pytest.mark.timeout(400)]

MEASURED_S = 20  # two reports
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far, its own and the kernel's for it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def test_memory_and_cpu(tmp_path: Path) -> None:
    """At most 50 MiB and 1 % of one core, beside a runtime that publishes results."""
    with (
        Mosquitto(tmp_path) as broker,
        Listener(broker.port, "vedette/#") as listener,
        ColdDevice(tmp_path / "d", broker.port, camera="synthetic://640x480@30") as device,
    ):
        pid = device.start("agent").pid
        device.start("lane")
        until(lambda: any("/telemetry" in each.topic for each in listener.heard))

        def share() -> float:
            before = cpu_s(pid)
            time.sleep(MEASURED_S)
            return (cpu_s(pid) - before) / MEASURED_S

        at_most(0.01, share)
        assert rss_mib(pid) <= 50


def test_memory_with_updates(tmp_path: Path) -> None:
    """At most 50 MiB also where signed metadata is believed and a model of 5 MB was fetched."""
    with Mosquitto(tmp_path) as broker:

        def link(client_id: str, post: Post) -> Link:
            return MqttLink(Broker(f"mqtt://127.0.0.1:{broker.port}"), client_id, post)

        with SmallFleet(tmp_path / "fleet", link) as fleet:
            fleet.release("2", os.urandom(5_000_000))
            fleet.deploy(rule("2"))
            updates = f'[updates]\nroot = "{fleet.root}"\nspread_s = 0\n'
            with ColdDevice(tmp_path / "d", broker.port, tables=updates) as device:
                pid = device.start("agent").pid
                device.start("lane")
                store = Store(tmp_path / "d" / "state" / "models")
                until(store.installed)
                assert rss_mib(pid) <= 50
