"""Another model comes into a running loop: beside the first, or in its place; or it does not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from models.store import Store
from runtime.engines import EngineOptions
from runtime.loader import close_retired
from runtime.locating import ZOO
from runtime.loop import HELD, NO_MODEL, Loop, Model, Result
from runtime.sources import Source, Sources
from runtime.takeover import Takeover
from tests import deployed
from tests.by_hand import HandCamera, HandClock, grey
from tests.deployed import PIPELINE
from wire.troubles import Refused, Unavailable

OWN = ZOO / "digits"
DETECT = ZOO / "digits-detect"
PLENTY, NOTHING = 1 << 50, 0


class Bench:
    """A loop that turns on a thread of its own, with real engines. room: memory that is free."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder / "models")
        self.said: list[str] = []
        self.room = PLENTY
        self.sources = Sources(
            self.store, PIPELINE, OWN, None, EngineOptions(threads=1), self.said.append
        )
        self.clock = HandClock()
        self.camera = HandCamera(self.clock)
        self.camera.start()
        own = Source(OWN, None)
        self.first = self.sources.open(own)
        self.results: list[Result] = []
        self.models: list[Model] = []  # in the order in which the loop had them
        self.loop = Loop(self.camera, self.first, self.results.append)
        self.takeover = Takeover(
            self.loop, self.sources, own, self.said.append, available=lambda: self.room
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._turn)
        self._thread.start()

    def _turn(self) -> None:
        while not self._stop.is_set():
            if self.camera.is_running and not self.camera.frames:
                self.camera.frames.append(grey())
            self.loop.step(0.01)
            if not self.models or self.models[-1] is not self.loop.model:
                self.models.append(self.loop.model)

    def install(self, path: Path) -> str:
        return self.store.install(path)

    def load(self, digest: str | None) -> float | None:
        return self.takeover.load(digest, lambda: False).gap_s

    def close(self) -> None:
        self._stop.set()
        self._thread.join(30)
        self.loop.model.engine.close()
        close_retired(self.loop)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def test_beside_the_first(bench: Bench, tmp_path: Path) -> None:
    digest = bench.install(deployed.digits(tmp_path, "2"))
    report = bench.takeover.load(digest, lambda: False)
    assert (report.digest, report.gap_s) == (digest, None) and report.seconds > 0
    assert bench.loop.model.digest == digest
    assert bench.loop.retired.get(timeout=30) is bench.first
    assert HELD not in bench.models and bench.camera.losses.skipped == 0


def test_in_place_of_the_first_where_memory_cannot_hold_both(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = bench.install(deployed.digits(tmp_path, "2"))
    bench.room = NOTHING
    order: list[str] = []
    close, open_it = bench.first.engine.close, bench.sources.open

    def closed() -> None:
        order.append("first closed")
        close()

    def opened(source: Source) -> Model:
        order.append("second opened")
        return open_it(source)

    monkeypatch.setattr(bench.first.engine, "close", closed)
    monkeypatch.setattr(bench.sources, "open", opened)
    gap_s = bench.load(digest)
    assert order == ["first closed", "second opened"]
    assert gap_s is not None and 0 < gap_s < 60
    assert bench.loop.model.digest == digest
    assert bench.models[:2] == [bench.first, HELD]
    assert bench.camera.losses.skipped > 0, "what passed by meanwhile is counted"
    assert bench.camera.stops == 0, "and the camera was not stopped for it"
    assert "results" in bench.said[-1] and bench.said[-1].startswith("loaded digits 2")


def test_in_its_place_and_it_fails(bench: Bench, tmp_path: Path) -> None:
    digest = bench.install(deployed.crashing(tmp_path, "1"))
    bench.room = NOTHING
    with pytest.raises(Refused, match="crashes its engine"):
        bench.load(digest)
    assert bench.loop.model.digest == bench.first.digest, "the first is opened again"
    assert bench.loop.model is not bench.first
    assert "the model before it runs on" in (bench.takeover.trouble or "")
    count = len(bench.results)
    wait_until(lambda: len(bench.results) > count + 5)
    bench.room = PLENTY
    good = bench.install(deployed.digits(tmp_path, "2"))
    assert bench.load(good) is None and bench.takeover.trouble is None


def test_in_its_place_and_neither_can_be_opened(bench: Bench, tmp_path: Path) -> None:
    first = bench.install(deployed.digits(tmp_path, "2"))
    bench.load(first)
    second = bench.install(deployed.crashing(tmp_path, "1"))
    deployed.damage(bench.store, first)
    bench.room = NOTHING
    with pytest.raises(Refused):
        bench.load(second)
    assert bench.loop.model is NO_MODEL
    assert any("cannot be opened again" in each for each in bench.said)
    assert "there is no other" in (bench.takeover.trouble or "")
    bench.room = PLENTY
    assert bench.load(None) is None, "the configured one"
    assert bench.loop.model.digest == bench.first.digest
    assert bench.camera.is_running


def test_where_nothing_runs_memory_is_not_asked(bench: Bench, tmp_path: Path) -> None:
    bench.sources.configured = None
    assert bench.load(None) is None
    assert bench.loop.model is NO_MODEL
    wait_until(lambda: bench.camera.stops == 1)
    bench.room = NOTHING
    digest = bench.install(deployed.digits(tmp_path, "2"))
    assert bench.load(digest) is None
    assert bench.loop.model.digest == digest


def test_what_its_check_took_is_what_it_needs(bench: Bench, tmp_path: Path) -> None:
    digest = bench.install(deployed.digits(tmp_path, "2"))
    source = bench.sources.deployed(digest)
    size = (bench.store.folder(digest) / "digits.tflite").stat().st_size
    assert bench.sources.needed_bytes(source) == 2 * size, "nothing better is known"
    report = bench.takeover.check(digest)
    assert (report.name, report.version, report.golden) == ("digits", "2", 4)
    needed = bench.sources.needed_bytes(source)
    assert 2 * size < needed < report.peak_rss_mb * 1e6


def test_a_start_is_counted_before_it_is_opened(bench: Bench, tmp_path: Path) -> None:
    digest = deployed.put_on_trial(bench.store, deployed.crashing(tmp_path, "1"))
    for _ in range(2):
        with pytest.raises(Refused, match="crashes its engine"):
            bench.load(digest)
    assert bench.store.pipeline(PIPELINE).starts == 2
    with pytest.raises(Refused, match="started 3 times"):
        bench.load(digest)


def test_one_that_nobody_waits_for_any_more_does_not_come(bench: Bench, tmp_path: Path) -> None:
    digest = bench.install(deployed.digits(tmp_path, "2"))
    for room in (PLENTY, NOTHING):
        bench.room = room
        with pytest.raises(Unavailable, match="nobody waits"):
            bench.takeover.load(digest, lambda: True)
        assert bench.loop.model.digest == bench.first.digest


def test_a_loop_that_does_not_take_it(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.takeover.TAKEN_S", 0.05)
    digest = bench.install(deployed.digits(tmp_path, "2"))
    hangs, go = threading.Event(), threading.Event()
    run = bench.first.engine.run

    def hang() -> object:
        hangs.set()
        go.wait(60)
        return run()

    monkeypatch.setattr(bench.first.engine, "run", hang)
    assert hangs.wait(30)
    with pytest.raises(Unavailable, match="the loop does not take it"):
        bench.load(digest)
    go.set()
    count = len(bench.results)
    wait_until(lambda: len(bench.results) > count + 5)
    assert bench.loop.model is bench.first, "it does not come later either"


def test_a_deployed_model_is_not_swapped_away_by_the_configuration(
    bench: Bench, tmp_path: Path
) -> None:
    bench.takeover.reconfigure(DETECT)
    assert bench.loop.model.manifest.name == "digits-detect"
    digest = bench.install(deployed.digits(tmp_path, "2"))
    bench.load(digest)
    bench.takeover.reconfigure(OWN)
    assert bench.loop.model.digest == digest and "the configured one waits" in bench.said[-1]
    bench.load(None)
    assert bench.loop.model.digest == bench.first.digest, "it did wait"
    bench.takeover.reconfigure(None)
    assert bench.loop.model.digest == bench.first.digest
    assert "until another is deployed" in bench.said[-1]
    bench.takeover.reconfigure(Path("/nowhere/model"))
    assert bench.loop.model.digest == bench.first.digest
    assert "there is no model at" in (bench.takeover.trouble or "")


def test_trouble_with_what_is_not_wanted_any_more_is_none(bench: Bench, tmp_path: Path) -> None:
    good = deployed.make_good(bench.store, deployed.digits(tmp_path, "2"))
    bench.load(good)
    tried = deployed.put_on_trial(bench.store, deployed.crashing(tmp_path, "1"))
    with pytest.raises(Refused):
        bench.load(tried)
    bench.takeover.reconsider()
    assert bench.takeover.trouble is not None
    bench.store.rollback(PIPELINE, tried, "it crashed")
    bench.takeover.reconsider()
    assert bench.takeover.trouble is None


def test_trouble_with_the_configured_one_stays(bench: Bench) -> None:
    bench.takeover.reconfigure(Path("/nowhere/model"))
    bench.takeover.reconsider()
    assert bench.takeover.trouble is not None


def wait_until(holds: Callable[[], bool]) -> None:
    end = threading.Event()
    for _ in range(3000):
        if holds():
            return
        end.wait(0.01)
    raise AssertionError("it never came to that")
