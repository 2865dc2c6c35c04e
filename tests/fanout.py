"""Many simulated devices fetch one bundle from real depots through a real mosquitto, measured."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.yard import FLEET, ROOT, Yard, heavy
from wire import topics

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class FanOut:
    """What came of it. fetch_s: median, p99 and all, from the bell on. first_s: until all had it,
    from the word to deploy on. published: bytes of blocks by the depot, of metadata too; bundle:
    its size. cpu_s, rss_mib: of what ran meanwhile, by name; rss: the most."""

    devices: int
    bundle: int
    published: int
    fetched: int
    fetch_s: tuple[float, float, float]
    received: int
    lost: int
    cpu_s: dict[str, float]
    rss_mib: dict[str, float]

    @property
    def share(self) -> float:
        """What the depot published, by the size of the bundle."""
        return self.published / self.bundle


class Many(Yard):
    """A yard with simulated devices, and a depot that says at its end what it did."""

    def __init__(self, folder: Path, **broker: object) -> None:
        super().__init__(folder, **broker)
        self._crowds: list[subprocess.Popen[str]] = []

    def start_depot(self, *words: str) -> None:
        super().start_depot("--json", *words)

    def __exit__(self, *of: object) -> None:
        self.end_crowds()
        super().__exit__(None, None, None)

    def end_crowds(self) -> None:
        """All that were begun, and other depots, with no word of goodbye."""
        for crowd in self._crowds:
            if crowd.poll() is None:
                crowd.kill()
            crowd.communicate()
        self._crowds.clear()

    @property
    def depot_pid(self) -> int:
        assert self._depot is not None
        return self._depot.pid

    def end_depot(self) -> int:
        """In order. Returns how many bytes of blocks it published."""
        depot, self._depot = self._depot, None
        assert depot is not None
        depot.send_signal(signal.SIGTERM)
        assert depot.wait(30) == 0, self.depot_log
        told = [line for line in self.depot_log.splitlines() if line.startswith('{"fleet"')]
        return int(json.loads(told[-1])["published_bytes"])

    def simulate(self, devices: int, *words: str) -> subprocess.Popen[str]:
        """Begin to be so many devices. Its report comes on standard output at its end."""
        command = [sys.executable, "-m", "vedette", "fleet", "simulate", "--dir", str(self.fleet)]
        command += ["--devices", str(devices), "--json", *words]
        with open(self.folder / "crowd.log", "ab") as log:
            crowd = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                text=True,
            )  # fmt: skip
        self._crowds.append(crowd)
        return crowd

    def another_depot(self, folder: Path, *words: str) -> subprocess.Popen[str]:
        """On a copy of the folder. Returns when it serves."""
        command = [sys.executable, "-m", "vedette", "fleet", "depot", "--dir", str(folder)]
        with open(self.folder / "another.log", "ab") as log:
            depot = subprocess.Popen(
                [*command, "--json", *words], cwd=ROOT, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        self._crowds.append(depot)
        self.until_another_says("connected to the broker")
        return depot

    @property
    def another_log(self) -> str:
        return (self.folder / "another.log").read_text()

    def until_another_says(self, words: str, patience_s: float = 60.0) -> None:
        end_s = time.monotonic() + patience_s
        while words not in self.another_log:
            told = f"{self.another_log}\n{self.crowd_log}\n{self.depot_log}"
            assert time.monotonic() < end_s, f"never: {words}\n{told}"
            time.sleep(0.02)

    @property
    def crowd_log(self) -> str:
        path = self.folder / "crowd.log"
        return path.read_text() if path.exists() else ""

    def until_crowd_says(self, words: str, patience_s: float = 60.0) -> None:
        end_s = time.monotonic() + patience_s
        while words not in self.crowd_log:
            assert time.monotonic() < end_s, f"never: {words}\n{self.crowd_log}\n{self.depot_log}"
            time.sleep(0.05)


def fan_out(folder: Path, devices: int, size: int, patience_s: float) -> FanOut:
    """All devices are there when the bundle is deployed to them. In one process."""
    with Many(folder) as yard:
        packed = heavy(folder, "2", size)
        made = yard.run("fleet", "push", str(packed), "--no-deploy")
        assert made.code == 0, made.err
        yard.end_depot()
        yard.start_depot()  # counts from now on
        words = ("--fetch", "--spread-s", "2", "--telemetry-s", "60")
        crowd = yard.simulate(devices, *words)
        yard.until_crowd_says(f"{devices} of {devices} connected; {devices} are up to date", 120)
        pids = {"depot": yard.depot_pid, "broker": yard.broker.pid, "devices": crowd.pid}
        before = {name: cpu_s(pid) for name, pid in pids.items()}
        deployed = yard.run(
            "fleet", "deploy", "lane", "digits", "2", "--no-wait",
        )  # fmt: skip
        assert deployed.code == 0, deployed.err
        yard.until_crowd_says(f"; {devices} models fetched", patience_s)
        after = {name: cpu_s(pid) for name, pid in pids.items()}
        rss = {name: peak_mib(pid) for name, pid in pids.items()}
        crowd.send_signal(signal.SIGTERM)
        told, _ = crowd.communicate(timeout=60)
        report = json.loads(told)
        return FanOut(
            devices=devices,
            bundle=packed.stat().st_size,
            published=yard.end_depot(),
            fetched=report["fetched"],
            fetch_s=tuple(report["fetch_s"]),
            received=report["received_bytes"],
            lost=report["lost"],
            cpu_s={name: after[name] - before[name] for name in pids},
            rss_mib=rss,
        )


@dataclass(frozen=True)
class Telling:
    """What so many devices say that fetch nothing. per_s: records that came to somebody who
    listens; cores: of processor time a second, by name; rss_mib: of the devices' process."""

    devices: int
    per_s: float
    cores: dict[str, float]
    rss_mib: float


def telling(folder: Path, devices: int, period_s: float, seconds: float) -> Telling:
    """All devices are there, and each tells once in a period."""
    with Many(folder) as yard:
        crowd = yard.simulate(devices, "--telemetry-s", str(period_s))
        yard.until_crowd_says(f"{devices} of {devices} connected; ", 120)
        pids = {"broker": yard.broker.pid, "devices": crowd.pid}
        with open(folder / "heard", "wb") as heard:
            command = ["mosquitto_sub", "-p", str(yard.broker.port), "-q", "1", "-F", "%l"]
            command += ["-t", topics.from_devices(FLEET, "telemetry")]
            listener = subprocess.Popen(command, stdout=heard)
        try:
            time.sleep(period_s)
            before, lines = {name: cpu_s(pid) for name, pid in pids.items()}, _lines(heard.name)
            began_s = time.monotonic()
            time.sleep(seconds)
            took_s = time.monotonic() - began_s
            count = _lines(heard.name) - lines
            cores = {name: (cpu_s(pid) - before[name]) / took_s for name, pid in pids.items()}
        finally:
            listener.terminate()
            listener.wait()
        return Telling(devices, count / took_s, cores, peak_mib(crowd.pid))


def _lines(path: str) -> int:
    return Path(path).read_bytes().count(b"\n")


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """So many processes compute beside us, and let others go first."""
    command = ["nice", "-n", "10", sys.executable, "-c", "while True: pass"]
    running = [subprocess.Popen(command) for _ in range(loops)]
    try:
        yield
    finally:
        for one in running:
            one.kill()
            one.wait()


def cpu_s(pid: int) -> float:
    """Of all threads, so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_mib(pid: int) -> float:
    """The most memory that it had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"{pid} is gone")
