"""An updater on a bench: a real store, real bundles; fetch thread and runtime on command."""

from __future__ import annotations

import functools
from pathlib import Path

import msgspec

from agent.faults import Faults
from agent.fetch.words import Asked, Desired, Examined, Fetched, NotFetched, Refreshed
from agent.update.log import UpdateBook
from agent.update.updater import Surroundings, Updater
from models import bundle
from models.store import Store
from tests.model_folder import MANIFEST, make_folder
from tests.rig import SetClock, stages
from wire.deployments import Gates, Rule
from wire.histogram import merge
from wire.local import Answer, CheckModel, Failed, FromAgent, LoadModel, Totals
from wire.messages import Losses, PipelineSettings, Scores, StageCounts, Trusted, Update
from wire.release import Variant
from wire.trust.trust import Bundle

CONFIGURED = "c" * 64
FORMATS = ("tflite",)
DAMAGED = "damaged on disk: its bytes are others than were signed"


_stages = functools.lru_cache(stages)


class Bundles:
    """Bundles of versions 1, 2 and 3, made once."""

    def __init__(self, place: Path) -> None:
        self.paths: dict[str, Path] = {}
        self.all: dict[str, Bundle] = {}
        for version in ("1", "2", "3"):
            folder = make_folder(place / version, f"model {version}".encode() * 20)
            text = MANIFEST.replace('version = "7"', f'version = "{version}"')
            (folder / "manifest.toml").write_text(text)
            target = place / f"{version}.zip"
            digest = bundle.pack(folder, target)
            self.paths[digest] = target
            path = f"models/digits/{version}/tflite.zip"
            size = target.stat().st_size
            self.all[version] = Bundle(path, digest, size, Variant("digits", version, "tflite"))

    def digest(self, version: str) -> str:
        return self.all[version].digest


class Runtime:
    """One process of pipeline `lane`, and those that come after it. digest: of what it runs."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.runs = 0
        self.asked: list[CheckModel | LoadModel] = []
        self.listens = True
        self.absent: str | None = None
        self.unloaded: str | None = None
        self.degraded: str | None = None
        self.formats = FORMATS
        self.fps, self.us, self.score = 30.0, 4000.0, 0.9
        self.begin(CONFIGURED)

    def begin(self, digest: str) -> None:
        """A new process."""
        self.runs += 1
        self.digest = digest
        self.seconds, self.frames = 0.0, 0
        self.stages, self.scores = stages(0), Scores()

    def restart(self) -> None:
        """Start as a runtime does: what is active, counted; the third time what is good."""
        state, self.unloaded = self.store.pipeline("lane"), None
        self.begin(state.active or CONFIGURED)
        if state.active is not None and not self.store.is_whole(state.active):
            self.unloaded = f"model {state.active[:12]} is not run: {DAMAGED}"
            self.digest = CONFIGURED
        if state.active is not None and state.active != state.good:
            starts = self.store.count_start("lane")
            if starts >= 3:
                self.unloaded = f"model {state.active[:12]} is not run: it never stayed"
                self.digest = state.good or ""

    def count(self, seconds: float) -> None:
        self.seconds += seconds
        if self.absent is not None or not self.digest:
            return
        frames = int(seconds * self.fps)
        new = _stages(min(frames, 200), self.us)
        self.frames += frames
        self.stages = StageCounts(
            *(merge((getattr(self.stages, n), getattr(new, n))) for n in new.__struct_fields__)
        )
        self.scores = Scores(self.scores.frames + frames, self.scores.sum + frames * self.score)

    def totals(self) -> Totals:
        phase = "no_camera" if self.absent else "serving" if self.digest else "no_model"
        return Totals(
            "lane", f"run{self.runs}", self.seconds, phase, self.absent,  # type: ignore[arg-type]
            "digits", "1", self.digest, "litert", "synthetic://64x48", self.frames, Losses(),
            self.stages, 0, None, PipelineSettings(), self.unloaded, self.scores, self.formats,
            self.degraded,
        )  # fmt: skip

    def take(self, message: FromAgent) -> bool:
        if not self.listens:
            return False
        if isinstance(message, CheckModel | LoadModel):
            self.asked.append(message)
        return True


class Bench:
    """told: every update that was recorded, in order. wanted: versions to fetch."""

    def __init__(self, place: Path, bundles: Bundles) -> None:
        self.place = place
        self.bundles = bundles
        self.clock = SetClock()
        self.store = Store(place / "models")
        self.runtime = Runtime(self.store)
        self.told: list[Update] = []
        self.book: bytes | None = None
        self.wanted: list[str] = []
        self.pinned: frozenset[str] = frozenset()
        self.doubted: list[str] = []
        self.sweeps = 0
        self.looks = 0
        self.deployment = 0
        self.expiries: tuple[tuple[str, float], ...] = ()
        self.last: tuple[str | None, Gates, int] | None = None
        self.begin()

    def begin(self, latest: Totals | None = None) -> None:
        """An agent starts, with what was kept. latest: what the process said last, if that was."""
        self.faults = Faults(None)
        self.is_hurried = False
        around = Surroundings(
            store=self.store,
            board="test board",
            clock=self.clock,
            book=UpdateBook(self.book, self._record, self.clock),
            faults=self.faults,
            fetcher=self,
            tell=lambda _, message: self.runtime.take(message),
            hurry=self._hurry,
            obey=lambda _: None,
        )
        self.updater = Updater(around, {"lane": latest})

    def _hurry(self, _: str) -> bool:
        """The process is asked what it has counted."""
        self.is_hurried = self.runtime.listens
        return self.runtime.listens

    @property
    def update(self) -> Update | None:
        return self.updater.update("lane")

    @property
    def phase(self) -> str | None:
        return None if self.update is None else self.update.phase

    @property
    def reason(self) -> str:
        return "" if self.update is None else self.update.reason or ""

    @property
    def phases(self) -> list[str]:
        return [f"{one.version} {one.phase}" for one in self.told]

    def desire(
        self,
        version: str | None,
        gates: Gates = Gates(),  # noqa: B008
        attempt: int = 0,
    ) -> None:
        """The fleet deploys a version of `digits`."""
        rule, found = None, ()
        if version is not None:
            rule = Rule("digits", version, gates=gates, attempt=attempt)
            found = (self.bundles.all[version],) if version in self.bundles.all else ()
        self.deployment += 1
        self.last = (version, gates, attempt)
        trusted = Trusted(1, 1, 1, self.deployment, self.clock.wall_s() + 90 * 86400)
        self.updater.take(Asked())
        self.updater.take(
            Refreshed(trusted, 0.0, self.expiries, (), (Desired("lane", rule, found),))
        )

    def fetch(self) -> None:
        """Everything that is wanted comes."""
        self.examined()
        for digest in list(self.wanted):
            self.store.install(self.bundles.paths[digest])
            self.updater.take(Fetched(digest))

    def lack(self, kind: str, why: str) -> None:
        """Nothing that is wanted comes."""
        for digest in list(self.wanted):
            self.updater.take(NotFetched(digest, why, kind))  # type: ignore[arg-type]

    def answer(self, ok: bool = True, text: str = "it went well", later: bool = False) -> None:
        """The runtime does the oldest thing it was asked for."""
        if not self.runtime.asked:
            return
        if self.is_hurried:
            self.is_hurried = False
            self.say()
        message = self.runtime.asked.pop(0)
        runtime = self.runtime
        if isinstance(message, LoadModel) and not later:
            state = self.store.pipeline("lane")
            if message.digest is not None and message.digest == state.active != state.good:
                self.store.count_start("lane")
            if message.digest is not None and not self.store.is_whole(message.digest):
                ok, text = False, DAMAGED
                runtime.unloaded = f"model {message.digest[:12]} was not loaded: {DAMAGED}"
            if ok and message.digest != runtime.digest:
                self.say()
                runtime.digest, runtime.unloaded = message.digest or CONFIGURED, None
                runtime.count(1.0)
        self.updater.answered(Answer("lane", message.id, ok, text, later=later))
        self.say()

    def say(self) -> None:
        self.updater.hear(self.runtime.totals())

    def fail(self, why: str) -> None:
        self.updater.failed(Failed("lane", why))

    def live(self, seconds: float, says: bool = True) -> None:
        """Time passes; the process counts and says so every ten seconds."""
        for second in range(int(seconds)):
            self.clock.up_s += 1.0
            self.runtime.count(1.0)
            if says and second % 10 == 0:
                self.say()
            self.updater.tick()

    def settle(self, seconds: float = 400.0) -> None:
        """A world in which everything works, for as long as the longest trial takes."""
        self.runtime.listens, self.runtime.absent = True, None
        self.say()
        if self.last is not None:  # the depot answers
            self.deployment -= 1
            self.desire(*self.last)
        for _ in range(int(seconds / 10)):
            self.fetch()
            self.answer()
            self.live(10)

    def run_in(self, version: str) -> str:
        """A version that is deployed, does well, and is good."""
        self.say()
        self.desire(version)
        self.settle()
        assert self.phase == "good", self.update
        return self.bundles.digest(version)

    def on_trial(self, version: str, gates: Gates = Gates()) -> str:  # noqa: B008
        """A version that was deployed, and has given its first result."""
        self.say()
        self.desire(version, gates)
        self.fetch()
        self.answer()
        self.answer()
        assert self.phase == "trial", self.update
        return self.bundles.digest(version)

    def want(self, bundles: tuple[Bundle, ...], pinned: frozenset[str]) -> None:
        self.wanted = [one.digest for one in bundles]
        self.pinned = pinned

    def ring(self, timestamp: bytes) -> None: ...

    def sweep(self) -> None:
        self.sweeps += 1

    def examine(self, digest: str) -> None:
        self.doubted.append(digest)

    def examined(self) -> None:
        """The fetch thread reads what was doubted."""
        while self.doubted:
            digest = self.doubted.pop(0)
            bundle = next((b for b in self.bundles.all.values() if b.digest == digest), None)
            is_whole = self.store.is_whole(digest)
            self.updater.take(Examined(digest, is_whole, bundle))

    def look(self) -> None:
        self.looks += 1

    def _record(self, pipeline: str, update: Update, book: bytes) -> None:
        assert pipeline == "lane"
        self.told.append(update)
        self.book = book
        msgspec.json.decode(book)
