"""Real `vedette agent` processes on what power cuts left, with a broker, a depot and a runtime.

Each is a device of its own name, so that all of them can live at once. The runtimes are pretended
ones, as those of the lives that were cut, whose models no engine could run.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from models.store import Store
from tests.brokers import Mosquitto
from tests.depot_folder import opened_yard
from tests.power.calls import Tree, write_tree
from tests.rig import config_text
from tests.small_fleet import SmallFleet
from tests.supervised import Supervised, Terms
from tests.update_bench import Runtime
from wire.backoff import Backoff
from wire.config import Broker
from wire.link import Link, Post
from wire.local import Answer, LoadModel, agent_socket, pipeline_mailbox
from wire.mqtt.mqtt import MqttLink

TURN_S, SAY_S = 0.1, 1.0


class RealAgents:
    """devices: with the folders of each. fleet: that serves them. Use it in a `with`."""

    def __init__(self, place: Path, fleet: Path, trees: Sequence[Tree], updates: str) -> None:
        """fleet: the folder with a `yard` that is to go on. updates: the table [updates]."""
        self._stack = ExitStack()
        self.devices: list[Supervised] = []
        try:
            broker = self._stack.enter_context(Mosquitto())
            link = functools.partial(linked, broker)
            self.fleet = self._stack.enter_context(SmallFleet(fleet, link, opened_yard(fleet)))
            self.fleet.ring()
            table = updates.format(root=self.fleet.root)
            for number, tree in enumerate(trees):
                text = config_text(broker.port, mib=4) + table
                text = text.replace('device = "door"', f'device = "door{number}"')
                device = Supervised(place / f"door{number}", text, Terms(watchdog_s=60.0))
                (device.folder / "state").rmdir()
                write_tree(tree, device.folder / "state")
                self.devices.append(self._stack.enter_context(device))
            runtimes = [PlayedRuntime(device.folder) for device in self.devices]
            for runtime in runtimes:
                self._stack.callback(runtime.close)
            self._runtimes = runtimes
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> RealAgents:
        for device in self.devices:
            device.boots = 1  # the power was cut: the boot has another name
            device.start("agent")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def store(self, number: int) -> Store:
        return self._runtimes[number].store

    def until_good(self, digest: str, patience_s: float) -> list[int]:
        """Live until everywhere this model is good, and runs. Returns who never came to that."""
        end_s = time.monotonic() + patience_s
        late = list(range(len(self.devices)))
        while late and time.monotonic() < end_s:
            for runtime in self._runtimes:
                runtime.turn(time.monotonic())
            late = [n for n in late if not self._runtimes[n].is_good(digest)]
            time.sleep(TURN_S)
        return late


class PlayedRuntime:
    """The process of pipeline `lane` in real time, at its real socket: all that it is asked for
    goes well."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder / "state" / "models")
        self._run = folder / "run"
        self._mailbox = pipeline_mailbox(self._run, "lane")
        self._runtime = Runtime(self.store)
        self._runtime.restart()
        self._counted_s = self._said_s = time.monotonic()

    def close(self) -> None:
        self._mailbox.close()

    def is_good(self, digest: str) -> bool:
        lane = self.store.pipeline("lane")
        return lane.active == lane.good == digest == self._runtime.digest

    def turn(self, now_s: float) -> None:
        """Count what was seen since the last turn, and answer."""
        self._runtime.count(now_s - self._counted_s)
        self._counted_s = now_s
        while (message := self._mailbox.receive()) is not None:
            self._runtime.take(message)
        while self._runtime.asked:
            message = self._runtime.asked.pop(0)
            if isinstance(message, LoadModel) and message.digest != self._runtime.digest:
                self._begin(message.digest)
            self._mailbox.send(agent_socket(self._run), Answer("lane", message.id, True, "it went"))
            self._say(now_s)
        if now_s - self._said_s >= SAY_S:
            self._say(now_s)

    def _begin(self, digest: str | None) -> None:
        state = self.store.pipeline("lane")
        if digest is not None and digest == state.active != state.good:
            self.store.count_start("lane")
        self._say(self._counted_s)
        self._runtime.digest = digest or "c" * 64
        self._runtime.count(1.0)

    def _say(self, now_s: float) -> None:
        self._said_s = now_s
        self._mailbox.send(agent_socket(self._run), self._runtime.totals())


def linked(broker: Mosquitto, client_id: str, post: Post) -> Link:
    return MqttLink(Broker(broker.url()), client_id, post, None, Backoff(0.05, 0.2))
