"""What the installer takes for frames and telemetry are the words of the real services."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from installing.meaning import Meaning
from installing.services import AGENT, Reading, runtime_unit
from installing.units import Pipeline
from installing.vitals import FRAMES, LINK, TELEMETRY, WAITS, look, working

from tests.brokers import Mosquitto
from tests.install.devices import Device
from tests.laws.sources import ROOT

CONFIG = """\
device = "gate"
[broker]
url = "{url}"
[updates]
{root}
[pipeline.lane]
camera = "synthetic://160x120@10"
{model}
"""
MEANING = Meaning("home", "gate", "mqtt://x", 60.0, (Pipeline("lane", "synthetic://"),), ())


def statuses(folder: Path, words: list[str], until: str, seconds: float = 60.0) -> list[str]:
    """What a service tells systemd of itself, until a line in which this is found."""
    place = folder / "notify"
    command = [sys.executable, "-m", "vedette", *words, f"--config={folder}/vedette.toml"]
    command += [f"--state={folder}/state", f"--run={folder}/run"]
    said: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(place))
        ear.settimeout(1.0)
        with (
            open(folder / "log", "wb") as log,
            subprocess.Popen(
                command,
                cwd=ROOT,
                stdout=log,
                stderr=log,
                env={**os.environ, "NOTIFY_SOCKET": str(place)},
            ) as process,
        ):
            end_s = time.monotonic() + seconds
            while not any(re.search(until, line) for line in said) and time.monotonic() < end_s:
                try:
                    lines = ear.recv(8192).decode().splitlines()
                except TimeoutError:
                    continue
                said += [line[7:] for line in lines if line.startswith("STATUS=")]
            process.terminate()
    place.unlink()
    return said


@pytest.mark.slow
def test_frames_of_a_runtime(tmp_path: Path) -> None:
    text = CONFIG.format(url="mqtt://127.0.0.1:9", root="", model='model = "digits"')
    (tmp_path / "vedette.toml").write_text(text)
    said = statuses(tmp_path, ["runtime", "lane"], "results/s")
    found = FRAMES.search(said[-1])
    assert found and float(found[1]) > 0, said
    assert not any(FRAMES.search(line) for line in said[:-1])


@pytest.mark.slow
def test_a_runtime_that_waits_for_a_model(tmp_path: Path) -> None:
    (tmp_path / "root.json").write_text("{}")
    root = f'root = "{tmp_path}/root.json"'
    (tmp_path / "vedette.toml").write_text(
        CONFIG.format(url="mqtt://127.0.0.1:9", root=root, model="")
    )
    said = statuses(tmp_path, ["runtime", "lane"], "no model:")
    assert WAITS in said


@pytest.mark.slow
def test_the_link_of_an_agent(tmp_path: Path) -> None:
    with Mosquitto() as broker:
        text = CONFIG.format(url=broker.url(), root="", model='model = "digits"')
        (tmp_path / "vedette.toml").write_text(text)
        said = statuses(tmp_path, ["agent"], "[1-9] acknowledged")  # long before a period is over
    found = LINK.match(said[-1])
    assert found and found[2] not in (None, "0"), said
    assert all(match[2] == "0" for match in map(LINK.match, said[:-1]) if match is not None)


class Saying(Device):
    """said: by unit. since_s: of all."""

    def __init__(self, since_s: float = 999.0, **said: str) -> None:
        self.since_s = since_s
        self.words = {AGENT: said["agent"], runtime_unit("lane"): said["lane"]}

    def reading(self, unit: str) -> Reading:
        return Reading(True, "1.0.0-1", self.words[unit], self.since_s, 7)


AGENT_SAYS = "connected to mqtt://x; 1 pipeline; 7 records wait, 3 acknowledged"
GOOD = {"agent": AGENT_SAYS, "lane": "digits: 5 results/s"}
BEFORE = {"agent": "connected to mqtt://x; 1 pipeline; 0 records wait", "lane": GOOD["lane"]}


@pytest.mark.parametrize(
    ("said", "since_s", "lacks"),
    [
        (GOOD, 999.0, set()),
        (GOOD | {"lane": WAITS}, 999.0, set()),
        (GOOD | {"lane": "digits: 0 results/s"}, 999.0, {"frames of lane"}),
        (GOOD | {"lane": "no camera, trying again: gone"}, 999.0, {"frames of lane"}),
        (
            GOOD | {"agent": "not connected: refused; 1 pipeline; 0 records wait"},
            999.0,
            {TELEMETRY},
        ),
        (GOOD, 1.0, set()),
        (GOOD | {"agent": AGENT_SAYS.replace("3 ack", "0 ack")}, 999.0, {TELEMETRY}),
        # a release that does not count them
        (BEFORE, 999.0, set()),
        (BEFORE | {"agent": BEFORE["agent"].replace("0 records", "3 records")}, 999.0, {TELEMETRY}),
        # no record was made yet: nothing waits, and nothing is proved
        (BEFORE, 60.0, {TELEMETRY}),
    ],
)
def test_what_counts_as_working(said: dict[str, str], since_s: float, lacks: set[str]) -> None:
    vitals = look(Saying(since_s, **said), MEANING, None)
    every = {"vedette-agent", "vedette-runtime@lane", "frames of lane", TELEMETRY}
    assert set(working(vitals)) == every - lacks
    assert all(vital.said and vital.mend for vital in vitals)


def test_a_process_of_another_release_is_not_up() -> None:
    vitals = look(Saying(**GOOD), MEANING, "1.1.0-1")  # type: ignore[arg-type]
    assert set(working(vitals)) == {"frames of lane", TELEMETRY}
