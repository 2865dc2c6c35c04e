"""Models over MQTT on a real machine: real systemd, the units and their sandbox, and power cuts.

Runs where VEDETTE_VM names the program that makes virtual machines (see tests/system/machine.py).
Broker, depot and operator are on this side. The tests are one story in order: each finds the
services running, and leaves them so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.brokers import Listener
from tests.system.machine import HOST, Machine, installed, program, until
from tests.yard import FLEET, Yard, digits, heavy, lying
from wire import topics
from wire.block.blocks import BLOCK, BlockRequest, block_count
from wire.messages import parse

pytestmark = [
    pytest.mark.skipif(program() is None, reason="no virtual machines here: name VEDETTE_VM"),
    pytest.mark.slow,
    pytest.mark.timeout(600),
]

DEVICE = "door"
AGENT, RUNTIME = "vedette-agent", "vedette-runtime@lane"
UNITS = f"{AGENT} {RUNTIME}"
STATE = "/var/lib/vedette"
STARTS = f"{STATE}/models/starts"
ANY = 64 * "0"
ROOT = "/etc/vedette/root.json"
KIB_PER_S = 200
CONFIG = f"""\
fleet = "{FLEET}"
device = "{DEVICE}"

[broker]
url = "mqtt://{HOST}:{{port}}"
keepalive_s = 10

[telemetry]
period_s = 10

[updates]
root = "{ROOT}"
kib_per_s = {KIB_PER_S}
spread_s = 0

[pipeline.lane]
camera = "synthetic://160x120@2"
"""
PLACE = "/etc/vedette/vedette.toml"
PATIENCE_S = 240.0  # for one update: the processor is emulated
SIZE = 6_000_000
# a power cut takes what came in the last 10 s, and what was on its way to the disk
UNSAFE_S = 13.0


@dataclass(frozen=True)
class Site:
    """A device in the machine, and all that it talks to. blocks: what the depot published."""

    machine: Machine
    yard: Yard
    blocks: Listener

    def push(self, bundle: Path, trial_s: float) -> None:
        done = self.yard.push(bundle, trial_s=trial_s, more=("--no-wait",))
        assert done.code == 0, done.err

    def await_end(self, version: str, phase: str) -> None:
        self.await_phase(version, phase)
        assert self.yard.phases(version)[-1] == phase, self.yard.reason(version)

    def await_phase(self, version: str, phase: str) -> None:
        """Until it was in this phase, or in one that nothing comes after."""
        ends = {phase, "good", "rejected", "rolled_back"}
        self.yard.until(lambda: ends & set(self.yard.phases(version)), PATIENCE_S)
        assert phase in self.yard.phases(version), self.yard.reason(version)

    def await_running(self, version: str) -> None:
        """Frames come, and are this version's."""

        def serves() -> bool:
            state = self.yard.state()
            return state is not None and state.pipelines["lane"].phase == "serving"

        self.yard.until(lambda: serves() and self.yard.runs(version), PATIENCE_S)

    def come_numbers(self, key: str) -> list[int]:
        """The blocks of a file that the depot published, in order."""
        topic = topics.blocks_of(FLEET, key).rstrip("+")
        heard = [one.topic for one in self.blocks.heard if one.topic.startswith(topic)]
        return [int(one.rpartition("/")[2]) for one in heard]

    def asked_numbers(self, key: str, since: int) -> set[int]:
        """The blocks of a file that the device asked for. since: messages that came before."""
        asked: set[int] = set()
        for one in self.yard.heard()[since:]:
            if one.topic == topics.request(FLEET, DEVICE, topics.shard_of(key)):
                request = parse(one.payload, BlockRequest)
                if request.file == key:
                    asked.update(*(range(first, behind) for first, behind in request.ranges))
        return asked


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Nothing was ever deployed on it."""
    box, folder = tmp_path_factory.mktemp("box"), tmp_path_factory.mktemp("yard")
    with installed(box, "updates", "--net") as machine, Yard(folder) as yard:
        machine(f"systemctl stop 'vedette-*'; rm -rf {STATE} /run/vedette /var/cache/vedette")
        machine.write(PLACE, CONFIG.format(port=yard.broker.port))
        machine.put(yard.fleet / "root.json", ROOT)
        machine(f"chgrp vedette {PLACE} {ROOT}; chmod 640 {PLACE} {ROOT}")
        machine(f"systemctl enable -q --now --no-block {UNITS}")
        with Listener(yard.broker.port, topics.blocks_of(FLEET, ANY).replace(ANY, "+")) as blocks:
            yield Site(machine, yard, blocks)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bundles")


def starts(machine: Machine) -> dict[str, object]:
    """What the runtime has counted."""
    counted: dict[str, object] = json.loads(machine(f"cat {STARTS}/lane"))
    return counted


def came(machine: Machine) -> tuple[object, object]:
    """Which start of the trial this is, and how far it came."""
    counted = starts(machine)
    return counted["count"], counted.get("came")


def test_without_a_model_it_is_up_and_waits(site: Site) -> None:
    state = lambda: site.yard.state()  # noqa: E731
    site.yard.until(lambda: (one := state()) and one.pipelines["lane"].phase == "no_model", 120)
    site.yard.until(lambda: (one := state()) and one.trusted is not None)
    for unit in (AGENT, RUNTIME):
        assert site.machine.shows(unit, "ActiveState") == "active"
        assert site.machine.shows(unit, "NRestarts") == "0"
    assert "no model" in site.machine.shows(RUNTIME, "StatusText")


def test_the_first_becomes_good(site: Site, box: Path) -> None:
    site.push(digits(box, "1"), trial_s=5)
    site.await_end("1", "good")
    phases = list(dict.fromkeys(site.yard.phases("1")))
    assert phases == ["fetching", "staged", "checking", "trial", "good"]
    site.await_running("1")


def test_the_next_takes_its_place_and_the_sandbox_lets_starts_be_counted_and_no_more(
    site: Site, box: Path
) -> None:
    pid = site.machine.shows(RUNTIME, "MainPID")
    site.push(digits(box, "2"), trial_s=10)
    site.await_phase("2", "trial")
    assert starts(site.machine)["count"] == 1
    could = writable(site.machine)
    site.await_end("2", "good")
    site.await_running("2")
    assert site.machine.shows(RUNTIME, "MainPID") == pid, "swapped in, between two frames"
    assert site.machine.shows(RUNTIME, "NRestarts") == "0"
    assert could == [STARTS]


def writable(machine: Machine) -> list[str]:
    """The folders below the state folder that a process in the runtime's place could write to."""
    pid = machine.shows(RUNTIME, "MainPID")
    tries = (
        f"find {STATE} -type d | while read folder; do "
        'touch "$folder/.tried" 2>/dev/null && rm "$folder/.tried" && echo "$folder"; done; true'
    )
    user = "setpriv --reuid vedette --regid vedette --clear-groups"
    return machine(f"nsenter -t {pid} -m -- {user} sh -c '{tries}'").split()


def test_a_power_cut_while_fetching(site: Site, box: Path) -> None:
    bundle = heavy(box, "3", SIZE)
    key = hashlib.sha256(bundle.read_bytes()).hexdigest()
    site.push(bundle, trial_s=30)
    enough = 1.5 * UNSAFE_S * KIB_PER_S * 1024 / BLOCK
    site.yard.until(lambda: len(site.come_numbers(key)) >= enough, PATIENCE_S)
    site.machine.host("cut")
    came, since = set(site.come_numbers(key)), len(site.yard.heard())
    assert len(came) < block_count(bundle.stat().st_size), "it was cut in the middle"
    site.machine.host("up", "--keep")
    site.await_phase("3", "trial")
    again = came & site.asked_numbers(key, since)
    print(f"{len(came)} blocks had come, {len(again)} of them were asked for again")
    assert len(again) * BLOCK <= UNSAFE_S * KIB_PER_S * 1024
    assert site.machine(f"find {STATE} -name '*.part' -o -name '*.have'") == ""


def test_a_power_cut_during_the_trial(site: Site) -> None:
    """Of the one that was fetched."""
    site.await_running("3")
    until(lambda: came(site.machine) == (1, "answered"))
    site.machine.host("cut")
    assert site.yard.phases("3")[-1] == "trial"
    site.machine.host("up", "--keep")
    site.await_end("3", "good")
    site.await_running("3")
    ends = starts(site.machine)["ends"]
    assert ends == ["the whole device went down after its first results"]
    assert site.machine.shows(RUNTIME, "NRestarts") == "0"


def test_one_that_dies_in_its_trial_is_left_and_systemd_told_of_what(site: Site, box: Path) -> None:
    """Of a signal, then stuck until the watchdog comes: noted from within the unit's sandbox."""
    site.push(digits(box, "4"), trial_s=300)
    site.await_phase("4", "trial")
    for count, name in enumerate(("SEGV", "STOP"), 1):
        until(lambda count=count: came(site.machine) == (count, "answered"))  # type: ignore[misc]
        pid = site.machine.shows(RUNTIME, "MainPID")
        site.machine(f"kill -{name} {pid}")
        until(lambda pid=pid: site.machine.shows(RUNTIME, "MainPID") not in ("0", pid))  # type: ignore[misc]
    site.await_end("4", "rolled_back")
    assert "started 3 times" in site.yard.reason("4")
    ends = "it died of SIGSEGV after its first results, then it hung after its first results"
    assert ends in site.yard.reason("4")
    site.await_running("3")


def test_one_that_answers_wrongly_is_rejected(site: Site, box: Path) -> None:
    pid = site.machine.shows(RUNTIME, "MainPID")
    site.push(lying(box, "5"), trial_s=10)
    site.await_end("5", "rejected")
    assert "golden" in site.yard.reason("5") and "trial" not in site.yard.phases("5")
    site.await_running("3")
    assert site.machine.shows(RUNTIME, "MainPID") == pid
