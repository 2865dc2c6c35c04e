"""The machines of the demo, all on this one: a broker and a device; how processes are run."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FLEET, DEVICE, PIPELINE = "demo", "demo-cam", "digits"
CAMERA = "synthetic://640x480@30"
PATIENCE_S = 60.0
PASSPHRASE = "only for this demo"  # noqa: S105 - of keys that end with it

CONFIG = """\
fleet = "{fleet}"
device = "{device}"

[broker]
url = "mqtt://127.0.0.1:{port}"

[telemetry]
period_s = 10
acknowledged_by = "registry"     # a record stays here until the fleet's server has stored it

[commands]
snapshot = true

[updates]
root = "{root}"            # what the device trusts first; all else follows from it
spread_s = 0.2

[pipeline.{pipeline}]      # no model: it waits for the one that the fleet deploys
camera = "{camera}"
results = "every"
results_per_s = 30
"""


@dataclass(frozen=True)
class Place:
    """Where the demo keeps its files, and whom it talks to."""

    folder: Path
    port: int

    @property
    def fleet(self) -> Path:
        return self.folder / "fleet"

    @property
    def broker(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


def vedette(*words: str) -> list[str]:
    """A command of ours, by the interpreter that runs this."""
    return [sys.executable, "-m", "vedette", *words]


@contextlib.contextmanager
def running(name: str, command: list[str], place: Place) -> Iterator[subprocess.Popen[bytes]]:
    """A process with its log in the folder; it is asked to end at the end."""
    with open(place.log(name), "wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def broker(place: Place) -> Iterator[None]:
    """A broker that listens on loopback and keeps nothing: mosquitto, else one from PyPI."""
    with running("broker", _broker_command(place), place):
        end_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < end_s:
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", place.port), 1),
            ):
                break
            time.sleep(0.1)
        else:
            sys.exit("demo: the broker does not listen:\n" + place.log("broker").read_text())
        yield


@contextlib.contextmanager
def device(place: Place, preview: int) -> Iterator[None]:
    """Agent and runtime, as systemd would start them."""
    config = place.folder / "vedette.toml"
    config.write_text(
        CONFIG.format(
            fleet=FLEET, device=DEVICE, pipeline=PIPELINE, camera=CAMERA, port=place.port,
            root=place.fleet / "root.json",
        )
    )  # fmt: skip
    run = place.folder / "run"
    run.mkdir()
    places = ["--config", str(config), "--state", str(place.folder / "state"), "--run", str(run)]
    with contextlib.ExitStack() as stack:
        stack.enter_context(running("agent", vedette("agent", *places), place))
        runtime = vedette("runtime", PIPELINE, "--preview", str(preview), *places)
        stack.enter_context(running("runtime", runtime, place))
        yield


def free_port(wished: int) -> int:
    """The wished port of loopback, or any free one if somebody else has it."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", wished))
        except OSError:
            trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port


def _broker_command(place: Place) -> list[str]:
    found = subprocess.run(
        [ROOT / "scripts" / "setup", "mosquitto"], stdout=subprocess.PIPE, text=True
    ).stdout.strip()
    if found:
        settings = f"listener {place.port} 127.0.0.1\nallow_anonymous true\nuser root\n"
        (place.folder / "mosquitto.conf").write_text(settings)
        return [found, "-c", str(place.folder / "mosquitto.conf")]
    print("demo: no mosquitto here: installing amqtt, a broker in Python", file=sys.stderr)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "install"]
    subprocess.run(
        [*pip, "-c", str(ROOT / "constraints.txt"), "amqtt"], stdout=sys.stderr
    ).check_returncode()
    plugin = "amqtt.plugins.authentication.AnonymousAuthPlugin"
    settings_of_it = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{place.port}"}},
        "plugins": {plugin: {"allow_anonymous": True}},
    }
    (place.folder / "amqtt.yaml").write_text(json.dumps(settings_of_it))  # YAML understands JSON
    script = Path(sys.executable).parent / "amqtt"
    return [os.fspath(script), "-c", str(place.folder / "amqtt.yaml")]
