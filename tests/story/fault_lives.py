"""Lives of a device that is struck by a fault at one state of an update. Run by test_faults.

    python -m tests.story.fault_lives PLACE SHARED CASE...     CASE: SCENARIO:STATE:KIND

A JSON file for each case: what is wrong with how it ended. The whole agent is real, with its
store, spool, fetch thread and trust; depot and broker are in memory, the runtime answers as one
would. Each life is a process of its own, forked, so that SIGKILL is one and costs no start; and
this one is its systemd: it pulls the plug of who does not pet the watchdog, and starts the next.
"""

from __future__ import annotations

import json
import logging
import os
import select
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from agent.fetch import plan
from models import bundle
from models.store import Store
from tests.depot_folder import Yard, make_yard
from tests.pretend_runtime import PretendRuntime
from tests.rig import Rig, SetClock, config_text
from tests.small_fleet import SmallFleet, rule
from wire import fault, topics
from wire.config import parse as parse_config
from wire.deployments import Gates
from wire.link import LinkEvent, Received
from wire.memory_link import MemoryBroker
from wire.messages import Event, parse
from wire.troubles import Trouble

GATES = Gates(trial_s=60.0, first_result_s=20.0, p95_ms=20.0)
ENDS = {"good": "good", "roll_back": "rolled_back", "reject": "rejected"}  # by scenario
WATCHDOG_S = 60.0  # until the fault came; a busy machine is slow
STRUCK_S = 1.5  # then: what hangs does so for ever
LIFE_S = 90.0  # a life that comes to nothing
MOST_LIVES = 5
AT_ONCE = 3  # of each process that tries
STRAYS = (".part", ".have", ".zip", ".new", ".coming", ".going", ".tmp")
SLOW_US, QUICK_US = 40_000.0, 4_000.0


@dataclass(frozen=True)
class Case:
    """scenario: how version 2 does. fault: STATE:KIND."""

    scenario: str
    fault: str

    def __str__(self) -> str:
        return f"{self.scenario}:{self.fault}"


@dataclass(frozen=True)
class Start:
    """A device that runs version 1, which is good, and a fleet that has just deployed version 2."""

    yard: Yard
    device: Path
    digests: dict[str, str]  # by version


class Life:
    """A device from its start to its end or death. told: every phase, in all its lives."""

    def __init__(self, place: Path, start: Start, case: Case | None, pet: Callable[[], object]):
        self.place = place
        self.start = start
        self.case = case
        self.pet = pet
        self._was_struck = (place / "struck").exists()
        self.broker = MemoryBroker()
        yard = replace(start.yard, depot=place / "depot")
        self.fleet = SmallFleet(place / "fleet", self.broker.link, yard)
        self._note = open(place / "told", "ab", buffering=0)  # noqa: SIM115
        listener = self.broker.link("listener", self._hear)
        listener.subscribe(topics.event("yard", "door"))
        listener.open()
        text = f'{config_text()}[updates]\nroot = "{start.yard.place}/root.json"\n'
        config = parse_config(f"{text}spread_s = 0\nkeep = 0\n", "vedette.toml")
        clock = SetClock(wall_ahead_s=time.time() - 1000.0)
        self.rig = Rig(place / "device", self.broker.link, config, clock)
        self.runtime = PretendRuntime(self.rig)
        if case is not None and case.scenario == "reject":
            self.runtime.bad[start.digests["2"]] = "golden a.png: it says 7, 3 is right"
        self.runtime.restart()
        if self.runtime.store.pipeline("lane").rejection(self.runtime.digest) is not None:
            self.give_up("a model that was rejected is started")
        self.runtime.say()

    def __enter__(self) -> Life:
        return self

    def __exit__(self, *_: object) -> None:
        self.rig.__exit__(None, None, None)
        self.fleet.__exit__(None, None, None)
        self._note.close()

    @property
    def told(self) -> list[str]:
        lines = (self.place / "told").read_text().split("\n")
        return list(dict.fromkeys(line for line in lines if line))

    def live_until(self, holds: Callable[[], bool]) -> None:
        """Let time pass until something holds. Nothing passes quicker than the fetch thread."""
        end_s = time.monotonic() + LIFE_S
        while not holds():
            if time.monotonic() > end_s:
                self.give_up(f"a life that never ended: {self.told}")
            is_slow = self.case is not None and self.case.scenario == "roll_back"
            is_slow = is_slow and self.runtime.digest == self.start.digests["2"]
            self.runtime.inference_us = SLOW_US if is_slow else QUICK_US
            self.runtime.live(2 if self.phase == "trial" else 1)
            self.runtime.say()
            self.pet()
            if (self.place / "struck").exists() and not self._was_struck:
                for pulse in self.rig.agent._parts.watch._seen:
                    pulse.most_quiet_s = STRUCK_S
            time.sleep(0.001 if self.phase == "trial" else 0.01)

    @property
    def phase(self) -> str | None:
        update = self.rig.agent.state().pipelines["lane"].update
        return None if update is None else update.phase

    def has_ended(self, version: str, phase: str) -> bool:
        return f"{version} {phase}" in self.told and self.phase == phase

    def give_up(self, why: str) -> NoReturn:
        """Nothing that comes after this makes it good."""
        (self.place / "given_up").write_text(why)
        raise AssertionError(why)

    def _hear(self, event: LinkEvent) -> None:
        if isinstance(event, Received):
            update = parse(event.payload, Event).update
            if update is not None:
                self._note.write(f"{update.version} {update.phase}\n".encode())


def make_start(place: Path) -> Start:
    """Done in a process of its own, which leaves no thread here: only folders."""
    yard = make_yard(place / "fleet")

    def first() -> None:
        life_place = place / "life"
        life_place.mkdir()
        shutil.copytree(yard.depot, life_place / "depot")
        empty = Start(yard, place, {"2": ""})
        with Life(life_place, empty, None, lambda: None) as life:
            life.fleet.yard.targets = yard.targets
            content = {version: os.urandom(100_000) for version in ("1", "2", "3")}
            digests = {
                version: life.fleet.release(version, content[version]) for version in content
            }
            (place / "digests.json").write_text(json.dumps(digests))
            life.fleet.deploy(rule("1", GATES))
            life.live_until(lambda: life.has_ended("1", "good"))
            life.fleet.serves = False
        with SmallFleet(life_place, MemoryBroker().link, life.fleet.yard) as fleet:
            fleet.deploy(rule("2", GATES))

    code = forked(first)
    assert code == 0, f"no start: {code}"
    return Start(yard, place / "life", json.loads((place / "digests.json").read_text()))


def try_case(case: Case, start: Start, place: Path) -> list[str]:
    """What is wrong with how it ended."""
    shutil.copytree(start.device, place, symlinks=True)
    (place / "told").unlink()
    os.environ[fault.FAULT] = case.fault
    os.environ[fault.ONCE] = str(place / "struck")
    for _ in range(MOST_LIVES):
        code = watched(lambda pet: live(place, start, case, pet), place)
        if code == 0 or (place / "given_up").exists():
            break
    wrong = [f"{MOST_LIVES} lives came to no end"]
    if (place / "wrong.json").exists():
        wrong = json.loads((place / "wrong.json").read_text())
    if (place / "given_up").exists():
        wrong.append((place / "given_up").read_text())
    if not (place / "struck").exists():
        wrong.append("it never came to that state")
    if not wrong:
        shutil.rmtree(place)
    return wrong


def live(place: Path, start: Start, case: Case, pet: Callable[[], object]) -> None:
    """One life, to the end of version 2 and then that of version 3."""
    plan.FIRST_AGAIN_S, plan.MOST_AGAIN_S, plan.GAP_S, plan.BELL_S = 0.02, 0.1, 0.02, 0.02
    fault.arm()
    end = ENDS[case.scenario]
    with Life(place, start, case, pet) as life:
        life.live_until(lambda: life.has_ended("2", end))
        runs = start.digests["2" if end == "good" else "1"]
        life.live_until(lambda: life.runtime.digest == runs)
        wrong = [*wrong_in(place, runs), *wrong_told(life.told, end)]
        life.fleet.deploy(rule("3", GATES))
        life.live_until(lambda: life.has_ended("3", "good"))
        life.live_until(lambda: is_tidy(place) and not life.rig.agent.state().faults)
        wrong += wrong_in(place, start.digests["3"])
    (place / "wrong.json").write_text(json.dumps(wrong))


def wrong_in(place: Path, runs: str) -> list[str]:
    """In the store of a device that should run this digest, which is good."""
    store = Store(place / "device" / "state" / "models")
    state = store.pipeline("lane")
    wrong = [*state.problems]
    if (state.active, state.good, state.trial) != (runs, runs, None):
        wrong.append(f"not {runs[:12]} runs, but {state}")
    for digest in store.installed():
        if not is_whole(store, digest) and store.has(digest):  # else it was just swept
            wrong.append(f"{digest[:12]} is damaged")
    return wrong


def is_whole(store: Store, digest: str) -> bool:
    try:
        return bundle.folder_digest(store.folder(digest)) == digest
    except Trouble:
        return False


def is_tidy(place: Path) -> bool:
    """Whether nothing is left of what nobody needs any more."""
    models = Store(place / "device" / "state" / "models").installed()
    return len(models) == 1 and not strays(place)


def wrong_told(told: list[str], end: str) -> list[str]:
    """Version 2 came to one end, and was not tried after it."""
    ends = [one for one in told if one.startswith("2 ") and one[2:] in ENDS.values()]
    return [] if ends == [f"2 {end}"] and told[-1] == ends[0] else [f"told: {told}"]


def strays(place: Path) -> list[Path]:
    """What no sweep has removed."""
    return [path for path in (place / "device" / "state").rglob("*") if path.name.endswith(STRAYS)]


def watched(life: Callable[[Callable[[], object]], None], place: Path) -> int:
    """Its exit code; it dies by SIGKILL when it does not pet the watchdog."""
    hears, says = os.pipe()
    was_struck = (place / "struck").exists()

    def lived() -> None:
        os.dup2(os.open(place / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
        logging.basicConfig(level=logging.WARNING)
        life(lambda: os.write(says, b"."))

    pid, petted_s = fork(lived), time.monotonic()
    os.close(says)
    while True:
        if select.select([hears], [], [], 0.1)[0]:
            if not os.read(hears, 4096):
                break
            petted_s = time.monotonic()
        is_struck = (place / "struck").exists() and not was_struck
        if time.monotonic() - petted_s > (2 * STRUCK_S if is_struck else WATCHDOG_S):
            break
    os.close(hears)
    os.kill(pid, signal.SIGKILL)  # it hangs, or is at its end
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def forked(work: Callable[[], None]) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(fork(work), 0)[1])


def fork(work: Callable[[], None]) -> int:
    """Does the work in a child. Its exit code: 0, or 1 if it raised something."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def main(place: Path, shared: Path, cases: list[str]) -> None:
    from tests.story.fault_cases import try_all  # which imports us

    start = make_start(place)

    def tried(case: str, life: Path) -> list[str]:
        return try_case(Case(*case.split(":", 1)), start, life)

    try_all(cases, place, shared, AT_ONCE, tried)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
