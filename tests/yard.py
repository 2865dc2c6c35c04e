"""A whole fleet of real processes: mosquitto, `vedette fleet depot`, devices, and an operator."""

from __future__ import annotations

import atexit
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from models import bundle
from tests import warm
from tests.brokers import Heard, Listener, Mosquitto
from tests.device import Device
from wire import topics
from wire.messages import Event, State, Update, parse
from wire.troubles import Refused

ROOT = Path(__file__).parent.parent
DIGITS = ROOT / "models" / "zoo" / "digits"
FLEET, PASSPHRASE = "yard", "a passphrase of tests"
ELSEWHERE = "mqtt://127.0.0.1:1"
EVERYTHING = f"vedette/{FLEET}/device/#"
UPDATES = """\
[updates]
root = "{root}"
spread_s = 0
"""


@dataclass(frozen=True)
class Done:
    """What a command left with, and what it said."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> dict[str, object]:
        """Of --json."""
        answer: dict[str, object] = json.loads(self.out)
        return answer


class Yard:
    """Broker, keys and depot; devices and pushes by method. Everything is ended at the end."""

    founded_with: tuple[str, ...] = ()  # options of `vedette fleet init`

    def __init__(self, folder: Path, **broker: object) -> None:
        self.folder = folder
        self.fleet = folder / "fleet"
        self.broker = Mosquitto(**broker)  # type: ignore[arg-type]
        self.listener: Listener
        self._depot: warm.Process | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Yard:
        self._stack.enter_context(self.broker)
        try:
            self.listener = self._stack.enter_context(Listener(self.broker.port, EVERYTHING))
            found(self.fleet, self.broker.url(), self.founded_with)
            self.start_depot()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._depot is not None:
            self.kill_depot()
        self._stack.close()

    def start_depot(self, *words: str) -> None:
        command = ["fleet", "depot", "--dir", str(self.fleet), *words]
        with open(self.folder / "depot.log", "ab") as log:
            self._depot = warm.Process(command, stdout=log, stderr=log)

    def kill_depot(self) -> None:
        assert self._depot is not None
        self._depot.send_signal(signal.SIGKILL)
        self._depot.wait()
        self._depot = None

    @property
    def depot_log(self) -> str:
        return (self.folder / "depot.log").read_text()

    def device(
        self, name: str = "door", pipeline: str = "", tables: str = "", port: int | None = None
    ) -> Device:
        """One that waits for its first model. Its runtime is `lane`."""
        updates = UPDATES.format(root=self.fleet / "root.json") + tables
        device = Device(
            self.folder / name, port or self.broker.port, name, pipeline=pipeline, tables=updates
        )
        text = device.config.read_text().replace('model = "digits"\n', "")
        device.config.write_text(text)
        return self._stack.enter_context(device)

    def run(self, *words: str, passphrase: str = PASSPHRASE) -> Done:
        """A command of the operator, whose fleet folder is this one."""
        ours = {"VEDETTE_PASSPHRASE": passphrase, "VEDETTE_FLEET_DIR": str(self.fleet)}
        done = warm.run(words, env=os.environ | ours)
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def push(self, *bundles: Path, trial_s: float = 3, more: tuple[str, ...] = ()) -> Done:
        """Push to pipeline lane, with a short trial."""
        words = ["fleet", "push", *map(str, bundles), "--pipeline", "lane", "--json"]
        return self.run(*words, "--trial", f"{trial_s:g}", "--timeout", "60", *more)

    def updates(self, device: str = "door") -> list[Update]:
        """Which phases a device went through, in order, each once."""
        told: dict[tuple[str, int], Update] = {}
        spools: list[str] = []
        for one in self.listener.heard:
            if one.topic == topics.event(FLEET, device):
                event = parse(one.payload, Event)
                if event.update is not None:
                    told.setdefault((event.spool, event.seq), event.update)
                    spools += [event.spool] if event.spool not in spools else []
        # what could not be sent at once comes later than what is newer
        return [told[key] for key in sorted(told, key=lambda key: (spools.index(key[0]), key[1]))]

    def phases(self, version: str, device: str = "door") -> list[str]:
        return [one.phase for one in self.updates(device) if one.version == version]

    def reason(self, version: str, device: str = "door") -> str:
        """What was said last of why."""
        reasons = [one.reason for one in self.updates(device) if one.version == version]
        return str(reasons[-1] or "")

    def state(self, device: str = "door") -> State | None:
        said = self.listener.payloads(topics.state(FLEET, device))
        try:
            return parse(said[-1], State) if said else None
        except Refused:
            return None

    def runs(self, version: str | None, device: str = "door") -> bool:
        """Whether the device says that its pipeline runs this version."""
        state = self.state(device)
        return state is not None and (state.pipelines["lane"].version or None) == version

    def until(self, holds: Callable[[], object], patience_s: float = 60.0) -> None:
        end_s = time.monotonic() + patience_s
        while not holds():
            told = [(one.version, one.phase, one.reason) for one in self.updates()]
            assert time.monotonic() < end_s, f"it never came to that: {told}\n{self.depot_log}"
            time.sleep(0.05)

    def until_ended(self, version: str, phase: str, device: str = "door") -> None:
        self.until(lambda: self.phases(version, device)[-1:] == [phase])

    def heard(self) -> list[Heard]:
        return self.listener.heard


@functools.cache
def founded(options: tuple[str, ...]) -> Path:
    """A fleet's folder as `vedette fleet init` makes it, once in this process."""
    place = Path(tempfile.mkdtemp(prefix="vedette-yard-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    words = ("--dir", str(place / "fleet"), "--name", FLEET, "--broker", ELSEWHERE)
    subprocess.run(
        [sys.executable, "-m", "vedette", "fleet", "init", *words, *options],
        cwd=ROOT, check=True, capture_output=True, timeout=110, stdin=subprocess.DEVNULL,
        env=os.environ | {"VEDETTE_PASSPHRASE": PASSPHRASE},
    )  # fmt: skip
    return place / "fleet"


def found(fleet: Path, broker: str, options: tuple[str, ...]) -> None:
    """A fleet with this broker, and the keys that all fleets of this process have."""
    shutil.copytree(founded(options), fleet)
    toml = fleet / "fleet.toml"
    text = toml.read_text()
    assert text.count(ELSEWHERE) == 1
    toml.write_text(text.replace(ELSEWHERE, broker))


def digits_folder(folder: Path, version: str, variant: str = "tflite") -> Path:
    """The zoo's digits as a model folder of that version, with bytes of its own."""
    made = folder / f"digits-{version}-{variant}"
    shutil.copytree(DIGITS / variant, made)
    rewrite(made, 'version = "1"', f'version = "{version}"')
    return made


def digits(folder: Path, version: str, variant: str = "tflite") -> Path:
    """The same as a bundle, packed as `fleet pack` does in the end."""
    made = digits_folder(folder, version, variant)
    packed = folder / f"{made.name}.zip"
    bundle.pack(made, packed)
    return packed


def lying(folder: Path, version: str) -> Path:
    """A bundle whose golden answers are those of another model."""
    made = digits_folder(folder, version)
    answer = made / "golden-1.json"
    answer.write_text(re.sub(r'"index": \d', '"index": 7', answer.read_text()))
    packed = folder / f"lying-{version}.zip"
    bundle.pack(made, packed)
    return packed


def heavy(folder: Path, version: str, size: int) -> Path:
    """A bundle of at least so many bytes: the engine does not look at what follows the model."""
    made = digits_folder(folder, version)
    with open(made / "digits.tflite", "ab") as file:
        file.write(os.urandom(size))
    packed = folder / f"heavy-{version}.zip"
    bundle.pack(made, packed)
    return packed


def rewrite(folder: Path, old: str, new: str) -> None:
    """Change the manifest of a model folder."""
    path = folder / "manifest.toml"
    text = path.read_text()
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new))
