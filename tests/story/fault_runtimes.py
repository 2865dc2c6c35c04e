"""Lives of a real runtime that is struck by a fault at one state of an update. Run by test_faults.

    python -m tests.story.fault_runtimes PLACE SHARED CASE...     CASE: STATE:KIND

A JSON file for each case: what is wrong with how it ended. `vedette runtime` runs whole, with its
engine, its camera and the children that it tries models in, and under what systemd does: it is
killed when it does not pet the watchdog, and started anew when it ends. The agent is real too.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import vedette
from models.pipelines import Trial
from models.store import Store
from runtime import child, model_wishes
from runtime.engines import litert
from tests.depot_folder import Yard, make_yard
from tests.rig import Rig, SetClock
from tests.small_fleet import SmallFleet, rule
from tests.story.fault_cases import try_all
from tests.story.fault_lives import fork, is_tidy, wrong_in
from tests.yard import digits
from wire import fault, topics
from wire.config import parse as parse_config
from wire.deployments import Gates
from wire.link import LinkEvent, Received
from wire.memory_link import MemoryBroker
from wire.messages import Event, parse

GATES = Gates(trial_s=1.0, first_result_s=20.0)
WATCHDOG_S = 60.0  # until the fault came; a busy machine is slow
STRUCK_S = 3.0  # then: what hangs does so for ever
LIFE_S = 120.0
AT_ONCE = 2  # of each process that tries
ENDS = ("good", "rejected", "rolled_back")
CONFIG = """\
fleet = "yard"
device = "door"

[broker]
url = "mqtt://127.0.0.1:1"

[pipeline.lane]
camera = "synthetic://64x48@30"
engine = "litert"
threads = 1

[updates]
root = "{root}"
spread_s = 0
keep = 0
"""


class RealClock(SetClock):
    """Of this machine."""

    def uptime_s(self) -> float:
        return time.monotonic()

    def wall_s(self) -> float:
        return time.time()


@dataclass(frozen=True)
class Box:
    """A device's folders, and what its runtime is started with."""

    place: Path

    @property
    def config(self) -> Path:
        return self.place / "device" / "vedette.toml"

    @property
    def is_struck(self) -> bool:
        return (self.place / "struck").exists()

    def run(self) -> None:
        """`vedette runtime lane`. One that is to hang waits for seconds, not for minutes."""
        hangs = os.environ[fault.FAULT].partition(":")[2].startswith("hang")
        if hangs and not self.is_struck:
            child.SECONDS, model_wishes.PATIENCE_S, model_wishes.HUNG_S = 12, 20.0, 22.0
        vars(model_wishes)["working_formats"] = lambda _: ("tflite",)
        os.environ["NOTIFY_SOCKET"] = str(self.place / "notify")
        os.environ["WATCHDOG_USEC"] = "1500000"  # it is petted each third of that
        os.environ["XDG_CACHE_HOME"] = str(self.place / "cache")
        os.dup2(os.open(self.place / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
        home = self.place / "device"
        places = ["--config", str(self.config), "--state", str(home / "state")]
        code = vedette.main(["runtime", "lane", *places, "--run", str(home / "run")])
        os._exit(code)


def supervise(box: Box, over: int) -> None:
    """What systemd does, from one byte of `over` to its end."""
    os.read(over, 1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(box.place / "notify"))
        while attend(box, notify, over):
            time.sleep(0.05)


def attend(box: Box, notify: socket.socket, over: int) -> bool:
    """One life of the process. Whether it is to be started anew."""
    was_struck, pid = box.is_struck, fork(box.run)
    petted_s = time.monotonic()
    while True:
        ready = select.select([notify.fileno(), over], [], [], 0.1)[0]
        said = notify.recv(4096) if notify.fileno() in ready else b""
        if b"WATCHDOG=1" in said or b"READY=1" in said:
            petted_s = time.monotonic()
        most_s = STRUCK_S if box.is_struck and not was_struck else WATCHDOG_S
        if over in ready or time.monotonic() - petted_s > most_s:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return over not in ready
        if os.waitpid(pid, os.WNOHANG)[0]:
            return True


@dataclass(frozen=True)
class Start:
    """A device that runs version 1, which is good, and bundles of 2 and 3. packed: by version."""

    yard: Yard
    box: Box
    store: Store
    packed: dict[str, bytes]

    def digest(self, version: str) -> str:
        return hashlib.sha256(self.packed[version]).hexdigest()


def make_start(place: Path) -> Start:
    for folder in ("device/state/models/starts", "device/run", "cache", "bundles"):
        (place / folder).mkdir(parents=True)
    yard, box = make_yard(place / "fleet"), Box(place)
    box.config.write_text(CONFIG.format(root=yard.place / "root.json"))
    packed = {version: digits(place / "bundles", version).read_bytes() for version in "123"}
    store = Store(place / "device" / "state" / "models")
    first = store.install(place / "bundles" / "digits-1-tflite.zip")
    store.activate("lane", Trial(first, 1.0, 1.0))
    store.mark_good("lane", first)
    return Start(yard, box, store, packed)


def try_case(case: str, place: Path) -> list[str]:
    """What is wrong with how it ended."""
    start = make_start(place)
    os.environ[fault.FAULT] = f"{case}:1:{start.digest('2')}"
    os.environ[fault.ONCE] = str(place / "struck")
    over, ends = os.pipe()

    def supervised() -> None:
        os.close(ends)
        supervise(start.box, over)

    systemd = fork(supervised)  # before there is any thread
    with ExitStack() as stack:
        stack.callback(os.waitpid, systemd, 0)
        stack.callback(os.close, ends)
        wrong = update_twice(start, stack, lambda: os.write(ends, b"."))
    if not (place / "struck").exists():
        wrong.append("it never came to that state")
    return wrong


def update_twice(start: Start, stack: ExitStack, begin: Callable[[], object]) -> list[str]:
    """To version 2, in which the fault comes, and to 3. begin: lets the runtime be started."""
    place, broker = start.box.place, MemoryBroker()
    told: list[str] = []

    def hear(event: LinkEvent) -> None:
        update = parse(event.payload, Event).update if isinstance(event, Received) else None
        if update is not None:
            told.append(f"{update.version} {update.phase}")

    fleet = stack.enter_context(SmallFleet(place, broker.link, start.yard))
    listener = broker.link("listener", hear)
    listener.subscribe(topics.event("yard", "door"))
    listener.open()
    for version, content in start.packed.items():
        fleet.release_bytes(version, content)
    config = parse_config(start.box.config.read_text(), "vedette.toml")
    rig = stack.enter_context(Rig(place / "device", broker.link, config, RealClock()))
    rig.runtime.close()
    begin()

    def live_until(holds: Callable[[], bool]) -> None:
        rig.until(holds, LIFE_S)

    def runs(version: str) -> bool:
        lane = rig.agent.state().pipelines["lane"]
        return lane.digest == start.digest(version) and lane.phase == "serving"

    live_until(lambda: runs("1"))
    fleet.deploy(rule("2", GATES))
    live_until(lambda: bool(told) and told[-1].removeprefix("2 ") in ENDS)
    wanted = "2" if told[-1] == "2 good" else "1"
    live_until(lambda: runs(wanted))
    wrong = wrong_in(place, start.digest(wanted))
    fleet.deploy(rule("3", GATES))
    live_until(lambda: "3 good" in told and runs("3"))
    live_until(lambda: is_tidy(place) and not rig.agent.state().faults)
    return [*wrong, *wrong_in(place, start.digest("3"))]


def main(place: Path, shared: Path, cases: list[str]) -> None:
    litert.import_package()  # once for all, as is all that a runtime imports
    importlib.import_module("runtime.commands.service")
    try_all(cases, place, shared, AT_ONCE, try_case)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
