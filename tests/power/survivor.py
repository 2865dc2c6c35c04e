"""An agent without threads, on what a power cut left: the parts of the real one, opened as it does.

Its depot is a folder, its runtime a pretended one, its clock is moved on by tests.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from unittest.mock import patch

import msgspec

from agent.commander import Commander
from agent.faults import Faults
from agent.fetch.bundles import Bundles
from agent.fetch.day_budget import DayBudget
from agent.fetch.fetching import FOLDER
from agent.fetch.plan import Get, Sweep
from agent.fetch.refreshing import Refreshing
from agent.fetch.words import FromFetch, NotRefreshed
from agent.keeping import Keeping
from agent.recorder import UPDATES_NOTE
from agent.settings import Settings
from agent.update.log import UpdateBook
from agent.update.updater import Surroundings, Updater
from agent.update.updating import STORE
from models.store import Store
from tests.rig import FixedBoard, SetClock
from tests.update_bench import Runtime
from wire.block.blocks import BLOCK, NoSuchFile
from wire.block.part import Part
from wire.config import Config
from wire.deployments import Who
from wire.durable import make_folder_durably
from wire.local import Answer, LoadModel
from wire.messages import Update
from wire.release import target_file
from wire.trust.trust import Bundle, Trust


class DepotFolder:
    """Answers as Sources do, from the folder of a depot, at once. blocks: that were asked for."""

    def __init__(self, depot: Path) -> None:
        self.bell: bytes | None = None
        self.timestamp: bytes | None = None
        self.blocks = 0
        self._is_read = False
        self._depot = depot
        self._files: dict[str, bytes | None] = {}

    def read_all(self) -> None:
        """From here on it is the device's disk alone that is used."""
        for file in self._depot.rglob("*"):
            if file.is_file():
                self._content(str(file.relative_to(self._depot)))
        self._is_read = True

    def read(self, path: str, most_bytes: int) -> bytes:
        content = self._content(path)
        if content is None:
            raise NoSuchFile(path)
        assert len(content) <= most_bytes
        return content

    def fetch(
        self,
        bundle: Bundle,
        part: Part,
        progress: Callable[[int], None],
        is_over: Callable[[], bool],
        room: Callable[[], float],
    ) -> None:
        content = self._content(target_file(bundle.path, bundle.digest))
        assert content is not None
        while (number := part.next_missing()) is not None:
            self.blocks += 1
            assert part.write(number, content[number * BLOCK : (number + 1) * BLOCK])
            progress(part.have_bytes)

    def _content(self, path: str) -> bytes | None:
        if path not in self._files and not self._is_read:
            file = self._depot / path
            self._files[path] = file.read_bytes() if file.is_file() else None
        return self._files.get(path)


class Survivor:
    """The agent of pipeline `lane`, open. Opening it raises what the real one would end with."""

    def __init__(self, state: Path, depot: DepotFolder, config: Config, root: bytes) -> None:
        self.clock = SetClock(wall_ahead_s=time.time() - 1000.0)
        self.told: list[Update] = []
        self.words: list[FromFetch] = []  # of the fetch, the last ones
        self.wanted: tuple[Bundle, ...] = ()
        self._pinned: frozenset[str] = frozenset()
        self._doubted: list[str] = []
        self._stack = ExitStack()
        with patch("agent.keeping.boot_id", lambda: secrets.token_hex(8)):  # power was cut
            self.keeping = Keeping(state, config.telemetry, self.clock)
        self._stack.callback(self.keeping.close)
        self.settings = Settings(state, config)
        self.commander = Commander(state, config, self.clock.wall_s())
        self.store = Store(state / STORE)
        self.runtime = Runtime(self.store)
        self.faults = Faults(None)
        self.updater = Updater(self._around(), {"lane": None})
        folder = state / FOLDER
        make_folder_durably(folder)
        self.trust = Trust(folder / "trust", root, depot, self.clock.wall_s)
        budget = DayBudget(folder / "day.json", config.updates.mib_per_day, self.clock.wall_s)
        who = Who(config.device, config.groups, FixedBoard.name)
        self._refreshing = Refreshing(self.trust, depot, who, config.pipeline)  # type: ignore[arg-type]
        self._bundles = Bundles(
            self.store,
            folder / "coming",
            config.updates,
            self.trust,
            depot,
            budget,  # type: ignore[arg-type]
        )
        for said in self._refreshing.known():
            self._take(said)
        self.runtime.restart()

    def __enter__(self) -> Survivor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def update(self) -> Update | None:
        return self.updater.update("lane")

    def live(self, seconds: int) -> None:
        """In a world in which everything works."""
        self.updater.hear(self.runtime.totals())
        is_news = False
        for second in range(seconds):
            if not is_news:
                words = self._refreshing.refresh(None)
                is_news = not isinstance(words[-1], NotRefreshed)
                if not is_news:
                    self.words = words
                for word in words:
                    self._take(word)
            while self._doubted:
                self._take(self._bundles.examine(self._doubted.pop(0)))
            for bundle in self.wanted:
                said_of = self._bundles.get(Get(bundle, self._pinned), self._take, lambda: False)
                assert said_of is not None
                self._take(said_of)
            self._answer()
            self.clock.up_s += 1.0
            self.runtime.count(1.0)
            if second % 5 == 0:
                self.updater.hear(self.runtime.totals())
            self.updater.tick()

    def sweep(self) -> None:
        wanted = frozenset(one.digest for one in self.wanted)
        self._bundles.sweep(Sweep(wanted, self._pinned))

    def want(self, bundles: tuple[Bundle, ...], pinned: frozenset[str]) -> None:
        self.wanted, self._pinned = bundles, pinned
        self.sweep()

    def examine(self, digest: str) -> None:
        self._doubted.append(digest)

    def ring(self, timestamp: bytes) -> None:
        """Not here."""

    def _take(self, said: FromFetch) -> None:
        self.words = [*self.words, said][-4:]
        self.updater.take(said)

    def _answer(self) -> None:
        """The runtime does what it was asked for."""
        runtime = self.runtime
        while runtime.asked:
            message = runtime.asked.pop(0)
            if isinstance(message, LoadModel):
                state = self.store.pipeline("lane")
                if message.digest is not None and message.digest == state.active != state.good:
                    self.store.count_start("lane")
                if message.digest != runtime.digest:
                    self.updater.hear(runtime.totals())
                    runtime.digest = message.digest or "c" * 64
                    runtime.count(1.0)
            self.updater.answered(Answer("lane", message.id, True, "it went well"))
            self.updater.hear(runtime.totals())

    def _record(self, pipeline: str, update: Update, book: bytes) -> None:
        assert pipeline == "lane"
        self.told.append(update)
        self.keeping.append([("event", msgspec.json.encode(update))], {UPDATES_NOTE: book})

    def _around(self) -> Surroundings:
        return Surroundings(
            store=self.store,
            board=FixedBoard.name,
            clock=self.clock,
            book=UpdateBook(self.keeping.note(UPDATES_NOTE), self._record, self.clock),
            faults=self.faults,
            fetcher=self,
            tell=lambda _, message: self.runtime.take(message),
            hurry=lambda _: True,
            obey=self.commander.obey,
        )
