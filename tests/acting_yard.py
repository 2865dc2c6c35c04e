"""A yard with a dashboard: real broker, depot and simulated devices; what they say is written down
as it comes, and operators ask the real application."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fleet.actions.office import Clerk
from fleet.folder import open_fleet
from fleet.live.following import Following
from fleet.registry.words import Heard
from fleet.serve.crew import Crew
from tests import warm
from tests.fleet_web import Web, web
from tests.yard import Yard
from wire import topics
from wire.signing import load_key

KINDS = {"presence", "state", "telemetry", "event"}


@dataclass
class ActingYard:
    """web: the dashboard, which knows the devices. A `with` of `acting_yard`."""

    yard: Yard
    web: Web
    _stack: ExitStack
    _taken: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def simulate(self, many: int, *words: str) -> None:
        """So many devices, `simulated-1` and on, that take what is deployed to their `lane`."""
        command = ["fleet", "simulate", "--dir", str(self.yard.fleet), "--devices", str(many)]
        with open(self.yard.folder / "simulate.log", "ab") as log:
            process = warm.Process([*command, "--fetch", *words], stdout=log, stderr=log)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)

    def look(self) -> None:
        """Take in what devices have said since."""
        with self._lock:
            heard = self.yard.listener.heard[self._taken :]
            self._taken += len(heard)
            now_s, batch = time.time(), []
            for one in heard:
                told = topics.told(one.topic)
                if told is not None and told.kind in KINDS:
                    batch.append(Heard(told.device, told.kind, one.payload, now_s))  # type: ignore[arg-type]
            if batch:
                self.web.registry.write(batch)
            self._following.step()

    def begin(self) -> None:
        self._following = Following(self.web.registry, self.web.parts.live, time.time)

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Look all the time, while others wait for what comes."""
        ended = threading.Event()

        def run() -> None:
            while not ended.wait(0.2):
                self.look()

        thread = threading.Thread(target=run, name="looking")
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def until(self, holds: Callable[[], object], patience_s: float = 60.0) -> None:
        end_s = time.monotonic() + patience_s
        self.look()
        while not holds():
            shelf = self.web.parts.actions.shelf
            lines = self.web.parts.live.sight.lines
            told = [(line.name, [each.update for each in line.pipelines]) for line in lines]
            assert time.monotonic() < end_s, f"it never came to that: {shelf} {told}"
            time.sleep(0.05)
            self.look()


@contextmanager
def acting_yard(folder: Path, with_key: bool = True) -> Iterator[ActingYard]:
    """with_key: whether the server has the fleet's command key."""
    with ExitStack() as stack:
        yard = stack.enter_context(Yard(folder))
        fleet = open_fleet(yard.fleet)
        key = load_key(fleet.command_key) if with_key else None
        served = stack.enter_context(web(folder, folder=fleet, key=key))
        crew = Crew()
        stack.callback(crew.close)
        crew.add("models", lambda: Clerk(served.parts.actions.office))
        made = ActingYard(yard, served, stack)
        made.begin()
        made.until(lambda: served.parts.actions.shelf.trusted is not None)
        yield made
