"""What tests of an installed device share: its installer, and the fleet on this side, with TLS."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from msgspec.structs import replace

from fleet.folder import open_fleet
from tests import warm
from tests.brokers import HOST as LOOPBACK
from tests.brokers import free_port
from tests.enrolled import EnrolledBroker, told
from tests.system.machine import HOST, Machine
from wire import topics
from wire.config import Broker
from wire.link import Connected, LinkEvent, Received
from wire.messages import Event, State, Telemetry, Update, parse
from wire.mqtt.mqtt import MqttLink

AGENT, RUNTIME = "vedette-agent", "vedette-runtime@camera"
CAMERA = "v4l2:///dev/video0?size=320x180&fps=5&format=YUYV"
INSTALL_S = 1800.0  # pip on an emulated processor
FLEET, PASSPHRASE = "yard", "a passphrase of tests"
ENDS = ("good", "rejected", "rolled_back")


def install(machine: Machine, house: str, *words: str) -> dict[str, object]:
    """What the installer of /opt/houses/HOUSE said in JSON, whatever its exit code."""
    line = f"/opt/houses/{house}/install --json {' '.join(words)} 2>/tmp/said; true"
    said: dict[str, object] = json.loads(machine(line, timeout_s=INSTALL_S))
    return said


def frames_of(record: Telemetry) -> int:
    return sum(window.frames for window in record.pipelines.values())


def active_s(machine: Machine, unit: str) -> float:
    """Seconds from the kernel's start to when a unit was ready: a runtime's first result."""
    return int(machine.shows(unit, "ActiveEnterTimestampMonotonic")) / 1e6


def print_costs(machine: Machine) -> None:
    """What docs/performance.md has of both services."""
    for unit in (AGENT, RUNTIME):
        group = shlex.quote("/sys/fs/cgroup" + machine.shows(unit, "ControlGroup"))
        memory = f"/proc/{machine.shows(unit, 'MainPID')}/smaps_rollup"
        pss = machine(f"awk '/^Pss:/{{print $2}}' {memory}")
        usage = f"systemctl show -P CPUUsageNSec {unit}"
        took = machine(f"a=$({usage}); sleep 60; b=$({usage}); echo $(((b-a)/1000000))")
        now, peak = (int(machine(f"cat {group}/memory.{key}")) for key in ("current", "peak"))
        print(
            f"{unit}: ready {active_s(machine, unit):.1f} s after the kernel's start; "
            f"{now >> 20} MiB in its group, {peak >> 20} at most, PSS {int(pss) >> 10} MiB; "
            f"{int(took) / 600:.1f} % of a core"
        )
        assert "oom_kill 0" in machine(f"cat {group}/memory.events")


class Ear:
    """Hears what one device says, by the product's own link, and keeps all of it."""

    def __init__(self, broker: Broker, device: str) -> None:
        self._lock = threading.Lock()
        self._there = threading.Event()
        self._records: list[Telemetry] = []
        self._events: list[Event] = []
        self._states: list[State] = []
        self._device = device
        self._link = MqttLink(broker, "hears", self._post)
        for kind in ("telemetry", "event", "state"):
            self._link.subscribe(topics.from_devices(FLEET, kind, device))

    def open(self) -> None:
        self._link.open()
        assert self._there.wait(60), "the broker does not let us in"

    def close(self) -> None:
        self._link.close()

    @property
    def records(self) -> list[Telemetry]:
        """As they came."""
        with self._lock:
            return list(self._records)

    @property
    def events(self) -> list[Event]:
        """As they came, each once: what waited for a while comes after what is newer."""
        each: dict[tuple[str, int], Event] = {}
        with self._lock:
            for one in self._events:
                each.setdefault((one.spool, one.seq), one)
        return list(each.values())

    @property
    def state(self) -> State | None:
        with self._lock:
            return self._states[-1] if self._states else None

    def updates(self, version: str) -> list[Update]:
        """In the order in which they were told of."""
        events = self.events
        boots = list(dict.fromkeys(one.boot for one in events))
        events.sort(key=lambda one: (boots.index(one.boot), one.uptime_s))
        found = (one.update for one in events if one.update is not None)
        return [update for update in found if update.version == version]

    def phases(self, version: str) -> list[str]:
        """Which the device went through with a version, in order."""
        return list(dict.fromkeys(update.phase for update in self.updates(version)))

    def missing(self) -> dict[str, list[int]]:
        """Of each spool the numbers that never came, up to its newest. Of the first one from where
        we began to hear it."""
        with self._lock:
            told = [(one.spool, one.seq) for one in self._records]
            told += [(one.spool, one.seq) for one in self._events]
        found: dict[str, set[int]] = {}
        for spool, seq in told:
            found.setdefault(spool, set()).add(seq)
        first = dict.fromkeys(found, 1)
        if told:
            first[told[0][0]] = min(found[told[0][0]])
        lacks = {s: sorted(set(range(first[s], max(seqs))) - seqs) for s, seqs in found.items()}
        return {spool: seqs for spool, seqs in lacks.items() if seqs}

    def _post(self, event: LinkEvent) -> None:
        if isinstance(event, Connected):
            self._there.set()
        if not isinstance(event, Received):
            return
        with self._lock:
            if event.topic == topics.telemetry(FLEET, self._device):
                self._records.append(parse(event.payload, Telemetry))
            elif event.topic == topics.event(FLEET, self._device):
                self._events.append(parse(event.payload, Event))
            elif event.topic == topics.state(FLEET, self._device):
                self._states.append(parse(event.payload, State))


class OperatorsSide:
    """Keys, a mosquitto with the files that `fleet broker` wrote, and a depot: all real processes.

    Devices in a machine find the broker at its name for this one's loopback. folder: one of before
    goes on.
    """

    def __init__(self, folder: Path, device: str) -> None:
        self.folder = folder
        self.device = device
        self.path = folder / "fleet"
        self.ear: Ear
        self._phrase = folder / "phrase"
        self._stack = ExitStack()

    def __enter__(self) -> OperatorsSide:
        if not self.path.exists():
            self._found()
        self.port = int(open_fleet(self.path).broker.url.rpartition(":")[2])
        shutil.rmtree(self.folder / "place", ignore_errors=True)
        self.broker = EnrolledBroker(self.folder / "place", self.path)
        self.broker.port = self.port
        self.broker._configure()
        self._stack.enter_context(self.broker)
        try:
            self.ear = Ear(replace(open_fleet(self.path).broker, url=self.here), self.device)
            self.ear.open()
            self._stack.callback(self.ear.close)
            self._start_depot()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def here(self) -> str:
        """The broker, as commands on this side find it."""
        return f"mqtts://{LOOPBACK}:{self.port}"

    def enroll(self) -> Path:
        """NAME.vedette of the device."""
        file = self.folder / f"{self.device}.vedette"
        if not file.exists():
            told("fleet", "enroll", self.device, "--dir", str(self.path), "--out", str(file))
        return file

    def push(self, bundle: Path, trial_s: float) -> None:
        """Returns when the depot has it and has rung the bell."""
        done = warm.run(
            ["fleet", "push", bundle, "--pipeline", "camera", "--trial", f"{trial_s:g}",
             "--no-wait", "--dir", self.path, "--broker", self.here,
             "--passphrase-file", self._phrase],
            env=dict(os.environ),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def _found(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._phrase.write_text(PASSPHRASE)
        where = ("--dir", str(self.path))
        url = f"mqtts://{HOST}:{free_port()}"
        phrase = ("--passphrase-file", str(self._phrase))
        told("fleet", "init", *where, "--name", FLEET, "--broker", url, *phrase)
        place = ("--place", str(self.folder / "place"), "--bind", LOOPBACK)
        told("fleet", "broker", *where, *place, "--host", HOST, "--host", LOOPBACK)

    def _start_depot(self) -> None:
        words = ["fleet", "depot", "--dir", self.path, "--broker", self.here]
        with open(self.folder / "depot.log", "ab") as log:
            depot = warm.Process(words, stdout=log, stderr=log)
        self._stack.callback(depot.wait)
        self._stack.callback(depot.kill)


def wait(holds: Callable[[], object], patience_s: float, what: Callable[[], object]) -> None:
    """Until it is true. what: is shown if it never is."""
    end_s = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < end_s, f"it never came to that: {what()}"
        time.sleep(0.2)
