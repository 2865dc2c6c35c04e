"""How many records a second `vedette fleet ingest` takes in, with real processes of all."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.brokers import Mosquitto
from tests.fanout import TICKS, cpu_s, peak_mib
from tests.ingesting import FLEET, Ingesting, make_folder
from tests.postgresql import Postgresql
from tests.yard import ROOT

WARM_S = 5.0
# as docs/registry.md advises: what waits while the registry has a pause is kept
BROKER = ("max_queued_messages 100000",)

DatabaseKind = Literal["sqlite", "postgresql"]


@dataclass(frozen=True)
class Taken:
    """What came of it. ack_s: from a record to its acknowledgement: the median, 99 of 100, all.
    missing: records that were not acknowledged. stored, duplicates: by each ingester. cpu: of a
    core, by process. rss_mib: the most of an ingester."""

    sent: int
    per_s: float
    missing: int
    ack_s: tuple[float, float, float]
    stored: tuple[int, ...]
    duplicates: tuple[int, ...]
    cpu: dict[str, float]
    rss_mib: float


def taken(
    folder: Path, kind: DatabaseKind, rate: float, seconds: float, devices: int, ingesters: int = 1
) -> Taken:
    """rate: records a second, of all devices together."""
    (folder / "broker").mkdir(parents=True)
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(folder / "broker", lines=BROKER))
        url = f"sqlite:///{folder}/registry.db"
        server = None
        if kind == "postgresql":
            server = stack.enter_context(Postgresql())
            url = server.fresh("registry")
        fleet = make_folder(folder / "fleet", broker.url())
        all_of = [
            stack.enter_context(Ingesting(fleet, url, folder / f"{number}.log"))
            for number in range(ingesters)
        ]
        load = stack.enter_context(_load(broker.port, rate, seconds, devices))
        pids = {"broker": broker.pid, "devices": load.pid}
        pids |= {f"ingest {number + 1}": each.pid for number, each in enumerate(all_of)}
        time.sleep(WARM_S)
        before, began_s = {name: cpu_s(pid) for name, pid in pids.items()}, time.monotonic()
        served = 0.0 if server is None else family_cpu_s(server.pid)
        time.sleep(max(1.0, seconds - WARM_S - 2))
        passed_s = time.monotonic() - began_s
        cpu = {name: (cpu_s(pid) - before[name]) / passed_s for name, pid in pids.items()}
        if server is not None:
            cpu["database"] = (family_cpu_s(server.pid) - served) / passed_s
        told, _ = load.communicate()
        rss_mib = max(peak_mib(each.pid) for each in all_of)
        counted = [each.end() for each in all_of]
    report = json.loads(told)
    return Taken(
        sent=report["sent"],
        per_s=report["per_s"],
        missing=report["missing"],
        ack_s=tuple(report["ack_s"]),
        stored=tuple(each["stored"] for each in counted),
        duplicates=tuple(each["duplicates"] for each in counted),
        cpu=cpu,
        rss_mib=rss_mib,
    )


def _load(port: int, rate: float, seconds: float, devices: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.load", str(port), "--fleet", FLEET, "--rate", str(rate),
               "--seconds", str(seconds), "--devices", str(devices)]  # fmt: skip
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def family_cpu_s(pid: int) -> float:
    """Of a process and its children, those that have ended too."""
    ticks = 0
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid or place.parent.name == str(pid):
            ticks += sum(map(int, fields[11:15]))
    return ticks / TICKS
