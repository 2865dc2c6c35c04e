"""From an empty folder to a device that reports: init, broker, enroll here and there, agent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.brokers import HOST, free_port
from tests.enrolled import Client, EnrolledBroker, told, vedette
from tests.laws.sources import ROOT
from wire import topics
from wire.messages import Telemetry, parse

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def test_a_device_joins_a_new_fleet(tmp_path: Path) -> None:
    path, port = tmp_path / "fleet", free_port()
    (tmp_path / "phrase").write_text("correct horse")
    done = vedette(
        "fleet", "init", "--dir", str(path), "--name", "yard", "--broker",
        f"mqtts://{HOST}:{port}", "--passphrase-file", str(tmp_path / "phrase"),
    )  # fmt: skip
    assert done.returncode == 0 and "next: vedette fleet broker" in done.stdout
    place = tmp_path / "place"
    made = told(
        "fleet", "broker", "--dir", str(path), "--place", str(place), "--bind", HOST
    )  # fmt: skip
    assert made["made"] and made["encrypted"]
    again = told("fleet", "broker", "--dir", str(path))
    assert (again["made"], again["changed"]) == ([], [])
    file, etc = tmp_path / "door.vedette", tmp_path / "etc"
    told("fleet", "enroll", "door", "--dir", str(path), "--out", str(file), "--group", "a")
    with EnrolledBroker(place, path) as broker:
        broker.port = port
        joined = told(
            "enroll", str(file), "--etc", str(etc), "--camera", "synthetic://160x120@10",
            "--model", "digits",
        )  # fmt: skip
        assert joined["device"] == "door" and joined["pipelines"] == ["camera"]
        config = etc / "vedette.toml"
        config.write_text(config.read_text().replace("# period_s = 60 ", "period_s = 10 "))
        assert told("enroll", str(file), "--etc", str(etc))["changed"] is False
        assert vedette("check-config", str(etc / "vedette.toml")).returncode == 0
        serve(path, tmp_path)
        hear(path, etc, tmp_path)


def hear(path: Path, etc: Path, folder: Path) -> None:
    """Its telemetry arrives, and is of the device."""
    from fleet.folder import open_fleet

    topic = topics.telemetry("yard", "door")
    (folder / "run").mkdir()
    with (
        Client(open_fleet(path).broker, "hears", topic) as server,
        open(folder / "log", "w") as log,
    ):
        agent = subprocess.Popen(
            [sys.executable, "-m", "vedette", "agent", "--config", str(etc / "vedette.toml"),
             "--state", str(folder / "state"), "--run", str(folder / "run")],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            event = server.until(lambda event: getattr(event, "topic", None) == topic)
            assert parse(event.payload, Telemetry).seq >= 0  # type: ignore[union-attr]
        finally:
            agent.terminate()
            assert agent.wait(30) == 0, (folder / "log").read_text()


def serve(path: Path, folder: Path) -> None:
    """`vedette fleet serve` comes to the broker with the identity that fleet.toml names now."""
    with open(folder / "serve.log", "w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "vedette", "fleet", "serve", "--dir", str(path),
             "--listen", f"{HOST}:0"],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            from fleet.folder import open_fleet

            bell = topics.bell("yard")
            with Client(open_fleet(path).broker, "hears-bell", bell) as hears:
                hears.until(lambda event: getattr(event, "topic", None) == bell)
        finally:
            os.kill(server.pid, signal.SIGTERM)
            code = server.wait(60)
            assert code in (0, -signal.SIGTERM), (folder / "serve.log").read_text()
